import random
from collections.abc import Callable

import pytest

from obswarm.units import (
    counted,
    format_bytes,
    format_duration,
    format_latency,
    format_limit,
    format_percent,
    format_rate,
    format_tenths,
    parse_duration,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("20m", 1200), ("1h30m", 5400), ("500ms", 0.5), (" 1h 5m ", 3900), ("1.5s", 1.5), ("2d", 172800), ("1.5m", 90), ("250us", 0.00025), ("250µs", 0.00025), (".5s", 0.5), ("1e-3s", 0.001), (90, 90), (0.25, 0.25)],
)  # fmt: skip
def test_durations_are_read_as_people_write_them(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-5s",
        "5x",
        "s",
        "1h-30m",
        "1..5s",
        "ten",
        "5s5",
        "5 5",
        "5 5s",
        "1e999",
        "nan",
        -1,
        float("inf"),
        float("nan"),
        True,
        None,
    ],
)
def test_what_is_no_duration_says_how_to_write_one(text) -> None:
    with pytest.raises(ValueError, match="write it like 90s, 20m, 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(("seconds", "text"), [(40, "40s"), (125, "2m05s"), (3720, "1h02m"), (0.5, "0.5s"), (60, "1m")])
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(30.0, "30s"), (0.25, "0.25s"), (90, "1m30s"), (3720, "1h02m"), (3725, "3725s"), (float("inf"), "+Inf")],
)
def test_limits_are_written_exactly_as_settings_are(seconds: float, text: str) -> None:
    assert format_limit(seconds) == text
    if text != "+Inf":
        assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0s"),
        (12.34, "12.3s"),
        (59.96, "1m00.0s"),
        (3725.5, "1h02m05.5s"),
        (-0.5, "-0.5s"),
        (-0.01, "0.0s"),
        (float("nan"), "NaN"),
    ],
)
def test_elapsed_times_have_tenths_of_a_second(seconds: float, text: str) -> None:
    assert format_tenths(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.00085, "850 µs"), (0.0123, "12.3 ms"), (0.25, "250 ms"), (1.25, "1.25 s"), (None, "–")])  # fmt: skip
def test_latencies_are_written_for_people(seconds: float | None, text: str) -> None:
    assert format_latency(seconds) == text


@pytest.mark.parametrize("form", [format_latency, format_rate, format_percent])
def test_a_number_is_written_as_the_rounded_one_of_a_result(form: Callable[[float], str]) -> None:
    draw = random.Random(1)
    numbers = [0.00514996, 0.0051499999, 99.9999999] + [round(draw.uniform(0, 10), 4) + 4.9e-7 for _ in range(20_000)]
    assert [number for number in numbers if form(number) != form(round(number, 6))] == []


def test_sizes_are_written_in_binary_units() -> None:
    assert [format_bytes(size) for size in (512, 1536, 20 * 2**20)] == ["512 B", "1.5 KiB", "20 MiB"]


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("user",), "0 users"),
        (1, ("user",), "1 user"),
        (1_000, ("user",), "1,000 users"),
        (1, ("process", "processes"), "1 process"),
        (2, ("process", "processes"), "2 processes"),
    ],
)
def test_a_number_has_its_noun(number: int, words: tuple[str, ...], text: str) -> None:
    assert counted(number, *words) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0009569, "956.9 µs"), (0.0123456, "12.3456 ms"), (1.25, "1.25 s"), (2.0000001, "2 s")]
)
def test_a_latency_can_have_more_digits(seconds: float, text: str) -> None:
    assert format_latency(seconds, digits=6) == text


def test_rates_and_shares() -> None:
    assert [format_rate(value) for value in (7.5, 12_345, float("inf"))] == ["7.5/s", "12,345/s", "+Inf"]
    assert [format_percent(value) for value in (0.05, float("nan"))] == ["5.0%", "NaN"]
    assert format_percent(0.05, 2) == "5.00%"

"""Two minutes of scraped series, put into a SeriesStore and into a real Prometheus with the same times and values."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import cramjam
import requests

from obswarm.metrics.pushed_series import STALE
from obswarm.metrics.schema import REMOTE_WRITE, Messages, varint
from obswarm.targets.evaluate.values import key_of
from obswarm.targets.series import SeriesStore

LASTS_S = 120
LARGEST = 1.7e308
_messages = Messages("obswarm.tests.promql_history", REMOTE_WRITE)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One series. Times are seconds since the history's beginning, in eighths, so that they are the same in floats and in
    Prometheus' milliseconds."""

    name: str
    labels: Mapping[str, str]
    points: tuple[tuple[float, float | None], ...]
    """None is a stale marker."""


def _scrapes(random: Random, missed: float = 0.0, begin: int = 0, end: int = LASTS_S) -> list[float]:
    """Once a second, up to three eighths of it too late; some are missed."""
    return [second + random.randrange(4) / 8 for second in range(begin, end) if random.random() >= missed]


def _counter(random: Random, times: list[float], per_s: float, resets: float, begins_at: float = 0.0) -> list[float]:
    value, values = begins_at, []
    for _ in times:
        value = 0.0 if random.random() < resets else value + random.randrange(int(per_s * 2) + 1)
        values.append(value)
    return values


def _recorded(name: str, times: list[float], values: Sequence[float | None], **labels: str) -> Recorded:
    return Recorded(name, labels, tuple(zip(times, values, strict=True)))


def history(seed: int = 18) -> list[Recorded]:
    random = Random(seed)
    found = []
    for host, job in (("a", "shop"), ("b", "shop"), ("c", "stock")):
        times = _scrapes(random, 0.05)
        for code, per_s, resets in (("200", 20, 0.02), ("404", 3, 0.0), ("500", 0.5, 0.1)):
            values = _counter(random, times, per_s, resets, random.choice((0, 5, 12_345)))
            found.append(_recorded("requests_total", times, values, job=job, host=host, code=code))
        found.append(_recorded("busy", times, [float(random.randrange(9)) for _ in times], job=job, host=host))
        found.append(_recorded("alive", times, [float(random.random() > 0.1) for _ in times], job=job, host=host))
        found.append(_recorded("version", times, [1.0 for _ in times], job=job, host=host, release=f"1.{host}"))
        if host != "c":
            found.append(_recorded("workers", times, [8.0 for _ in times], job=job, host=host))
    found += _odd_numbers(random)
    found += _odd_times(random)
    found += _odd_labels(random)
    return [*found, *_histograms(random)]


def _odd_numbers(random: Random) -> Iterator[Recorded]:
    """NaN and infinity, here and there or always; -0; numbers that are too large to be added."""
    numbers = [math.nan, math.inf, -math.inf, -0.0, 0.0, 1.5, -3.0, 1e-300, LARGEST]
    for kind in ("a", "b", "c", "d"):
        times = _scrapes(random, 0.05)
        yield _recorded("odd", times, [random.choice(numbers) for _ in times], kind=kind)
        yield _recorded("mixed", times, [random.choice([math.nan, 1.0, 2.5, 7.0, -4.0]) for _ in times], kind=kind)
    times = _scrapes(random)
    yield _recorded("never_a_number", times, [math.nan for _ in times])
    yield _recorded("always_infinite", times, [math.inf for _ in times])
    # It is no number now and then, then it counts on.
    counted = _counter(random, times, 5, 0.02)
    yield _recorded("nan_total", times, [math.nan if n % 9 < 3 else value for n, value in enumerate(counted)])
    yield _recorded("below_zero", times, [value - 50 for value in _counter(random, times, 5, 0.05)])
    yield _recorded("slope", times, [3 * time_s - 7 for time_s in times])
    yield _recorded("tiny", times, [random.choice([1.0, 1e100, -1e100]) for _ in times], kind="a")
    yield _recorded("tiny", times, [random.choice([1.0, 1e100, -1e100]) for _ in times], kind="b")


def _odd_times(random: Random) -> Iterator[Recorded]:
    """Series that come and go, have one sample only, are scraped rarely, or often."""
    for part, (begin, end) in enumerate(((0, 40), (35, 70), (66, 90), (100, LASTS_S))):
        times = _scrapes(random, 0.1, begin, end)
        values: list[float | None] = [*_counter(random, times, 4, 0.05, 100.0)]
        if part % 2:
            # The page was there, and the series was not on it.
            times, values = [*times, times[-1] + 1], [*values, None]
        yield _recorded("comes_and_goes", times, values, part=str(part))
    for part in ("4", "5"):
        times = _scrapes(random)
        flaps = [None if random.random() < 0.3 else value for value in _counter(random, times, 4, 0.05)]
        yield _recorded("comes_and_goes", times, flaps, part=part)
        yield _recorded("flaps", times, [None if value is None else value % 5 for value in flaps], part=part)
    yield _recorded("once", [60.0], [42.0])
    rarely = [float(second) for second in range(0, LASTS_S, 7)]
    yield _recorded("rare_total", rarely, _counter(random, rarely, 30, 0.05))
    often = [eighth / 8 for eighth in range(LASTS_S * 8)]
    yield _recorded("often_total", often, _counter(random, often, 2, 0.01))
    exact = [float(second) for second in range(LASTS_S)]
    yield _recorded("exact_total", exact, [10.0 * second for second in exact])
    gaps = [second for second in exact if second % 30 < 18]
    yield _recorded("gaps_total", gaps, _counter(random, gaps, 8, 0.05))


def _odd_labels(random: Random) -> Iterator[Recorded]:
    times = _scrapes(random)
    for path in ("/", "/a b", "/ä/ö", "line\nbreak", 'quote"d', "back\\slash", "1234", "日本", "$1", "A.b"):
        yield _recorded("path_total", times, _counter(random, times, 6, 0.02), path=path)


def _histograms(random: Random) -> Iterator[Recorded]:
    for host in ("a", "b"):
        yield from _histogram(random, "latency", ("0.1", "0.5", "1.0", "+Inf"), host)
        # Its bounds are written in two ways, one is none, and one bucket is no bucket.
        yield from _histogram(
            random,
            "oddly",
            ("0.1", "0.5", "1", "1.0", "junk", "1_0", " 2", "5e0", "0x1p3", "0x_1p4", "1e400", "٣", "1__0", "+Inf"),
            host,
        )
        yield from _histogram(random, "negative", ("-10", "-1", "0", "3", "Inf"), host)
        yield from _histogram(random, "endless", ("1", "2", "3"), host)
        yield from _histogram(random, "lonely", ("+Inf",), host)
    times = _scrapes(random)
    yield _recorded("oddly_bucket", times, [1.0 for _ in times], host="a")
    for bound in ("0.25", "0.5", "0.75", "1", "+Inf"):
        # Read in the midst of a change: counts go up and down between bounds.
        yield _recorded("torn_bucket", times, [float(random.randrange(50)) for _ in times], le=bound)
        yield _recorded("torn_nan_bucket", times, [random.choice([1.0, 5.0, math.nan]) for _ in times], le=bound)
        yield _recorded("empty_bucket", times, [0.0 for _ in times], le=bound)


def _histogram(random: Random, name: str, bounds: tuple[str, ...], host: str) -> Iterator[Recorded]:
    times = _scrapes(random, 0.05)
    counts = [[0.0] for _ in bounds]
    for _ in times[1:]:
        total = float(random.randrange(3))
        for column in counts:
            total += random.randrange(4)
            column.append(column[-1] + total)
    for bound, column in zip(bounds, counts, strict=True):
        yield _recorded(f"{name}_bucket", times, column, host=host, le=bound)
    yield _recorded(f"{name}_count", times, counts[-1], host=host)


def store_of(every: list[Recorded]) -> SeriesStore:
    store = SeriesStore(10 * LASTS_S, None)
    for each in every:
        for time_s, value in each.points:
            store.append(each.name, key_of(each.labels), time_s, value)
    return store


def push(every: list[Recorded], url: str, begins_unix_s: float) -> None:
    """By remote write, to a Prometheus that takes it."""
    body = b"".join(_encoded(each, begins_unix_s) for each in every)
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    answer = requests.post(
        f"{url}/api/v1/write", data=bytes(cramjam.snappy.compress_raw(body)), headers=headers, timeout=30
    )
    assert answer.status_code == 204, answer.text


def _encoded(each: Recorded, begins_unix_s: float) -> bytes:
    message = _messages.TimeSeries()
    for name, text in sorted({"__name__": each.name, **each.labels}.items()):
        message.labels.add(name=name, value=text)
    for time_s, value in each.points:
        message.samples.add(value=STALE if value is None else value, timestamp=round((begins_unix_s + time_s) * 1000))
    content: bytes = message.SerializeToString()
    return b"\x0a" + varint(len(content)) + content

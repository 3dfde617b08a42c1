"""Pages of metrics; what Prometheus itself makes of many more is in tests/integration/targets/test_pages.py."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_open
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_text

from obswarm.targets.exposition import OPENMETRICS, TEXT, ParseError, canonical_number, decode, entries, labels_of
from tests.support.odd_pages import PAGES

Read = list[tuple[str, dict[str, str], float]]


def read(page: str, media_type: str = TEXT) -> Read:
    found = []
    for entry in entries(page, media_type):
        name, pairs = labels_of(page, entry, media_type)
        found.append((name, dict(pairs), entry.value))
    return found


@pytest.mark.parametrize("metric_type", ["counter", "gauge", "untyped"])
def test_a_metric_has_the_name_that_the_page_gives(metric_type: str) -> None:
    for name in ("pg_stat_database_xact_commit", "redis_commands_processed_total", "load"):
        assert read(f"# TYPE {name} {metric_type}\n{name} 1\n") == [(name, {}, 1.0)]


def test_metric_names_in_openmetrics() -> None:
    page = "# TYPE a counter\na 1\n# TYPE b counter\nb_total 2\nb_created 3\n# EOF\n"
    assert [name for name, *_ in read(page, OPENMETRICS)] == ["a", "b_total", "b_created"]


@pytest.mark.parametrize(
    ("page", "line", "what"),
    [
        ("a 1\nb\n", 2, "not a metric with a value"),
        ("a 1\n\n# x\nb x\n", 4, "the value is not a number"),
        ("a 1\nb 1e400\n", 2, "the value is not a number"),
        ("a 1 99999999999999999999\n", 1, "the timestamp is not a number"),
        ('a{x="1\n2"} 1\nb{x} 1\n', 3, "the labels cannot be parsed"),
        ("a 1\n# TYPE a counts\n", 2, "not a metric type"),
        ("a 1\n# TYPE a counter\r\n", 2, "the line ends with a carriage return"),
        ("a 1\nb 2\r\nc 3\n", 2, "the line ends with a carriage return"),
        ('a{x="1",x="2"} 1\n', 1, "duplicate label"),
        ("a 1\n\0", 2, "a NUL character"),
        ("a 1\n# TYPE\t 1a counter\n", 2, "no metric name after TYPE"),
    ],
)
def test_a_parse_error_has_the_line_number(page: str, line: int, what: str) -> None:
    with pytest.raises(ParseError) as raised:
        read(page)
    assert str(raised.value) == f"line {line} of the page: {what}"


@pytest.mark.parametrize(
    ("page", "what"),
    [
        ("a 1\n", "line 2 of the page: the page ends without # EOF"),
        ("a 1\n# EOF\nb 2\n", "line 3 of the page: text after # EOF"),
        ("# UNIT a_s m\n# EOF", "line 1 of the page: the metric name does not end with the unit"),
        ("# TYPE a untyped\n# EOF", "line 1 of the page: not a metric type"),
        ("a 1 NaN\n# EOF", "line 1 of the page: the timestamp is not a number"),
    ],
)
def test_openmetrics_is_parsed_strictly(page: str, what: str) -> None:
    with pytest.raises(ParseError) as raised:
        read(page, OPENMETRICS)
    assert str(raised.value) == what


def test_the_timestamp_of_a_page_is_parsed() -> None:
    assert [entry.timestamp_s for entry in entries("a 1 1500\nb 2\n", TEXT)] == [1.5, None]
    assert [entry.timestamp_s for entry in entries("a 1 1.5\nb 2\n# EOF\n", OPENMETRICS)] == [1.5, None]


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("1", "1.0"), ("1.0", "1.0"), ("0", "0.0"), ("-0", "0.0"), ("-1", "-1.0"), (".5", "0.5"), ("2.50", "2.5"), ("1e3", "1000.0"),
        ("123456", "123456.0"), ("1000000", "1e+06"), ("1234567", "1.234567e+06"), ("-1.5e9", "-1.5e+09"), ("1e22", "1e+22"),
        ("0.0001", "0.0001"), ("0.00001", "1e-05"), ("1.5e-7", "1.5e-07"), ("1e100", "1e+100"), ("inf", "+Inf"), ("-Inf", "-Inf"),
        ("nan", "NaN"), ("junk", "junk"), ("1e400", "1e400"), ("", ""),
        ("1_0", "10.0"), ("1_0.2_5e0_1", "102.5"), ("0x1p3", "8.0"), ("-0X_A.8P-1", "-5.25"), ("0x.8p1", "1.0"), ("0_7", "7.0"),
        ("1__0", "1__0"), ("_1", "_1"), ("1_", "1_"), ("1_.5", "1_.5"), ("1._5", "1._5"), ("0x1", "0x1"), ("0x1p", "0x1p"),
        ("0x1p5000", "0x1p5000"), ("in_f", "in_f"), ("0b1", "0b1"), ("+nan", "+nan"), ("１", "１"),
    ],
)  # fmt: skip
def test_bounds_are_normalised(number: str, written: str) -> None:
    assert canonical_number(number) == written


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_normalised_number_has_the_same_value(number: float) -> None:
    written = canonical_number(repr(number))
    assert float(written) == number
    assert canonical_number(written) == written


LABEL_VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(st.lists(LABEL_VALUES, min_size=1, max_size=4, unique=True), st.floats(), st.booleans())
def test_pages_of_prometheus_client_are_parsed_as_by_its_own_parser(
    values: list[str], number: float, is_open: bool
) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("gauge", 'With a \\ and a\nbreak and a "', ["x"], registry=registry)
    for value in values:
        gauge.labels(value).set(number)
    Counter("counter", "", registry=registry).inc(3)
    Summary("summary", "", registry=registry).observe(2)
    Histogram("histogram", "", registry=registry).observe(0.3)
    page = (generate_open if is_open else generate_latest)(registry).decode()
    expected = [
        (sample.name, {name: value for name, value in sample.labels.items() if value}, float(sample.value))
        for family in (parse_open if is_open else parse_text)(page)
        for sample in family.samples
    ]
    found = read(page, OPENMETRICS if is_open else TEXT)
    assert [each[:2] for each in found] == [each[:2] for each in expected]
    assert all(a == b or (math.isnan(a) and math.isnan(b)) for (*_, a), (*_, b) in zip(found, expected, strict=True))


def test_every_malformed_page_is_parsed_or_refused() -> None:
    refused: dict[tuple[str, str], ParseError] = {}
    for name, odd in PAGES.items():
        page = decode(odd.body if isinstance(odd.body, bytes) else odd.body())
        for media_type in (TEXT, OPENMETRICS):
            try:
                read(page, media_type)
            except ParseError as error:
                refused[name, media_type] = error
                assert 1 <= error.line <= page.count("\n") + 2, name  # noqa: PT017
    assert len(PAGES) < len(refused) < 2 * len(PAGES)
    assert max(len(str(error)) for error in refused.values()) < 100


@pytest.mark.parametrize(
    "page", ['a{x="' + "b" * 4_000_000, 'a{x="' + "\\\\" * 2_000_000, "{" * 4_000_000, "a" * 4_000_000, 'a{x="1",' * 500_000]
)  # fmt: skip
def test_a_large_page_of_blanks_is_parsed_quickly(page: str) -> None:
    before = time.thread_time()
    with pytest.raises(ParseError):
        read(page)
    with pytest.raises(ParseError):
        read(page, OPENMETRICS)
    # Quadratic would be hours.
    assert time.thread_time() - before < 30

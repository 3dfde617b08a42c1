import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.stats import EndpointKey, EndpointStats, describe_error, normalise_error, status_class

KEY = EndpointKey("GET", "/")
requests = st.lists(
    st.tuples(
        st.floats(min_value=1e-6, max_value=100),
        st.integers(0, 10_000),
        st.sampled_from(["2xx", "4xx", "5xx", "error"]),
        st.booleans(),
    ),
    max_size=60,
)


def stats_of(recorded: list[tuple[float, int, str, bool]]) -> EndpointStats:
    stats = EndpointStats(KEY)
    for request in recorded:
        stats.record(*request)
    return stats


def figures(stats: EndpointStats) -> tuple[object, ...]:
    return (
        stats.duration.buckets,
        stats.duration.sum_ns,
        stats.failures,
        stats.response_bytes,
        stats.successes,
        stats.failures_by,
    )


@given(requests, requests)
def test_merged_statistics_are_those_of_all_requests_together(a, b) -> None:
    one = stats_of(a)
    one.merge(stats_of(b))
    together = stats_of(a + b)
    assert figures(one) == figures(together)
    assert (one.min_s, one.max_s) == (together.min_s, together.max_s)


@given(requests, requests)
def test_subtracting_what_was_merged_gives_every_count_back(a, b) -> None:
    both = stats_of(a + b)
    both.subtract(stats_of(b))
    alone = stats_of(a)
    assert figures(both) == figures(alone)
    if alone.min_s is None:
        assert both.min_s is None
    else:
        assert both.min_s == pytest.approx(alone.min_s, rel=0.022)
        assert both.max_s == pytest.approx(alone.max_s, rel=0.022)


def test_every_request_counts_in_exactly_one_status() -> None:
    stats = stats_of([(0.1, 5, "2xx", False), (0.2, 5, "5xx", True), (0.3, 0, "2xx", True)])
    assert stats.successes == {"2xx": 1}
    assert stats.failures_by == {"5xx": 1, "2xx": 1}
    assert stats.error_ratio == pytest.approx(2 / 3)


def test_a_quantile_lies_within_the_measured_extremes() -> None:
    stats = stats_of([(0.1, 0, "2xx", False)])
    assert stats.quantile(0.5) == 0.1


@pytest.mark.parametrize(
    ("code", "expected"), [(200, "2xx"), (304, "3xx"), (404, "4xx"), (503, "5xx"), (0, "error"), (None, "other"), (999, "other")]
)  # fmt: skip
def test_status_classes(code: int | None, expected: str) -> None:
    assert status_class(code) == expected


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("<Connection object at 0x7f11aa22bb33>: refused", "<Connection object at 0x7f99aa88bb77>: refused"),
        ("order 12345678 not found", "order 87654321 not found"),
        ("no 550e8400-e29b-41d4-a716-446655440000", "no 650e8400-e29b-41d4-a716-446655440001"),
        ("a  text\nover lines", "a text over lines"),
    ],
)
def test_errors_that_differ_only_in_what_always_differs_are_one(one: str, two: str) -> None:
    assert normalise_error(one) == normalise_error(two)


def test_a_page_as_an_error_message_is_cut() -> None:
    assert len(normalise_error("<html>" * 10_000)) <= 300


def test_an_exception_is_described_by_type_and_text() -> None:
    assert describe_error(KeyError("status")) == "KeyError: 'status'"
    assert describe_error(TimeoutError()) == "TimeoutError"
    assert describe_error("not queued") == "not queued"
    assert describe_error("") == "failed"

"""Requests that the recorder gathers and counts many at once: the same statistics as of each by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.stats import OTHER, EndpointKey, Recorder, StatsTable

RESPONSES = st.lists(
    st.tuples(
        st.sampled_from(["GET", "POST"]),
        st.sampled_from(["/a", "/b", "/\x1b[31mc", "", "/long" * 200]),
        st.floats(min_value=0, max_value=4000),
        st.integers(min_value=0, max_value=10**9),
        st.sampled_from([200, 204, 302]),
    ),
    max_size=60,
)


def summary(table: StatsTable) -> list[tuple]:
    """Everything but sums of durations, which differ by the rounding of each."""
    return [
        (
            key,
            stats.requests,
            stats.duration.buckets,
            stats.min_s,
            stats.max_s,
            stats.response_bytes,
            stats.successes,
            stats.failures_by,
            stats.late,
            stats.timings.counts,
            {phase: histogram.buckets for phase, histogram in stats.timings.histograms.items()},
        )
        for key, stats in table.endpoints.items()
    ]


@pytest.mark.parametrize("detailed", [False, True])
@given(responses=RESPONSES, limit=st.integers(2, 12))
def test_responses_counted_in_bulk_are_counted_as_each_by_itself(
    responses: list[tuple], limit: int, detailed: bool
) -> None:
    at_once, one_by_one = (Recorder(max_endpoints=limit, detailed_timings=detailed) for _ in range(2))
    for method, name, duration_s, size, status in responses:
        at_once.record_response(method, name, duration_s, size, status)
        one_by_one.record(method, name, duration_s, size, status, None, (None, None, duration_s, 0.0))
    gathered, single = at_once.take(), one_by_one.take()
    assert sorted(summary(gathered), key=repr) == sorted(summary(single), key=repr)
    assert sorted(gathered.overflow_names) == sorted(single.overflow_names)


def test_responses_counted_in_bulk_are_in_the_delta_of_their_interval_alone() -> None:
    recorder = Recorder()
    recorder.record_response("GET", "/", 0.1, 10, 200)
    assert recorder.take().endpoints[EndpointKey("GET", "/")].requests == 1
    recorder.record_response("GET", "/", 0.2, 10, 200)
    assert recorder.take().endpoints[EndpointKey("GET", "/")].requests == 1
    assert recorder.take().is_empty()


def test_responses_before_the_end_of_the_load_are_not_late() -> None:
    recorder = Recorder()
    recorder.record_response("GET", "/", 0.1, 10, 200)
    recorder.end_load()
    recorder.record_response("GET", "/", 0.1, 10, 200)
    stats = recorder.take().endpoints[EndpointKey("GET", "/")]
    assert (stats.requests, stats.late_requests) == (2, 1)


def test_more_than_are_gathered_at_once_are_all_counted() -> None:
    recorder = Recorder()
    for number in range(12_345):
        recorder.record_response("GET", f"/{number % 3}", 0.001, 1, 200)
    table = recorder.take()
    assert sum(stats.requests for stats in table.endpoints.values()) == 12_345
    assert sum(stats.response_bytes for stats in table.endpoints.values()) == 12_345


def test_the_endpoints_beyond_the_limit_are_those_that_came_last() -> None:
    recorder = Recorder(max_endpoints=3)
    recorder.record_response("GET", "/first", 0.1, 0, 200)
    recorder.record("GET", "/second", 0.1, 0, 500, "boom")
    recorder.record_response("GET", "/third", 0.1, 0, 200)
    table = recorder.take()
    assert list(table.endpoints) == [EndpointKey("GET", "/first"), EndpointKey("GET", "/second"), OTHER]
    assert table.overflow_names == ["/third"]


def test_a_name_of_any_type_is_counted_as_text() -> None:
    recorder = Recorder()
    recorder.record_response("GET", ["/a"], 0.1, 10, 200)  # type: ignore[arg-type]
    assert list(recorder.take().endpoints) == [EndpointKey("GET", "['/a']")]

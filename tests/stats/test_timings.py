"""Phases of requests: counted, summed, merged and subtracted exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.stats import EndpointKey, EndpointStats, PhaseTimes, Recorder, TimingStats

seconds = st.floats(0, 100, allow_nan=False)
times = st.builds(PhaseTimes, st.none() | seconds, st.none() | seconds, seconds, seconds)


def recorded(each: list[PhaseTimes], detailed: bool) -> TimingStats:
    stats = TimingStats()
    for one in each:
        stats.record(one, detailed)
    return stats


@given(st.lists(times), st.lists(times), st.booleans())
def test_merging_and_subtracting_are_exact(mine: list[PhaseTimes], others: list[PhaseTimes], detailed: bool) -> None:
    a, b = recorded(mine, detailed), recorded(others, detailed)
    merged = a.copy()
    merged.merge(b)
    assert merged == recorded(mine + others, detailed)
    merged.subtract(b)
    assert merged == a


def test_phases_that_did_not_happen_are_not_counted() -> None:
    stats = recorded(
        [PhaseTimes(None, None, 0.2, 0.1), PhaseTimes(0.01, None, 0.4, 0.1), PhaseTimes(0.03, 0.05, 0.6, 0.1)], False
    )
    assert stats.counts == [2, 1, 3, 3]
    assert stats.means_s() == pytest.approx({"connect": 0.02, "tls": 0.05, "first_byte": 0.4, "download": 0.1})


def test_the_recorder_keeps_histograms_when_told_to() -> None:
    for detailed in (False, True):
        recorder = Recorder(detailed_timings=detailed)
        recorder.record("GET", "/", 0.5, 10, 200, None, PhaseTimes(None, None, 0.4, 0.1))
        recorder.record("GET", "/", 0.5, 0, 0, "refused", PhaseTimes(None, None, 0.0, 0.0))
        timings = recorder.take().endpoints[EndpointKey("GET", "/")].timings
        assert timings is not None
        assert timings.counts == [0, 0, 1, 1], "a request without an answer has no phases"
        assert set(timings.histograms) == ({"first_byte", "download"} if detailed else set())


def test_endpoints_merge_and_subtract_them() -> None:
    one, other = EndpointStats(EndpointKey("GET", "/")), EndpointStats(EndpointKey("GET", "/"))
    other.record(0.5, 10, "2xx", False)
    other.timings = recorded([PhaseTimes(0.1, None, 0.3, 0.1)], True)
    one.merge(other)
    assert one.timings == other.timings
    one.subtract(other)
    assert one.timings is not None
    assert one.timings.means_s() == {}

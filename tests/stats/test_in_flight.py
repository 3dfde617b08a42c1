"""Requests in flight: their number by endpoint, and their ages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.stats import (
    TOTAL,
    CutOff,
    CutOffKey,
    EndpointKey,
    InFlight,
    InFlightPeaks,
    PendingRequest,
    Recorder,
    StatsTable,
    count_in_flight,
    total_in_flight,
)

A, B = EndpointKey("GET", "/a"), EndpointKey("POST", "/b")


def test_a_recorder_knows_what_is_under_way_by_endpoint() -> None:
    recorder = Recorder()
    keys = [object() for _ in range(4)]
    for key, fields in zip(
        keys, [(*A[:2], 90.0, False), (*A[:2], 97.0, False), (*B[:2], 99.0, False), (*B[:2], 95.0, True)], strict=True
    ):
        recorder.pending[key] = fields
    found = recorder.in_flight(100.0)
    assert {key: (each.count, each.oldest_s) for key, each in found.items()} == {A: (2, 10.0), B: (2, 5.0)}
    assert (found[A].ages.count, found[A].ages.sum_s) == (2, pytest.approx(13.0))
    # The one whose answer has begun will not take any longer in the statistics.
    assert (found[B].ages.count, found[B].ages.sum_s) == (1, pytest.approx(1.0))
    for key in keys:
        del recorder.pending[key]
    assert recorder.in_flight(100.0) == {}


def test_what_is_taken_for_a_report_leaves_requests_under_way() -> None:
    recorder = Recorder()
    recorder.pending[recorder] = PendingRequest(*A[:2], 1.0)
    assert recorder.take().is_empty()
    assert recorder.in_flight(2.0)[A].count == 1


def test_endpoints_beyond_the_limit_are_under_way_as_other() -> None:
    found = count_in_flight([("GET", f"/{number}", 0.0, False) for number in range(50)], 1.0, max_endpoints=10)
    assert len(found) == 10
    assert found[EndpointKey("", "(other)")].count == 41
    assert total_in_flight(found.values()).count == 50


@given(st.lists(st.tuples(st.one_of(st.text(), st.integers(), st.binary(), st.lists(st.integers())), st.floats(0, 50))))
def test_whatever_is_given_as_a_name_is_counted_as_text(requests) -> None:
    found = count_in_flight([("GET", name, started, False) for name, started in requests], 50.0, 1000)
    total = total_in_flight(found.values())
    assert total.count == total.ages.count == len(requests)
    assert all(isinstance(key.name, str) and key.name.encode() is not None for key in found)


def test_a_clock_that_is_a_moment_behind_makes_no_negative_age() -> None:
    (found,) = count_in_flight([("GET", "/", 1.001, False)], 1.0, 10).values()
    assert found.oldest_s == 0.0


def test_what_was_cut_off_is_bounded_and_merges() -> None:
    one, other = StatsTable(max_errors=2), StatsTable()
    for number in range(4):
        other.count_cut_off(CutOffKey("request", "GET", f"/{number}"), CutOff(1, number))
    other.count_cut_off(CutOffKey("task", "", "User.work"), CutOff(1, 9.0))
    one.merge(other)
    assert one.cut_off == {
        CutOffKey("request", "GET", "/0"): CutOff(1, 0),
        CutOffKey("request", "GET", "/1"): CutOff(1, 1),
        CutOffKey("request", "", "(other)"): CutOff(2, 3),
        CutOffKey("task", "", "(other)"): CutOff(1, 9.0),
    }
    assert one.interrupted == 4
    assert not one.is_empty()


def test_the_most_that_was_under_way_is_kept_by_endpoint_and_altogether() -> None:
    peaks = InFlightPeaks()
    a, b = EndpointKey("GET", "/a"), EndpointKey("GET", "/b")
    peaks.note({a: InFlight(5, 0.2), b: InFlight(1, 9.0)})
    peaks.note({})
    peaks.note({a: InFlight(3, 4.0)})
    assert peaks.by_endpoint == {a: InFlight(5, 4.0), b: InFlight(1, 9.0), TOTAL: InFlight(6, 9.0)}

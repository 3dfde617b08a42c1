import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from obswarm.defaults import MAX_DURATION_S, MAX_ERROR_LENGTH, MAX_NAME_LENGTH, MAX_TRACEBACK_LENGTH
from obswarm.sanitize import is_clean
from obswarm.stats import OTHER, Aggregate, EndpointKey, ErrorKey, Histogram, Recorder, StatsTable
from tests.support.anything import ANY_ERROR, ANYTHING, Raises


def test_a_request_is_counted_once_and_in_one_delta_only() -> None:
    recorder = Recorder()
    recorder.record("GET", "/", 0.1, 100, 200)
    first = recorder.take()
    recorder.record("GET", "/", 0.2, 50, 500, "boom")
    second = recorder.take()
    assert first.endpoints[EndpointKey("GET", "/")].requests == 1
    assert second.endpoints[EndpointKey("GET", "/")].failures == 1
    assert list(second.errors) == [ErrorKey("GET", "/", "boom")]
    assert not recorder.take().endpoints


def test_requests_that_finish_after_the_load_count_in_all_figures_but_rates() -> None:
    recorder, whole = Recorder(), StatsTable()
    key = EndpointKey("GET", "/")
    recorder.record("GET", "/", 0.1, 100, 200)
    whole.merge(recorder.take())
    recorder.record("GET", "/", 0.1, 100, 200)
    recorder.end_load()
    recorder.record("GET", "/", 5.0, 100, 200)
    recorder.record("GET", "/", 5.0, 100, 500, "boom")
    recorder.end_load()
    recorder.record("GET", "/late", 5.0, 100, 200)
    whole.merge(recorder.take())
    recorder.record("GET", "/", 6.0, 100, 500, "boom")
    whole.merge(recorder.take())
    stats = whole.endpoints[key]
    assert (stats.requests, stats.failures, stats.late_requests, stats.max_s) == (5, 2, 3, 6.0)
    assert (stats.rate(2.0), stats.rate(2.0, "2xx"), stats.rate(2.0, "5xx"), stats.failure_rate(2.0)) == (1, 1, 0, 0)
    assert whole.endpoints[EndpointKey("GET", "/late")].rate(2.0) == 0
    assert whole.total().rate(2.0) == 1
    assert stats.rate(0.0) == 0


def test_requests_with_an_intended_start_have_a_response_time_from_there_as_well() -> None:
    recorder, key = Recorder(), EndpointKey("GET", "/")
    recorder.record("GET", "/", 0.1, 100, 200)
    assert recorder.take().endpoints[key].intended_duration is None
    for start_delay_s in (None, 0.0, 0.4, -1.0, "0.4", "no number", math.nan):
        recorder.record("GET", "/", 0.1, 100, 200, start_delay_s=start_delay_s)
    recorder.record("GET", "/", None, 100, 200, start_delay_s=0.4)
    recorder.record("GET", "/", MAX_DURATION_S, 100, 200, start_delay_s=MAX_DURATION_S)
    stats = recorder.take().endpoints[key]
    assert (stats.requests, stats.duration.count) == (9, 8)
    expected = Histogram()
    for seconds in (0.1, 0.5, 0.1, 0.5, 0.1, 0.1, MAX_DURATION_S):
        expected.record(seconds)
    assert stats.intended_duration == expected
    recorder.record("GET", "/other", 0.1, 100, 200)
    whole = recorder.take()
    assert whole.total().intended_duration is None
    whole.endpoint(key).merge(stats)
    assert whole.total().intended_duration == expected


def test_endpoints_beyond_the_limit_count_as_other_and_the_first_offenders_are_named() -> None:
    recorder = Recorder(max_endpoints=10)
    for number in range(1000):
        recorder.record("GET", f"/{number}", 0.1, error="failed" if number % 2 else None)
    table = recorder.take()
    assert len(table.endpoints) == 10
    assert table.endpoints[OTHER].requests == 991
    assert table.total().requests == 1000
    assert table.overflow_names == ["/9", "/10", "/11", "/12", "/13"]
    assert sum(seen.count for seen in table.errors.values()) == 500
    assert len(table.errors) <= 11


def test_kinds_of_errors_are_bounded_and_none_is_lost() -> None:
    table = StatsTable(max_errors=5)
    recorder = Recorder()
    for number in range(100):
        recorder.record("GET", "/", 0.1, error=f"kind {'x' * number}")
    table.merge(recorder.take())
    assert len(table.errors) <= 6
    assert sum(seen.count for seen in table.errors.values()) == 100


def test_an_aggregate_hands_out_copies_that_later_deltas_do_not_change() -> None:
    aggregate, recorder = Aggregate(), Recorder()
    recorder.record("GET", "/a", 0.1)
    recorder.record("GET", "/b", 0.1)
    aggregate.merge(recorder.take())
    before = aggregate.endpoints()
    recorder.record("GET", "/a", 0.1)
    aggregate.merge(recorder.take())
    after = aggregate.endpoints()
    a, b = EndpointKey("GET", "/a"), EndpointKey("GET", "/b")
    assert (before[a].requests, after[a].requests) == (1, 2)
    assert before[b] is after[b], "what has not changed is not copied again"
    assert aggregate.total().requests == 3


def test_the_limit_holds_for_the_whole_fleet() -> None:
    aggregate = Aggregate(max_endpoints=10)
    for worker in range(3):
        recorder = Recorder(max_endpoints=10)
        for number in range(10):
            recorder.record("GET", f"/{worker}/{number}", 0.1)
        aggregate.merge(recorder.take())
    assert len(aggregate.endpoints()) == 10
    assert sum(stats.requests for stats in aggregate.endpoints().values()) == 30
    assert aggregate.total().requests == 30


def test_exceptions_of_user_code_are_counted_by_message() -> None:
    recorder = Recorder()
    recorder.record_exception("KeyError: 'a'", "Traceback…")
    recorder.record_exception("KeyError: 'a'", "")
    recorder.record_cut_off("request", "GET", "/a", 0.5)
    table = recorder.take()
    assert table.exceptions["KeyError: 'a'"].count == 2
    assert table.exceptions["KeyError: 'a'"].traceback == "Traceback…"
    assert table.interrupted == 1


@given(ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING, st.none() | ANY_ERROR)
@example("GET", 7, 0.1, 5, 200, None)
@example("GET", "/", None, None, None, None)
@example("GET", "/", -5.0, -1, 200, "no stock for \ud83d")
@example("GET", "/" * 30_000, math.nan, 2**60, [], Raises())
def test_whatever_is_recorded_counts_once_as_clean_text_and_sane_numbers(
    method, name, duration_s, size, status, error
) -> None:
    recorder = Recorder()
    recorder.record(method, name, duration_s, size, status, error)
    recorder.record(method, name, duration_s, size, status, error)
    table = recorder.take()
    ((key, stats),) = table.endpoints.items()
    assert key == stats.key
    assert (stats.requests, stats.failures) == (2, 0 if error is None else 2)
    assert sum(stats.successes.values()) + sum(stats.failures_by.values()) == 2
    assert stats.duration.count in (0, 2)
    assert 0 <= stats.duration.sum_ns < 2**64
    assert 0 <= stats.response_bytes < 2**63
    assert stats.min_s is None or stats.min_s >= 0
    assert sum(seen.count for seen in table.errors.values()) == stats.failures
    for text in (*key, *stats.successes, *stats.failures_by, *(each for error in table.errors for each in error)):
        assert type(text) is str
        assert is_clean(text)
        assert len(text) <= MAX_NAME_LENGTH


def test_a_request_without_a_duration_counts_and_is_in_no_figure_about_durations() -> None:
    recorder = Recorder()
    recorder.record("GET", "/", 0.5, 10, 200)
    recorder.record("GET", "/", None, 20, 500, "no")
    first = recorder.take().endpoints[EndpointKey("GET", "/")]
    assert (first.requests, first.failures, first.duration.count, first.response_bytes) == (2, 1, 1, 30)
    assert first.error_ratio == 0.5
    assert first.quantile(0.99) == first.max_s == 0.5
    both = first.copy()
    both.merge(first)
    assert (both.requests, both.untimed) == (4, 2)
    both.subtract(first)
    assert (both.requests, both.untimed) == (2, 1)


def test_a_clock_that_went_back_gives_a_duration_of_zero() -> None:
    recorder = Recorder()
    recorder.record("GET", "/", -2.0)
    stats = recorder.take().endpoints[EndpointKey("GET", "/")]
    assert (stats.min_s, stats.max_s, stats.duration.sum_ns, stats.untimed) == (0.0, 0.0, 0, 0)


def test_a_name_that_is_too_long_is_cut_with_a_note() -> None:
    recorder = Recorder()
    recorder.record("GET", "/" * 30_000, 0.1, error="<html>" * 10_000)
    table = recorder.take()
    assert next(iter(table.endpoints)).name.endswith("/… [cut: 30,000 characters]")
    assert next(iter(table.errors)).message.endswith("<html… [cut]")


@given(ANYTHING, ANYTHING)
def test_exceptions_and_iterations_are_clean(one, other) -> None:
    recorder = Recorder()
    recorder.record_exception(one, other)
    table = recorder.take()
    ((message, found),) = table.exceptions.items()
    assert is_clean(message)
    assert is_clean(found.traceback.replace("\n", ""))
    assert (len(message) <= MAX_ERROR_LENGTH, len(found.traceback) <= MAX_TRACEBACK_LENGTH) == (True, True)


def test_the_name_of_a_user_class_is_clean() -> None:
    recorder = Recorder()
    recorder.record_iteration("A\n\ud83d")
    recorder.record_iteration("A\n\ud83d")
    assert recorder.take().iterations == {"A\\n\\ud83d": 2}


def test_an_error_whose_text_takes_its_time_is_counted_with_its_request() -> None:
    recorder = Recorder()
    taken = []

    class Slow(Exception):
        def __str__(self) -> str:
            # As when reading it has to wait, and a report is made meanwhile.
            taken.append(recorder.take())
            return "slow"

    recorder.record("GET", "/", 0.1, error=Slow())
    table = recorder.take()
    assert all(each.is_empty() for each in taken)
    assert table.endpoints[EndpointKey("GET", "/")].failures == 1
    assert sum(seen.count for seen in table.errors.values()) == 1


def test_requests_of_an_iteration_that_started_late_count_from_its_intended_start_as_well() -> None:
    """Both ways in: one by one, and in bulk. A request outside of an iteration has no intended start."""
    recorder = Recorder()
    delays: list[float | None] = [0.5]
    recorder.start_delay = lambda: delays[0]
    recorder.record("GET", "/a", 0.1, 10, 200)
    for _ in range(3):
        recorder.record_response("GET", "/a", 0.1, 10, 200)
    delays[0] = None
    recorder.record_response("GET", "/a", 0.1, 10, 200)
    recorder.record("GET", "/a", 0.1, 10, 200)
    delays[0] = 1.0
    recorder.record("GET", "/a", 0.1, 10, 200, start_delay_s=2.0)
    stats = recorder.take().endpoints[EndpointKey("GET", "/a")]
    assert stats.requests == 7
    assert stats.intended_duration is not None
    assert stats.intended_duration.count == 5
    assert stats.intended_duration.sum_s == pytest.approx(4 * 0.6 + 2.1)
    assert stats.duration.sum_s == pytest.approx(0.7)


def test_iterations_that_were_not_started_are_counted_by_class_and_reason() -> None:
    recorder = Recorder()
    assert recorder.is_empty
    recorder.record_dropped("Buyer", "no_free_user")
    recorder.record_dropped("Buyer", "no_free_user", 4)
    recorder.record_dropped("Buyer", "user_failed")
    assert not recorder.is_empty
    assert recorder.take().dropped == {("Buyer", "no_free_user"): 5, ("Buyer", "user_failed"): 1}

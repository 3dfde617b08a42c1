"""What the sinks are told of a run's statistics."""

from collections.abc import Callable

import pytest

from obswarm import clock
from obswarm.engine.statistics import RunStatistics
from tests.support.recorded import PAGE, MadeUpRun


def test_what_an_earlier_process_has_measured_is_in_the_whole_and_in_no_interval() -> None:
    earlier = MadeUpRun([])
    earlier.second({PAGE: [0.01] * 7})
    run = MadeUpRun([])
    run.statistics.restore(earlier.statistics.table)
    snapshot = run.second({PAGE: [0.02] * 2})
    assert snapshot.endpoints[PAGE].requests == snapshot.total.requests == 9
    assert snapshot.interval[PAGE].requests == snapshot.interval_total.requests == 2


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the clocks."""

    def set_to(seconds: float) -> None:
        monkeypatch.setattr(clock, "monotonic", lambda: seconds)
        monkeypatch.setattr(clock, "wall", lambda: 1_000_000.0 + seconds)

    set_to(100.0)
    return set_to


def test_the_time_of_the_load_ends_when_users_are_told_to_end(at: Callable[[float], None]) -> None:
    run = MadeUpRun([])
    run.statistics.begin(100.0)
    at(101.0)
    assert run.second({}).load_s == 1.0
    run.statistics.end_load(104.0)
    at(105.0)
    run.statistics.end_load(105.0)
    drained = run.second({})
    assert (drained.load_s, drained.stats_elapsed_s) == (4.0, 5.0)
    run.statistics.end(110.0)
    at(112.0)
    final = run.second({})
    assert (final.load_s, final.stats_elapsed_s, final.elapsed_s) == (4.0, 10.0, 10.0)
    assert final.interval_s == 5.0, "what test_stop takes is no time of the users"


def test_the_time_of_the_load_begins_where_the_statistics_do(at: Callable[[float], None]) -> None:
    run = MadeUpRun([])
    run.statistics.begin(100.0)
    run.statistics.reset(103.0)
    run.statistics.end_load(104.0)
    at(110.0)
    assert run.second({}).load_s == 1.0


def test_a_run_that_is_taken_up_while_it_ends_keeps_the_time_of_its_load(at: Callable[[float], None]) -> None:
    statistics = RunStatistics(run_id="r", test="t", host=None, planned_s=None)
    statistics.begin(100.0, elapsed_s=20.0, stats_elapsed_s=15.0)
    statistics.end_load(100.0, load_s=9.0)
    statistics.end_load(101.0)
    assert statistics.load_s(130.0) == 9.0

"""What the sinks are told of a run's statistics."""

from tests.support.recorded import PAGE, MadeUpRun


def test_what_an_earlier_process_has_measured_is_in_the_whole_and_in_no_interval() -> None:
    earlier = MadeUpRun([])
    earlier.second({PAGE: [0.01] * 7})
    run = MadeUpRun([])
    run.statistics.restore(earlier.statistics.table)
    snapshot = run.second({PAGE: [0.02] * 2})
    assert snapshot.endpoints[PAGE].requests == snapshot.total.requests == 9
    assert snapshot.interval[PAGE].requests == snapshot.interval_total.requests == 2

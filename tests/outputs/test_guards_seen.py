"""What the summary says of guards, also of those that did not trip."""

from dataclasses import replace

from obswarm.cli.guards_seen import GuardsSeen
from obswarm.record import GuardState, GuardView, Snapshot
from tests.support.recorded import MadeUpRun

GUARD = GuardView("error_ratio > 90%", "error_ratio > 90%", "stop", GuardState.OK, 0.03, "3%", None, ())


def second(guard: GuardView) -> Snapshot:
    return replace(MadeUpRun([]).second({}), interval_s=1.0, guards=(guard,))


def line_of(*guards: GuardView) -> str:
    seen = GuardsSeen()
    for guard in guards:
        seen.add(second(guard))
    return seen.lines([guards[-1]])[0].plain


def test_one_that_did_not_trip_with_its_last_lowest_and_highest_value() -> None:
    assert line_of(replace(GUARD, value=0.5, shown="50%"), replace(GUARD, value=0.01, shown="1%"), GUARD) == (
        "guard error_ratio > 90% → stop: did not trip, last 3%, lowest 1%, highest 50%"
    )


def test_one_whose_value_did_not_change() -> None:
    assert line_of(GUARD, GUARD).endswith("did not trip, last 3%")


def test_one_that_tripped() -> None:
    tripped = replace(GUARD, state=GuardState.TRIPPED, value=0.95, shown="95%", trips=(("stop", 1), ("notify", 2)))
    assert line_of(GUARD, tripped).endswith("tripped 3 ×, last 95%, lowest 3%, highest 95%")


def test_one_that_never_had_data() -> None:
    no_data = replace(
        GUARD, state=GuardState.NO_DATA, value=None, shown="–", no_data_reason="the Prometheus does not answer"
    )
    assert line_of(no_data, no_data).endswith("did not trip (no data), had no data: the Prometheus does not answer")


def test_one_that_had_data_for_a_part_of_the_time() -> None:
    no_data = replace(GUARD, state=GuardState.NO_DATA, no_data_reason="away")
    again = replace(GUARD, watched_s=3.1, no_data_s=1.9, no_data_reason="away")
    assert line_of(no_data, no_data, again).endswith("did not trip, last 3%, no data for 2s of 3s: away")
    assert line_of(replace(again, no_data_s=0.4)).endswith("did not trip, last 3%"), "less than a question"


def test_one_whose_query_filters_all_series() -> None:
    filtered = replace(GUARD, value=None, shown="no series")
    assert line_of(filtered, filtered).endswith("did not trip, last no series")
    assert line_of(GUARD, filtered).endswith("did not trip, last no series")


def test_one_without_requests_to_look_at() -> None:
    assert "no request of the run" in line_of(replace(GUARD, matched=False, value=None))


def test_one_with_a_name_of_its_own_and_one_that_is_told_apart_by_its_action() -> None:
    assert line_of(replace(GUARD, name="slow")).startswith("guard slow (error_ratio > 90%) → stop:")
    for name in ("error_ratio > 90%", "stop: error_ratio > 90%"):
        assert line_of(replace(GUARD, name=name)).startswith("guard error_ratio > 90% → stop:")

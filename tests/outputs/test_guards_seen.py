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


def test_a_guard_that_did_not_trip_is_shown_with_its_last_lowest_and_highest_value() -> None:
    assert line_of(replace(GUARD, value=0.5, shown="50%"), replace(GUARD, value=0.01, shown="1%"), GUARD) == (
        "guard error_ratio > 90% → stop: did not trip, last 3%, lowest 1%, highest 50%"
    )


def test_a_guard_with_a_constant_value_is_shown_with_that_value_alone() -> None:
    assert line_of(GUARD, GUARD).endswith("did not trip, last 3%")


def test_a_guard_that_tripped_is_shown_with_its_values() -> None:
    tripped = replace(GUARD, state=GuardState.TRIPPED, value=0.95, shown="95%", trips=(("stop", 1), ("notify", 2)))
    assert line_of(GUARD, tripped).endswith("tripped 3 ×, last 95%, lowest 3%, highest 95%")


def test_a_guard_without_data_is_shown_with_the_reason() -> None:
    no_data = replace(
        GUARD, state=GuardState.NO_DATA, value=None, shown="–", no_data_reason="the Prometheus does not answer"
    )
    assert line_of(no_data, no_data).endswith("did not trip (no data), had no data: the Prometheus does not answer")


def test_a_guard_with_data_for_a_part_of_the_time_is_shown_with_the_reason() -> None:
    no_data = replace(GUARD, state=GuardState.NO_DATA, no_data_reason="away")
    again = replace(GUARD, watched_s=3.1, no_data_s=1.9, no_data_reason="away")
    assert line_of(no_data, no_data, again).endswith("did not trip, last 3%, no data for 2s of 3s: away")
    assert line_of(replace(again, no_data_s=0.4)).endswith("did not trip, last 3%"), "less than a question"


def test_a_guard_whose_query_filters_all_series_is_shown_as_not_met() -> None:
    filtered = replace(GUARD, value=None, shown="no series")
    assert line_of(filtered, filtered).endswith("did not trip, last no series")
    assert line_of(GUARD, filtered).endswith("did not trip, last no series")


def test_a_guard_without_requests_of_its_endpoint_is_shown_as_that() -> None:
    assert "no request of the run" in line_of(replace(GUARD, matched=False, value=None))


def test_guards_are_shown_by_name_or_by_their_action() -> None:
    assert line_of(replace(GUARD, name="slow")).startswith("guard slow (error_ratio > 90%) → stop:")
    for name in ("error_ratio > 90%", "stop: error_ratio > 90%"):
        assert line_of(replace(GUARD, name=name)).startswith("guard error_ratio > 90% → stop:")

"""When guards trip and clear, for series of values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.guards import Guard, GuardStateMachine
from obswarm.guards.latency import AtLeast
from obswarm.guards.state_machine import NoData, deciding
from obswarm.record import GuardState


def state_machine(text: str = "error_ratio > 5% for 3s", **more) -> GuardStateMachine:
    return GuardStateMachine(Guard(text, **more))


def states_after(guard: GuardStateMachine, values, step_s: float = 1.0) -> list[str]:
    """The state after each value; a capital letter where it tripped or cleared."""
    states = []
    for number, value in enumerate(values):
        change = guard.update(number * step_s, value)
        letter = str(guard.state)[0]
        states.append(letter.upper() if change.tripped or change.cleared or change.no_data_too_long else letter)
    return states


def test_without_for_it_trips_at_once_and_clears_at_once() -> None:
    assert "".join(states_after(state_machine("error_ratio > 5%"), [0, 0.1, 0.1, 0, 0, 0.2])) == "oTtOoT"


def test_for_counts_from_the_first_snapshot_at_which_it_holds() -> None:
    assert "".join(states_after(state_machine(), [0, 0.1, 0.1, 0.1, 0.1, 0.1])) == "opppTt"
    assert "".join(states_after(state_machine(), [0.1, 0.1, 0.1, 0, 0.1, 0.1, 0.1, 0.1])) == "pppopppT"


def test_a_guard_clears_after_its_condition_has_not_held_for_a_while() -> None:
    assert "".join(states_after(state_machine(), [0.1] * 4 + [0, 0, 0.1, 0, 0, 0, 0, 0])) == "pppTttttttOo"
    assert "".join(states_after(state_machine(clear_for=0), [0.1] * 4 + [0])) == "pppTO"
    assert "".join(states_after(state_machine("rps < 5", clear_for="2s"), [1, 9, 9, 9])) == "TttO"


def test_without_a_measurement_the_state_stays_as_it_is() -> None:
    assert "".join(states_after(state_machine(), [0.1, None, None, None, 0.1])) == "pppTt"
    assert "".join(states_after(state_machine(), [0, None, None, None, None])) == "ooooo"


def test_without_a_value_the_state_is_no_data_and_is_reported_after_no_data_after() -> None:
    guard = state_machine("promql(up) > 5", no_data_after="2s", on_no_data="stop")
    assert (
        "".join(states_after(guard, [1, NoData("away"), NoData("away"), NoData("gone"), NoData("gone"), 1])) == "onnNno"
    )
    assert guard.no_data_reason == ""
    guard.update(10, NoData("away again"))
    assert (guard.state, guard.no_data_reason) == (GuardState.NO_DATA, "away again")


def test_a_pending_guard_starts_anew_after_no_data_and_a_tripped_one_stays_tripped() -> None:
    assert "".join(states_after(state_machine("promql(up) > 5 for 2s"), [9, 9, NoData(""), 9, 9, 9])) == "ppnppT"
    assert "".join(states_after(state_machine("promql(up) > 5"), [9, NoData(""), 9, 1])) == "TntO"


SERIES = st.lists(st.booleans(), min_size=1, max_size=60)
STEPS = st.lists(st.floats(0.5, 1.5), min_size=60, max_size=60)


@given(SERIES, STEPS, st.sampled_from([0.0, 1.0, 2.5, 5.0, 10.0]))
def test_a_guard_trips_within_a_snapshot_of_its_time(holds: list[bool], steps: list[float], for_s: float) -> None:
    guard = state_machine(f"error_ratio > 5% for {for_s}s" if for_s else "error_ratio > 5%", clear_for=0)
    now, since, previous = 0.0, None, 0.0
    tripped_in_this_spell = False
    for hold, step in zip(holds, steps, strict=False):
        previous, now = now, now + step
        change = guard.update(now, 1.0 if hold else 0.0)
        if not hold:
            since, tripped_in_this_spell = None, False
            assert not change.tripped
            continue
        since = now if since is None else since
        if change.tripped:
            assert now - since >= for_s - 1e-6, "early"
            assert not tripped_in_this_spell, "twice"
            assert for_s == 0 or previous - since < for_s or previous < since, "late by more than one snapshot"
            tripped_in_this_spell = True
        else:
            assert tripped_in_this_spell or now - since < for_s, "late"


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("promql(x) > 5", [1, 9, 3], 9),
        ("promql(x) < 5", [1, 9, 3], 1),
        ("promql(x) == 3", [1, 9, 3], 3),
        ("promql(x) == 4", [1, 9, 3], 1),
        ("promql(x) > 5", [math.nan], None),
        ("promql(x) > 5", [math.nan, 2], 2),
        ("promql(x) > 5", [], None),
    ],
)
def test_of_several_series_the_worst_decides(text: str, values, expected) -> None:
    assert deciding(values, Guard(text).when.condition) == expected


def test_no_data_is_reported_once() -> None:
    guard = state_machine('p95{name="/a"} > 1s for 2s', no_data_after="4s", on_no_data="stop")
    assert "".join(states_after(guard, [0.5, None, None, None, None, None, None, 0.5])) == "oooooNno"
    guard.update(10, None)
    guard.update(14, None)
    assert guard.no_data_reason == 'no request with name="/a" has finished for 4s'
    guard.update(15, None)
    assert guard.no_data_reason.endswith("for 5s")
    guard.update(16, 0.5)
    assert (guard.state, guard.no_data_reason) == (GuardState.OK, "")


def test_a_pending_guard_trips_after_its_last_value_and_a_tripped_one_outlasts_no_data() -> None:
    assert (
        "".join(states_after(state_machine("p95 > 1s for 3s", no_data_after="2s"), [2, None, None, None, None]))
        == "pppTN"
    )
    assert (
        "".join(states_after(state_machine("p95 > 1s for 3s", no_data_after="9s"), [2, None, None, None, None]))
        == "pppTt"
    )
    assert (
        "".join(states_after(state_machine("p95 > 1s", no_data_after="2s"), [2, None, None, None, 2, 0.5])) == "TttNtO"
    )


@pytest.mark.parametrize(
    ("text", "value", "state"),
    [
        ("p95 > 1s", 1.5, "T"),
        ("p95 > 1s", 0.5, "o"),
        ("p95 >= 1s", 1.5, "T"),
        ("p95 < 1s", 0.5, "o"),
        ("p95 < 1s", 1.5, "o"),
        ("p95 != 1s", 1.5, "T"),
        ("p95 == 1s", 1.0, "o"),
    ],
)
def test_a_lower_bound_counts_only_if_it_decides_the_condition(text: str, value: float, state: str) -> None:
    assert "".join(states_after(state_machine(text), [AtLeast(value)])) == state


def test_a_lower_bound_that_does_not_decide_leaves_the_state_as_it_is() -> None:
    assert "".join(states_after(state_machine("p95 > 2s for 3s"), [3, AtLeast(0.5), AtLeast(1.5), 3, 3])) == "pppTt"
    assert (
        "".join(
            states_after(state_machine("p95 > 2s for 3s"), [1, AtLeast(2.5), AtLeast(3.5), AtLeast(4.5), AtLeast(5.5)])
        )
        == "opppT"
    )


def test_a_lower_bound_has_the_time_at_which_it_exceeded_the_threshold() -> None:
    # Nothing has finished since 0.0; at 1.0 the requests that decide were 0.8 s old, so at 0.7 they were 0.5 s.
    guard = state_machine("p95 > 500ms for 2s")
    guard.update(0.0, 0.02)
    guard.update(1.0, AtLeast(0.8))
    assert guard.since_s == pytest.approx(0.7)
    assert not guard.update(2.0, AtLeast(1.8)).tripped
    assert guard.update(2.7, AtLeast(2.5)).tripped


def test_a_lower_bound_does_not_reach_back_beyond_the_last_snapshot() -> None:
    guard = state_machine("p95 > 500ms for 2s")
    guard.update(0.0, 0.02)
    guard.update(1.0, AtLeast(30.0))
    assert guard.since_s == 0.0
    first = state_machine("p95 > 500ms for 2s")
    first.update(5.0, AtLeast(30.0))
    assert first.since_s == 5.0
    finished = state_machine("p95 > 500ms for 2s")
    finished.update(0.0, 0.02)
    finished.update(1.0, 30.0)
    assert finished.since_s == 1.0


def test_a_pending_guard_has_a_time_at_which_it_trips() -> None:
    state_machine = GuardStateMachine(Guard("p95 > 500ms for 2s", "stop"))
    assert state_machine.due_s is None
    state_machine.update(10.0, 0.1)
    state_machine.update(11.0, AtLeast(0.9))
    assert state_machine.due_s == pytest.approx(10.6 + 2), "as old as 500 ms since 10.6"
    assert state_machine.update(12.6, AtLeast(2.5)).tripped
    assert state_machine.due_s is None

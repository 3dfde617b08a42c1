"""The effect of guards and alerts on the load: a table of situations times actions, with a fake clock.

A row has the measurements of each second, and when the guard trips and clears; the effect of each action on the load
follows from that.
"""

import math
from dataclasses import dataclass

import pytest

from obswarm.api import LoadTestShape, Stage
from obswarm.api.shapes import users_at
from obswarm.engine import Ramp, ShapeSchedule, StagesSchedule
from obswarm.guards import Guard, GuardRule
from obswarm.record import GuardAction
from obswarm.targets import SourceError
from tests.guards.simulation import Nobody, Simulation
from tests.support.fake_time import FakeTime

USERS, RATE = 100, 5
ACTIONS_WITH_SHARES = [f"{kind}(50%)" if kind == "scale" else kind for kind in GuardAction]
GONE = SourceError("Connection refused")
NAN, INF = math.nan, math.inf


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    return FakeTime(monkeypatch)


@dataclass(frozen=True)
class Row:
    """`answers`: what the source answers in each second (see Source); for a guard on the load test's own figures
    (good requests, bad ones, seconds that each of them takes). Trips and clears are counted in seconds from the start.
    """

    situation: str
    when: str
    answers: tuple
    trips: tuple[int, ...] = ()
    clears: tuple[int, ...] = ()
    state: str = "ok"
    """Of the guard, at the end."""
    takes_s: float = 0.0
    """How long the source takes to answer."""
    others: tuple[tuple[str, str], ...] = ()
    """More guards: (when, action)."""
    clear_for: str | None = None


def times(*parts: tuple[object, int]) -> tuple:
    """times((1, 3), (9, 2)) is 1 for three seconds, and then 9 for two."""
    return tuple(answer for answer, seconds in parts for _ in range(seconds))


QUERY = "promql(x) > 5"
OK, FAILING, SLOW = (10, 0, 0.1), (1, 9, 0.1), (10, 0, 3.0)

TABLE = [
    Row("nothing happens in a ramp", QUERY, times((1, 12))),
    Row("a ramp", QUERY, times((1, 4), (9, 8)), trips=(5,), state="tripped"),
    Row("a ramp, with a for", QUERY + " for 3s", times((1, 4), (9, 8)), trips=(8,), state="tripped"),
    Row("at the first second", QUERY, times((9, 3), (1, 5)), trips=(1,), clears=(4,)),
    Row("held and released", QUERY, times((1, 4), (9, 3), (1, 5)), trips=(5,), clears=(8,)),
    Row(
        "released late",
        QUERY,
        times((1, 4), (9, 3), (1, 5)),
        trips=(5,),
        clears=(10,),
        clear_for="2s",
    ),
    Row("twice", QUERY, times((1, 4), (9, 2), (1, 5), (9, 2), (1, 2)), trips=(5, 12), clears=(7, 14)),
    Row(
        "twice, and the second time before the first has taken effect",
        QUERY,
        times((1, 9), (9, 1), (1, 1), (9, 1), (1, 3)),
        trips=(10, 12),
        clears=(11, 13),
    ),
    Row("flapping, faster than its for", QUERY + " for 2s", times(*[(1, 1), (9, 1)] * 6, (1, 1))),
    Row(
        "flapping, faster than it clears",
        QUERY,
        times((1, 3), *[(9, 1), (1, 1)] * 4, (1, 2)),
        trips=(4,),
        clears=(13,),
        clear_for="2s",
    ),
    Row("the source goes and comes back", QUERY, times((1, 2), (9, 1), (GONE, 2), (9, 1), (1, 3)), (3,), (7,)),
    Row(
        "the source fails every third second",
        QUERY + " for 4s",
        times((1, 3), *[(9, 1), (GONE, 1), (9, 1)] * 4, (1, 5)),
        trips=(10,),
        clears=(20,),
    ),
    Row(
        "the source is gone for long",
        QUERY + " for 3s",
        times((1, 2), (9, 2), (GONE, 9), (9, 5), (1, 5)),
        trips=(17,),
        clears=(22,),
    ),
    Row(
        "the source is gone for long while it has tripped",
        QUERY,
        times((1, 2), (9, 2), (GONE, 9), (9, 2), (1, 3)),
        trips=(3,),
        clears=(16,),
    ),
    Row("the source is gone at the end", QUERY, times((1, 5), (GONE, 7)), state="no_data"),
    Row(
        "a source that restarts has no series at first",
        QUERY + " for 4s",
        times((1, 2), (9, 3), (GONE, 2), (None, 1), (9, 4), (1, 5)),
        trips=(10,),
        clears=(17,),
    ),
    Row(
        "the source takes 2 s to answer",
        QUERY + " for 3s",
        times((1, 4), (9, 5), (1, 7)),
        trips=(10,),
        clears=(15,),
        takes_s=2.0,
    ),
    Row(
        "NaN for a moment", QUERY + " for 3s", times((1, 2), (9, 2), (NAN, 2), (9, 3), (1, 4)), trips=(8,), clears=(13,)
    ),
    Row("NaN alone", QUERY, times((NAN, 9)), state="no_data"),
    Row("infinity", QUERY, times((1, 3), (INF, 3), (1, 4)), trips=(4,), clears=(7,)),
    Row("infinity below", QUERY, times((1, 3), (-INF, 3), (1, 4))),
    Row("absent, and then there", QUERY, times((9, 4), ([], 6)), trips=(1,), clears=(5,)),
    Row("filtered out, all the time", QUERY, times(([], 12))),
    Row(
        "filtered out, until it is not",
        QUERY + " for 2s",
        times(([], 4), (9, 5), ([], 3)),
        trips=(7,),
        clears=(12,),
        clear_for="2s",
    ),
    Row("NaN beside a number", QUERY, times((1, 3), ([NAN, 9.0], 3), ([1.0, NAN], 4)), trips=(4,), clears=(7,)),
    Row(
        "two guards on a query",
        QUERY,
        times((1, 3), (9, 3), (1, 4)),
        trips=(4,),
        clears=(7,),
        others=(("promql(x) > 5 for 2s", "notify"), ("promql(x) > 0", "notify")),
    ),
    Row("errors", "error_ratio > 50% for 2s", times((OK, 4), (FAILING, 5), (OK, 5)), trips=(7,), clears=(12,)),
    Row("slow", "p95 > 1s", times((OK, 4), (SLOW, 5), (OK, 5)), trips=(5,), clears=(10,)),
]


def expected_users(row: Row, action: str) -> list[int]:
    """After each second; a ramp goes up, unless it is held or has been scaled."""
    users, held, left = 0, False, None
    expected = []
    for second in range(1, len(row.answers) + 1):
        if left is not None:
            users = max(left, users - RATE)
        elif not held:
            users = min(USERS, users + RATE)
        expected.append(users)
        if second in row.trips:
            if action in ("stop", "abort"):
                break
            held = held or action == "hold"
            if action == "scale(50%)":
                left = min(users // 2, left if left is not None else users)
        if second in row.clears:
            held = False
    return expected


@pytest.mark.parametrize("action", ACTIONS_WITH_SHARES)
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.situation)
def test_guards_change_the_load_as_their_actions_say(time: FakeTime, row: Row, action: str) -> None:
    simulation = play(time, row, Guard(row.when, action, name="it", clear_for=row.clear_for))
    users = expected_users(row, action)
    assert simulation.users == pytest.approx(users, abs=2)
    assert trips_of(simulation) == list(row.trips[:1] if action in ("stop", "abort") else row.trips)
    if action in ("stop", "abort") and row.trips:
        assert simulation.ended_s == row.trips[0]
        assert simulation.reason.startswith("guard: The guard it tripped: ")
        assert simulation.run._aborting == (action == "abort")
    else:
        assert simulation.ended_s is None
        assert simulation.guards[0].state == row.state


def play(time: FakeTime, row: Row, guard: GuardRule) -> Simulation:
    rules = [guard, *(Guard(when, action, name=f"other {n}") for n, (when, action) in enumerate(row.others))]
    simulation = Simulation(time, rules, Ramp(USERS, RATE))
    simulation.source.takes_s = row.takes_s
    for answer in row.answers:
        if isinstance(answer, tuple):
            simulation.second(*answer)
        else:
            simulation.source.answer = answer
            simulation.second()
    simulation.close()
    return simulation


def trips_of(simulation: Simulation) -> list[int]:
    """In seconds from the start."""
    began_s = simulation.run.statistics.started_wall_s
    return [
        round(mark.time_s - began_s) for mark in simulation.run.annotations if mark.text.startswith("The guard it tripped")
    ]  # fmt: skip


@pytest.mark.parametrize("action", ACTIONS_WITH_SHARES)
def test_alerts_change_the_load_as_guards_do(time: FakeTime, action: str) -> None:
    row = Row("twice, by an alert", "", times((1, 5), (9, 3), (1, 4), (9, 3), (1, 3)), trips=(5, 12), clears=(8, 15))
    simulation = Simulation(time, [], Ramp(USERS, RATE), on_alert="notify")
    for second, _ in enumerate(row.answers, 1):
        simulation.second()
        if second in row.trips:
            simulation.alert(action)
            simulation.alert(action, repeated=True)
        if second in row.clears:
            simulation.alert(action, firing=False)
    simulation.close()
    assert simulation.users == pytest.approx(expected_users(row, action), abs=2)
    if action in ("stop", "abort"):
        assert simulation.reason.startswith("alert: The alert Busy fires")


def test_an_alert_that_fires_again_scales_again_even_if_it_was_not_resolved(time: FakeTime) -> None:
    simulation = Simulation(time, [], Ramp(40, 1000))
    simulation.seconds(2)
    for users in (20, 10, 5, 2, 1, 1):
        simulation.alert("scale(50%)")
        simulation.seconds(1)
        assert simulation.users[-1] == users
    assert len(simulation.run.in_force) == 1


STAGES = (Stage(4, 20), Stage(6, 20), Stage(2, 0))
TWELVE_S = sum(stage.duration_s for stage in STAGES)
BAD, GOOD = 9.0, 1.0


class Planned(LoadTestShape):
    """As STAGES; it looks at its own time."""

    def tick(self):
        position = users_at(STAGES, self.get_run_time())
        return None if position is None else (round(position[0]), 5)


class Endless(LoadTestShape):
    def tick(self):
        return (20, 5)


class UntilEnoughUsers(LoadTestShape):
    """Nobody knows when that is."""

    def tick(self):
        users = self.get_current_user_count()
        return None if users >= 20 else (20, 5)


def simulation_of(time: FakeTime, plan: str, *rules: GuardRule, limit_s: float | None = None) -> Simulation:
    if plan == "stages":
        return Simulation(time, rules, StagesSchedule(STAGES), limit_s=limit_s)
    if plan == "ramp":
        return Simulation(time, rules, Ramp(20, 5), limit_s=limit_s or TWELVE_S)
    shape = {"shape": Planned, "endless shape": Endless, "shape until": UntilEnoughUsers}[plan]()
    return Simulation(time, rules, ShapeSchedule(shape, [Nobody]), shape=shape, limit_s=limit_s)


PLANS = ["ramp", "stages", "shape"]


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("action", ["hold", "scale(50%)"])
@pytest.mark.parametrize("trips", [1, 3, 6, 9])
def test_a_guard_that_never_clears_does_not_outlast_the_planned_time(
    time: FakeTime, plan: str, action: str, trips: int
) -> None:
    simulation = simulation_of(time, plan, Guard(QUERY, action, name="it"))
    for second in range(1, 40):
        simulation.source.answer = BAD if second >= trips else GOOD
        simulation.second()
    assert simulation.ended_s == pytest.approx(TWELVE_S, abs=1)
    held = ", and the load was held: guard it" if action == "hold" else ""
    over = "the load shape has ended" if plan == "shape" else "the planned time is over"
    assert simulation.reason == f"time: {over}{held}"
    present = simulation.users[trips - 1]
    assert simulation.users[-1] == (present if action == "hold" else present // 2)
    simulation.close()


def test_a_run_that_alerts_held_until_its_end_names_them(time: FakeTime) -> None:
    simulation = simulation_of(time, "ramp", Guard(QUERY, "hold", name="it"))
    simulation.source.answer = BAD
    simulation.seconds(2)
    for fingerprint, name in (("f1", "Busy"), ("f2", "Busy"), ("f3", "Slow"), ("f4", "Gone")):
        simulation.alert("hold", fingerprint=fingerprint, name=name)
    simulation.alert("hold", fingerprint="f4", name="Gone", firing=False)
    simulation.seconds(40)
    held = "guard it, alert Busy, alert Slow"
    assert simulation.reason == f"time: the planned time is over, and the load was held: {held}"
    simulation.close()


@pytest.mark.parametrize("plan", PLANS)
def test_the_run_time_ends_any_of_them_before(time: FakeTime, plan: str) -> None:
    for action in ("hold", "scale(50%)"):
        simulation = simulation_of(time, plan, Guard(QUERY, action), limit_s=7)
        simulation.source.answer = BAD
        simulation.seconds(20)
        assert simulation.ended_s == pytest.approx(7, abs=0.06)


def test_stages_go_on_where_they_were_held_and_end_as_much_later(time: FakeTime) -> None:
    simulation = simulation_of(time, "stages", Guard(QUERY, "hold"))
    for second in range(1, 30):
        simulation.source.answer = BAD if 3 <= second < 8 else GOOD
        simulation.second()
    assert simulation.users[:12] == pytest.approx([5, 10, 15, 15, 15, 15, 15, 15, 20, 20, 20, 20], abs=1)
    assert simulation.ended_s == pytest.approx(TWELVE_S + 5, abs=0.06)
    assert simulation.reason == "time: the planned time is over"


def test_a_hold_after_the_planned_time_ends_stages_that_others_made_longer(time: FakeTime) -> None:
    simulation = simulation_of(time, "stages", Guard(QUERY, "hold"))
    for second in range(1, 30):
        simulation.source.answer = BAD if 3 <= second < 8 or second >= 14 else GOOD
        simulation.second()
    assert simulation.ended_s == pytest.approx(14, abs=1)


def test_a_shape_goes_by_its_own_time_and_the_load_comes_after_it_at_its_rate(time: FakeTime) -> None:
    simulation = simulation_of(time, "shape", Guard(QUERY, "hold"))
    for second in range(1, 30):
        simulation.source.answer = BAD if 2 <= second < 6 else GOOD
        simulation.second()
    assert simulation.users[:10] == pytest.approx([0, 5, 5, 5, 5, 5, 10, 15, 20, 20], abs=1)
    assert simulation.ended_s == pytest.approx(TWELVE_S, abs=1)


@pytest.mark.parametrize("action", ["hold", "scale(50%)"])
@pytest.mark.parametrize("plan", ["endless shape", "shape until"])
def test_a_shape_without_a_known_end_ends_an_hour_after_the_load_stopped_to_follow_it(
    time: FakeTime, plan: str, action: str
) -> None:
    simulation = simulation_of(time, plan, Guard("users > 5", action, clear_for="1d"))
    simulation.seconds(4)
    assert simulation.users[-1] < 20
    time.advance(3590)
    simulation.seconds(2)
    assert simulation.ended_s is None
    time.advance(10)
    simulation.seconds(3)
    assert simulation.reason == "time: the load has been held or scaled for 1h00m, and its plan has no known end"


def test_a_plan_without_end_that_somebody_wanted_has_none_while_users_are_there(time: FakeTime) -> None:
    simulation = Simulation(time, [Guard("users > 5", "hold")], Ramp(20, 5))
    simulation.seconds(3)
    time.advance(8000)
    simulation.seconds(3)
    assert simulation.ended_s is None
    simulation.generator.ended = 20
    simulation.second()
    assert simulation.reason.startswith("time: the load has been held or scaled for 1h00m")


def test_a_hold_does_not_keep_users_from_leaving_and_its_end_brings_none_back(time: FakeTime) -> None:
    simulation = simulation_of(
        time, "stages", Guard(QUERY, "hold", name="hold"), Guard(QUERY + " for 2s", "scale(50%)", name="scale")
    )
    for second in range(1, 30):
        simulation.source.answer = BAD if 3 <= second < 7 else GOOD
        simulation.second()
    assert simulation.users[:10] == pytest.approx([5, 10, 15, 15, 15, 10, 7, 7, 7, 7], abs=1)
    assert simulation.users[-1] == 7
    assert simulation.ended_s == pytest.approx(TWELVE_S + 2, abs=1), "of the hold, two seconds were before the scale"


def test_two_guards_that_scale_at_once_scale_the_same_users(time: FakeTime) -> None:
    rules = [Guard(QUERY, "scale(50%)", name="one"), Guard(QUERY, "scale(60%)", name="other")]
    simulation = Simulation(time, rules, Ramp(20, 1000))
    simulation.source.answer = BAD
    simulation.seconds(3)
    assert simulation.users == [20, 10, 10]


def test_users_that_have_ended_by_themselves_are_not_there(time: FakeTime) -> None:
    simulation = Simulation(time, [Guard(QUERY, "scale(50%)")], Ramp(20, 1000))
    simulation.second()
    simulation.generator.ended = 8
    simulation.source.answer = BAD
    simulation.seconds(3)
    assert simulation.users[-1] - 8 == 6


@pytest.mark.parametrize(("share", "left"), [("0%", 0), ("1%", 1), ("29%", 29), ("50%", 50), ("99.9%", 99)])
def test_a_share_is_rounded_down_and_never_to_none_but_for_zero(time: FakeTime, share: str, left: int) -> None:
    simulation = Simulation(time, [Guard(QUERY, f"scale({share})")], Ramp(100, 1e6))
    simulation.source.answer = BAD
    simulation.seconds(4)
    assert simulation.users[-1] == left


def test_a_scale_in_mid_ramp_begins_no_stage(time: FakeTime) -> None:
    simulation = simulation_of(time, "stages", Guard(QUERY, "scale(50%)"))
    simulation.seconds(2)
    simulation.source.answer = BAD
    simulation.seconds(15)
    assert [each.kind for each in simulation.run.annotations] == ["guard"]


def test_what_is_in_force_is_released_by_the_next_master_when_its_guard_is_clear(time: FakeTime) -> None:
    before = {"guard it": "hold", "guard scaled": "scale(0.5)", "guard gone": "hold"}
    rules = [Guard(QUERY + " for 2s", "hold", name="it"), Guard(QUERY, "scale(50%)", name="scaled")]
    marks = ["The guard it tripped: x", "The guard it tripped: y", "The guard scaled tripped: x", "The guard other"]
    simulation = Simulation(time, rules, Ramp(20, 5), in_force=before, marks=marks)
    simulation.run._driver.executor.hold(time.now)
    assert list(simulation.run.in_force) == ["guard it", "guard scaled"]
    simulation.source.answer = BAD
    simulation.seconds(3)
    assert set(simulation.users) == {0}
    assert list(simulation.run.in_force) == ["guard it", "guard scaled"], "none of them has tripped once more"
    simulation.source.answer = GOOD
    simulation.seconds(4)
    assert simulation.users[-1] > 0
    assert dict(simulation.run.in_force) == {}
    assert [guard.trips for guard in simulation.guards] == [(("hold", 2),), (("scale(50%)", 1),)]
    simulation.close()

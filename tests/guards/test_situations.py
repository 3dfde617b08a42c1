"""What guards and alerts do to the load: a table of situations times actions, on a clock of the test's own.

A row says what is measured second by second, and when its guard trips and clears; what each action does to the load
then follows from that alone.
"""

import math
from dataclasses import dataclass

import pytest

from obswarm.engine import Ramp
from obswarm.guards import Guard, GuardRule
from obswarm.guards.guard import ACTIONS
from obswarm.targets import SourceError
from tests.guards.simulation import Simulation
from tests.support.fake_time import FakeTime

USERS, RATE = 100, 5
ACTIONS_WITH_SHARES = [f"{kind}(50%)" if kind == "scale" else kind for kind in ACTIONS]
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
    Row("infinity", QUERY, times((1, 3), (INF, 3), (1, 4)), trips=(4,), clears=(7,)),
    Row("infinity below", QUERY, times((1, 3), (-INF, 3), (1, 4))),
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
def test_the_load_follows_what_guards_do(time: FakeTime, row: Row, action: str) -> None:
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
        round(mark.time_s - began_s) for mark in simulation.run._annotations if mark.text.startswith("The guard it tripped")
    ]  # fmt: skip

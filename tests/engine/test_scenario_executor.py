"""The executor of several scenarios, with a fake clock."""

import msgpack
import pytest

from obswarm.api import ObswarmError, Stage, User, parse_rate_stages, parse_stages
from obswarm.engine import (
    ArrivalLoad,
    ClosedExecutor,
    ExecutorState,
    OpenExecutor,
    Progress,
    Ramp,
    RateCurve,
    ScenarioExecutor,
    ScenarioPlan,
    StagesSchedule,
)
from obswarm.engine.executor.executor import PLAN_END
from obswarm.engine.progress import _packed


class Visitor(User):
    abstract = True


class Buyer(User):
    abstract = True


class Importer(User):
    abstract = True


def browse() -> ClosedExecutor:
    return ClosedExecutor(StagesSchedule(parse_stages("0s:4,10s:4")), [Visitor])


def checkout(rate: str = "0s:20/s,5s:20/s") -> OpenExecutor:
    return OpenExecutor({"Buyer": ArrivalLoad(RateCurve.of(parse_rate_stages(rate)), 9)})


def load(executor: ScenarioExecutor, begin: float, end: float) -> tuple[dict[str, int], dict[str, float]] | None:
    """Step from one time to another; returns the last load, None if the executor is over."""
    now = begin
    while True:
        assignment = executor.step(now)
        if assignment is None:
            return None
        if now >= end:
            return dict(assignment.users), dict(assignment.rates)
        now = min(now + 0.05, end)


def test_scenarios_run_side_by_side_and_one_after_the_other() -> None:
    executor = ScenarioExecutor(
        [
            ScenarioPlan("browse", browse()),
            ScenarioPlan("checkout", checkout(), start_s=2.0),
            ScenarioPlan("import", ClosedExecutor(Ramp(3, 100.0), [Importer]), None, "browse", run_time_s=4.0),
        ]
    )
    assert executor.duration_s == 14.0
    executor.start(100.0)
    assert executor.plan_step is None
    assert load(executor, 100.0, 101.9) == ({"Visitor": 4, "Importer": 0}, {"Buyer": 0.0})
    assert executor.plan_load == "browse: 4 users"
    assert load(executor, 101.9, 105.0) == ({"Visitor": 4, "Importer": 0}, {"Buyer": pytest.approx(20)})
    assert executor.target == {"Visitor": 4, "Buyer": 0, "Importer": 0}
    assert load(executor, 105.0, 108.0) == ({"Visitor": 4, "Importer": 0}, {"Buyer": 0.0})
    assert executor.may_want_more(108.0)
    assert load(executor, 108.0, 111.0) == ({"Visitor": 0, "Importer": 3}, {"Buyer": 0.0})
    assert executor.settled
    assert load(executor, 111.0, 114.5) is None
    assert (executor.end, browse().end) == ("all scenarios have ended", PLAN_END)


def test_stages_are_numbered_in_their_scenario_and_its_beginning_and_end_are_named() -> None:
    executor = ScenarioExecutor(
        [
            ScenarioPlan("a", ClosedExecutor(StagesSchedule((Stage(2, 10), Stage(4, 10))), [Visitor])),
            ScenarioPlan("b", ClosedExecutor(StagesSchedule((Stage(1.5, 10), Stage(2, 10))), [Buyer]), start_s=1.0),
        ]
    )
    executor.start(0.0)
    seen: list[tuple[int | None, str]] = []
    for tenth in range(60):
        if executor.step(tenth / 10) is not None and (executor.plan_step, executor.plan_change) not in seen:
            seen.append((executor.plan_step, executor.plan_change))
    assert [change for _, change in seen] == [
        "Scenario a begins",
        "Scenario b begins",
        "Stage 2 of scenario a begins",
        "Stage 2 of scenario b begins",
        "Scenario b has ended",
    ]
    assert [step for step, _ in seen] == sorted({step for step, _ in seen if step is not None})


def test_a_scenario_ends_when_its_iterations_have_ended_and_the_next_one_starts() -> None:
    done: set[str] = set()
    executor = ScenarioExecutor(
        [
            ScenarioPlan("import", ClosedExecutor(Ramp(3, 100.0), [Importer]), is_done=lambda: "import" in done),
            ScenarioPlan("browse", browse(), None, "import"),
        ]
    )
    assert executor.duration_s is None
    executor.start(0.0)
    assert load(executor, 0.0, 50.0) == ({"Importer": 3, "Visitor": 0}, {})
    done.add("import")
    assert load(executor, 50.0, 51.0) == ({"Importer": 0, "Visitor": 4}, {})
    assert load(executor, 51.0, 61.0) is None


def test_a_hold_stops_the_time_of_scenarios_that_wait_as_well() -> None:
    executor = ScenarioExecutor([ScenarioPlan("browse", browse()), ScenarioPlan("checkout", checkout(), start_s=2.0)])
    executor.start(0.0)
    load(executor, 0.0, 1.0)
    executor.hold(1.0)
    assert executor.holding
    assert load(executor, 1.0, 6.0) == ({"Visitor": 4}, {"Buyer": 0.0})
    assert executor.unfollowed_s(6.0) == 5.0
    executor.release(6.0)
    assert load(executor, 6.0, 6.9) == ({"Visitor": 4}, {"Buyer": 0.0})
    assert load(executor, 6.9, 7.5) == ({"Visitor": 4}, {"Buyer": pytest.approx(20)})
    assert load(executor, 7.5, 15.2) is None, "the stages of browse have stood still for 5 s"


def test_a_scaled_load_does_not_rise_again() -> None:
    executor = ScenarioExecutor(
        [
            ScenarioPlan("browse", browse()),
            ScenarioPlan("checkout", checkout("0s:20/s,9s:20/s")),
            ScenarioPlan("import", ClosedExecutor(Ramp(3, 100.0), [Importer]), start_s=3.0),
        ]
    )
    executor.start(0.0)
    load(executor, 0.0, 1.0)
    executor.scale(0.5, 1.0)
    assert load(executor, 1.0, 5.0) == ({"Visitor": 2, "Importer": 0}, {"Buyer": pytest.approx(10)})
    assert load(executor, 5.0, 11.0) is None
    with pytest.raises(ObswarmError, match="this run has scenarios"):
        executor.set_load(5, 1.0, 5.0)
    with pytest.raises(ObswarmError, match="This run has scenarios"):
        executor.set_rate(5.0, 5.0)


def made() -> ScenarioExecutor:
    return ScenarioExecutor(
        [
            ScenarioPlan("first", ClosedExecutor(Ramp(2, 100.0), [Importer]), run_time_s=1.0),
            ScenarioPlan("browse", browse()),
            ScenarioPlan("checkout", checkout(), start_s=6.0),
        ]
    )


def through_the_journal(state: ExecutorState) -> ExecutorState:
    """The state as another process reads it."""
    progress = Progress(
        *(0.0, 0.0, 0.0, state.elapsed_s, state.holding, dict(state.users), None, 0, None, []),
        rates=dict(state.rates),
        scenarios=[[name, status, _packed(own)] for name, (status, own) in state.parts.items()],
    )
    progress.scenarios = msgpack.unpackb(msgpack.packb(progress.scenarios))
    return progress.executor


def test_another_process_goes_on_where_it_was() -> None:
    executor = made()
    executor.start(0.0)
    load(executor, 0.0, 4.0)
    state = through_the_journal(executor.state(4.0))
    assert (state.users, state.rates) == ({"Importer": 2, "Visitor": 4}, {"Buyer": 0.0})
    later = made()
    assert later.resume(state, 1000.0, run_s=5.0, away_s=1.0) == 5.0
    assert load(later, 1000.0, 1000.5) == ({"Importer": 0, "Visitor": 4}, {"Buyer": 0.0})
    assert load(later, 1000.5, 1002.0) == ({"Importer": 0, "Visitor": 4}, {"Buyer": pytest.approx(20)})
    assert load(later, 1002.0, 1006.5) is None


@pytest.mark.parametrize("action", ["hold", "scale"])
def test_another_process_goes_on_with_a_load_that_is_held_or_scaled(action: str) -> None:
    executor = made()
    executor.start(0.0)
    load(executor, 0.0, 4.0)
    if action == "hold":
        executor.hold(4.0)
    else:
        executor.scale(0.5, 4.0)
    load(executor, 4.0, 5.0)
    later = made()
    later.resume(through_the_journal(executor.state(5.0)), 1000.0, run_s=6.0, away_s=1.0)
    assert later.holding is (action == "hold")
    users = {"Importer": 0, "Visitor": 4 if action == "hold" else 2}
    assert load(later, 1000.0, 1002.0) == (users, {"Buyer": 0.0}), "none that waits has started"

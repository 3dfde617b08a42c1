"""Several scenarios in one run, each with an executor of its own. A pure function of the clock."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from obswarm.api import ObswarmError
from obswarm.engine.executor.assignment import Assignment
from obswarm.engine.executor.closed import ClosedExecutor
from obswarm.engine.executor.executor import ExecutorState, stage_begins
from obswarm.engine.executor.open import OpenExecutor
from obswarm.engine.schedule import LoadSchedule

_STEP_S = 0.1


class ScenarioState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class ScenarioPlan:
    """A scenario: its executor, of user classes that no other one has, its start in seconds of the run (None: at the
    end of the scenario `after`), and its maximum duration in seconds. `is_done` returns whether all of its iterations
    have ended, if their number is limited."""

    name: str
    executor: ClosedExecutor | OpenExecutor
    start_s: float | None = 0.0
    after: str = ""
    run_time_s: float | None = None
    is_done: Callable[[], bool] = field(default=lambda: False)


class _Part:
    def __init__(self, plan: ScenarioPlan) -> None:
        self.plan = plan
        self.executor = plan.executor
        self.state = ScenarioState.WAITING
        self.seen: tuple[ScenarioState, int | None] = (ScenarioState.WAITING, None)
        """State and step of its plan after the last step."""

    def change(self) -> str:
        """Return what has begun or ended since the last call, as text; empty if nothing has."""
        before, self.seen = self.seen, (self.state, self.executor.plan_step if self.is_running else None)
        if self.seen == before:
            return ""
        name = self.plan.name
        if self.state is not before[0]:
            return f"Scenario {name} {'begins' if self.is_running else 'has ended'}"
        return stage_begins(self.seen[1], f"scenario {name}")

    @property
    def is_running(self) -> bool:
        return self.state is ScenarioState.RUNNING

    def step(self, now: float) -> Assignment | None:
        """Return the current assignment; None when it is over."""
        run_time_s = self.plan.run_time_s
        is_due = run_time_s is not None and self.executor.elapsed(now) >= run_time_s
        assignment = None if is_due or self.plan.is_done() else self.executor.step(now)
        if assignment is None:
            self.state = ScenarioState.OVER
        elif assignment.rates and run_time_s is not None and not self.executor.holding:
            return assignment.ending_by(now - self.executor.elapsed(now) + run_time_s)
        return assignment


class ScenarioExecutor:
    """Scenarios side by side or one after the other; an Executor. It ends with the last one. When one ends, its users
    finish their tasks and end, while the others go on."""

    end = "all scenarios have ended"

    def __init__(self, plans: Sequence[ScenarioPlan]) -> None:
        self._parts = [_Part(plan) for plan in plans]
        self._by_name = {part.plan.name: part for part in self._parts}
        self._began = 0.0
        self._held_s = 0.0
        self._held_since: float | None = None
        self._burst_s: float | None = None
        self._spawn_rate = 1.0
        self._is_scaled = False
        self._changes: list[str] = []

    @property
    def _running(self) -> list[_Part]:
        return [part for part in self._parts if part.is_running]

    @property
    def duration_s(self) -> float | None:
        """As Executor.duration_s: the end of the last scenario, without iterations of limited number."""
        ends: dict[str, float | None] = {}

        def end_of(part: _Part) -> float | None:
            plan = part.plan
            if plan.name not in ends:
                start_s = plan.start_s if plan.start_s is not None else end_of(self._by_name[plan.after])
                limits = [each for each in (plan.run_time_s, plan.executor.duration_s) if each is not None]
                ends[plan.name] = None if start_s is None or not limits else start_s + min(limits)
            return ends[plan.name]

        durations = [end_of(part) for part in self._parts]
        return None if None in durations else max(each for each in durations if each is not None)

    @property
    def target(self) -> Mapping[str, int]:
        """As Executor.target; scenarios that do not run have no users."""
        found: dict[str, int] = {}
        for part in self._parts:
            target = part.executor.target
            found.update(target if part.is_running else dict.fromkeys(target, 0))
        return found

    @property
    def settled(self) -> bool:
        """Whether all running scenarios have reached their targets."""
        running = self._running
        return bool(running) and all(part.executor.settled for part in running)

    @property
    def holding(self) -> bool:
        return self._held_since is not None

    @property
    def plan_step(self) -> int | None:
        """Number of starts and ends of scenarios, and of stages in them, until now."""
        started = [part for part in self._parts if part.state is not ScenarioState.WAITING]
        if not started:
            return None
        over = sum(part.state is ScenarioState.OVER for part in started)
        return len(started) - 1 + over + sum(part.executor.plan_step or 0 for part in started)

    @property
    def plan_change(self) -> str:
        """The scenarios that have begun or ended, and their stages, each with its number in its scenario."""
        return ", ".join(self._changes)

    @property
    def plan_load(self) -> str:
        """The loads of the running scenarios."""
        return ", ".join(f"{part.plan.name}: {part.executor.plan_load}" for part in self._running) or "no users"

    def _elapsed(self, now: float) -> float:
        """Return the elapsed seconds of the plan, without holds."""
        return (now if self._held_since is None else self._held_since) - self._began - self._held_s

    def start(self, now: float, *, burst_s: float | None = None) -> None:
        """As Executor.start."""
        self._began, self._burst_s = now, burst_s

    def resume(
        self, state: ExecutorState, now: float, *, run_s: float, away_s: float, burst_s: float | None = None
    ) -> float:
        """As Executor.resume. What a scenario would have begun in the meantime, begins now."""
        elapsed_s = state.elapsed_s + (0.0 if state.holding else away_s)
        self._began, self._held_s, self._burst_s = now - elapsed_s, 0.0, burst_s
        self._held_since = now if state.holding else None
        for name, (status, own) in state.parts.items():
            part = self._by_name.get(name)
            if part is not None:
                part.state = ScenarioState(status)
                if part.is_running:
                    own_run_s = own.elapsed_s + (0.0 if own.holding else away_s)
                    part.executor.resume(own, now, run_s=own_run_s, away_s=away_s, burst_s=burst_s)
        self._is_scaled = any(own.set_load is not None and own.set_load.is_scaled for _, own in state.parts.values())
        return elapsed_s

    def state(self, now: float) -> ExecutorState:
        """As Executor.state."""
        parts = {part.plan.name: (str(part.state), part.executor.state(now)) for part in self._parts}
        users = {name: number for _, own in parts.values() for name, number in own.users.items()}
        rates = {name: rate for _, own in parts.values() for name, rate in own.rates.items()}
        return ExecutorState(self._elapsed(now), self.holding, users, rates, parts=parts)

    def step(self, now: float) -> Assignment | None:
        """Return the current assignment; None at the end of all scenarios."""
        for part in self._parts:
            if part.state is ScenarioState.WAITING and not self.holding:
                self._start_when_due(part, now)
        users: dict[str, int] = {}
        rates: dict[str, float] = {}
        max_users: dict[str, int] = {}
        ends: dict[str, float] = {}
        begins: dict[str, float] = {}
        wait_s, has_settled, spawn_rate = _STEP_S, False, 0.0
        for part in self._parts:
            assignment = part.step(now) if part.is_running else None
            if assignment is None:
                own = part.executor.target
                if isinstance(part.executor, OpenExecutor):
                    rates.update(dict.fromkeys(own, 0.0))
                else:
                    users.update(dict.fromkeys(own, 0))
                continue
            users.update(assignment.users)
            rates.update(assignment.rates)
            max_users.update(assignment.max_users)
            ends.update(assignment.ends)
            begins.update(assignment.begins)
            wait_s = min(wait_s, assignment.wait_s)
            has_settled = has_settled or assignment.settled
            if assignment.users:
                spawn_rate += assignment.spawn_rate
        self._changes = [change for part in self._parts if (change := part.change())] or self._changes
        if all(part.state is ScenarioState.OVER for part in self._parts):
            return None
        self._spawn_rate = spawn_rate or self._spawn_rate
        return Assignment(users, self._spawn_rate, wait_s, has_settled and self.settled, rates, max_users, ends, begins)

    def _start_when_due(self, part: _Part, now: float) -> None:
        if self._is_scaled:
            # The load is not to rise any more.
            part.state = ScenarioState.OVER
            return
        plan = part.plan
        if plan.start_s is not None:
            is_due = self._elapsed(now) >= plan.start_s
        else:
            is_due = self._by_name[plan.after].state is ScenarioState.OVER
        if is_due:
            part.state = ScenarioState.RUNNING
            part.executor.start(now, burst_s=self._burst_s)

    def may_want_more(self, now: float) -> bool:
        """As Executor.may_want_more."""
        return any(
            part.state is ScenarioState.WAITING or (part.is_running and part.executor.may_want_more(now))
            for part in self._parts
        )

    def unfollowed_s(self, now: float) -> float:
        """As Executor.unfollowed_s."""
        return max((part.executor.unfollowed_s(now) for part in self._running), default=0.0)

    def hold(self, now: float) -> None:
        """Freeze the loads of the running scenarios; no other one starts meanwhile."""
        if self._held_since is None:
            self._held_since = now
            for part in self._running:
                part.executor.hold(now)

    def release(self, now: float) -> None:
        """As Executor.release."""
        if self._held_since is not None:
            self._held_s += now - self._held_since
            self._held_since = None
            for part in self._running:
                part.executor.release(now)

    def set_load(self, users: int, rate: float, now: float, user_classes: tuple[str, ...] | None = None) -> None:
        """Raises ObswarmError: each scenario has a load of its own."""
        raise ObswarmError("runner.start: this run has scenarios, so its number of users cannot be set.")

    def set_rate(self, rate: float, now: float) -> None:
        """Raises ObswarmError, as `set_load`."""
        raise ObswarmError("This run has scenarios, so its rate of iterations cannot be set.")

    def replace_plan(self, plan: LoadSchedule) -> None:
        """As Executor.replace_plan: the loads of scenarios stay."""

    def scale(self, share: float, now: float, ended: int = 0, not_started: int = 0) -> None:
        """As Executor.scale: each running scenario has that share of its load, and no other one starts any more."""
        running = self._running
        # Of several scenarios it is not known whose users have ended.
        own = (ended, not_started) if len(running) == 1 else (0, 0)
        for part in running:
            part.executor.scale(share, now, *own)
        self._is_scaled = True

"""Several workload models in one run: some user classes have a number of users, others a rate of iterations."""

from collections.abc import Mapping

from obswarm.engine.executor.assignment import Assignment
from obswarm.engine.executor.closed import ClosedExecutor
from obswarm.engine.executor.executor import PLAN_END, ExecutorState, stage_begins
from obswarm.engine.executor.open import OpenExecutor
from obswarm.engine.schedule import LoadSchedule


class CombinedExecutor:
    """A closed and an open model side by side, with disjoint user classes; an Executor. It ends with the later one."""

    end = PLAN_END

    def __init__(self, closed: ClosedExecutor, opened: OpenExecutor) -> None:
        self._closed, self._open = closed, opened
        self._parts: tuple[ClosedExecutor | OpenExecutor, ...] = (closed, opened)
        self._spawn_rate = 1.0

    @property
    def duration_s(self) -> float | None:
        """As Executor.duration_s."""
        durations = [part.duration_s for part in self._parts]
        return None if None in durations else max(each for each in durations if each is not None)

    @property
    def target(self) -> Mapping[str, int]:
        """As Executor.target."""
        return {**self._open.target, **self._closed.target}

    @property
    def settled(self) -> bool:
        """Whether both have reached their targets."""
        return all(part.settled for part in self._parts)

    @property
    def holding(self) -> bool:
        return self._closed.holding

    @property
    def plan_step(self) -> int | None:
        """Sum of the steps of both."""
        steps = [part.plan_step for part in self._parts]
        return None if None in steps else sum(each for each in steps if each is not None)

    @property
    def plan_change(self) -> str:
        """As Executor.plan_change."""
        return stage_begins(self.plan_step)

    @property
    def plan_load(self) -> str:
        """The loads of both."""
        return " and ".join(part.plan_load for part in self._parts)

    def start(self, now: float, *, burst_s: float | None = None) -> None:
        """As Executor.start."""
        for part in self._parts:
            part.start(now, burst_s=burst_s)

    def resume(
        self, state: ExecutorState, now: float, *, run_s: float, away_s: float, burst_s: float | None = None
    ) -> float:
        """As Executor.resume: both have the same elapsed time, unless the load was set."""
        for part in self._parts:
            elapsed_s = part.resume(state, now, run_s=run_s, away_s=away_s, burst_s=burst_s)
        return elapsed_s

    def state(self, now: float) -> ExecutorState:
        """As Executor.state."""
        closed, opened = self._closed.state(now), self._open.state(now)
        return ExecutorState(closed.elapsed_s, closed.holding, closed.users, opened.rates, closed.set_load)

    def step(self, now: float) -> Assignment | None:
        """Return the current assignment; None at the end of both."""
        closed, opened = self._closed.step(now), self._open.step(now)
        if closed is None and opened is None:
            return None
        if closed is not None:
            self._spawn_rate = closed.spawn_rate
        parts = [part for part in (closed, opened) if part is not None]
        return Assignment(
            dict.fromkeys(self._closed.target, 0) if closed is None else closed.users,
            self._spawn_rate,
            min(part.wait_s for part in parts),
            any(part.settled for part in parts) and self.settled,
            rates=dict.fromkeys(self._open.target, 0.0) if opened is None else opened.rates,
            max_users={} if opened is None else opened.max_users,
            ends={} if opened is None else opened.ends,
            begins={} if opened is None else opened.begins,
        )

    def may_want_more(self, now: float) -> bool:
        """As Executor.may_want_more."""
        return True

    def unfollowed_s(self, now: float) -> float:
        """As Executor.unfollowed_s."""
        return max(part.unfollowed_s(now) for part in self._parts)

    def hold(self, now: float) -> None:
        """Freeze both loads."""
        for part in self._parts:
            part.hold(now)

    def release(self, now: float) -> None:
        """Continue both plans."""
        for part in self._parts:
            part.release(now)

    def replace_plan(self, plan: LoadSchedule) -> None:
        """Replace the plan of the number of users."""
        self._closed.replace_plan(plan)

    def set_load(self, users: int, rate: float, now: float, user_classes: tuple[str, ...] | None = None) -> None:
        """Replace the number of users; rates of iterations stay."""
        self._closed.set_load(users, rate, now, user_classes)

    def set_rate(self, rate: float, now: float) -> None:
        """Replace the rates; the number of users stays."""
        self._open.set_rate(rate, now)

    def scale(self, share: float, now: float, ended: int = 0, not_started: int = 0) -> None:
        """Reduce both loads to a share of the present ones."""
        self._closed.scale(share, now, ended, not_started)
        self._open.scale(share, now)

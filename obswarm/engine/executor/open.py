"""The open model: a rate of iterations at each moment. A pure function of the clock."""

from collections.abc import Mapping
from dataclasses import dataclass

from obswarm.api import ObswarmError
from obswarm.engine.executor.assignment import Assignment
from obswarm.engine.executor.executor import PLAN_END, ExecutorState, SetLoad, stage_begins
from obswarm.engine.executor.rate_curve import RateOverTime
from obswarm.engine.schedule import LoadSchedule

_STEP_S = 0.1
_SHORTEST_STEP_S = 0.01
_CORRECTED_OVER_S = 1.0
_SAME = 1e-9
"""Rates that differ by this share are the same: a constant rate is not assigned again because of rounding."""


@dataclass(frozen=True, slots=True)
class ArrivalLoad:
    """The load of a user class: its rate over time, and the maximum number of its users."""

    curve: RateOverTime
    max_users: int


class OpenExecutor:
    """Assigns rates of iterations along the curves of user classes; an Executor.

    A generator keeps an assigned rate until the next assignment, so each one is the mean of the curve until the next
    step. What the steps before have assigned too much or too little, since they were late, is added over the next
    second: the number of iterations follows the integral of the rate, however irregular the steps are.
    """

    end = PLAN_END

    def __init__(self, loads: Mapping[str, ArrivalLoad]) -> None:
        self._loads = dict(loads)
        self._curves = {name: load.curve for name, load in loads.items()}
        self._max_users = {name: load.max_users for name, load in loads.items()}
        self._rates = dict.fromkeys(loads, 0.0)
        self._missing = dict.fromkeys(loads, 0.0)
        """Iterations by class that the steps until now should have assigned, and have not."""
        self._frozen: dict[str, float] | None = None
        """Rates that replace those of the curves, while the load is held or scaled."""
        self._is_scaled = False
        self._held_since: float | None = None
        self._unfollowed_since: float | None = None
        self._began = self._started = 0.0
        self._last: float | None = None
        """Time of the last step."""
        self._settled_step: int | None = None

    @property
    def duration_s(self) -> float | None:
        """As Executor.duration_s: that of the longest curve."""
        durations = [curve.duration_s for curve in self._curves.values()]
        return None if None in durations else max((each for each in durations if each is not None), default=None)

    @property
    def target(self) -> Mapping[str, int]:
        """As Executor.target: no class has a number of users."""
        return dict.fromkeys(self._loads, 0)

    @property
    def holding(self) -> bool:
        return self._held_since is not None

    @property
    def settled(self) -> bool:
        """Whether no rate changes."""
        if self._last is None:
            return False
        elapsed_s = self._last - self._started
        return self._frozen is not None or all(curve.is_level(elapsed_s) for curve in self._curves.values())

    @property
    def plan_step(self) -> int | None:
        """Number of the straight lines of all curves that have begun before, without the first."""
        if self._last is None:
            return None
        return sum(curve.step(self._last - self._started) for curve in self._curves.values())

    @property
    def plan_change(self) -> str:
        """As Executor.plan_change."""
        return stage_begins(self.plan_step)

    @property
    def plan_load(self) -> str:
        """The rate at the end of the current straight lines."""
        elapsed_s = 0.0 if self._last is None else self._last - self._started
        return f"{sum(curve.goal(elapsed_s) for curve in self._curves.values()):.10g} iterations/s"

    def elapsed(self, now: float) -> float:
        """Return the elapsed seconds of the plan, without holds."""
        return (now if self._held_since is None else self._held_since) - self._started

    def start(self, now: float, *, burst_s: float | None = None) -> None:
        """As Executor.start."""
        self._began = self._started = now

    def resume(
        self, state: ExecutorState, now: float, *, run_s: float, away_s: float, burst_s: float | None = None
    ) -> float:
        """As Executor.resume. Workers have kept the last rates meanwhile."""
        elapsed_s = state.elapsed_s + (0.0 if state.holding else away_s)
        self._began, self._started, self._last = now - run_s, now - elapsed_s, now
        self._rates.update({name: rate for name, rate in state.rates.items() if name in self._rates})
        self._is_scaled = state.set_load is not None and state.set_load.is_scaled
        if state.holding or self._is_scaled:
            self._frozen, self._unfollowed_since = dict(self._rates), now
        self._held_since = now if state.holding else None
        return elapsed_s

    def state(self, now: float) -> ExecutorState:
        """As Executor.state."""
        scaled = SetLoad(0, 0.0, is_scaled=True) if self._is_scaled else None
        return ExecutorState(self.elapsed(now), self.holding, {}, dict(self._rates), scaled)

    def step(self, now: float) -> Assignment | None:
        """Return the current assignment; None at the end of all curves."""
        elapsed_s = self.elapsed(now)
        plan_s = now - self._began if self.holding else elapsed_s
        if all(curve.is_over(plan_s) for curve in self._curves.values()):
            return None
        before_s = elapsed_s if self._last is None else max(0.0, min(self._last - self._started, elapsed_s))
        since_s = 0.0 if self._last is None else now - self._last
        for name, curve in self._curves.items():
            if self._frozen is not None:
                self._rates[name], self._missing[name] = self._frozen[name], 0.0
                continue
            planned = curve.integral(elapsed_s) - curve.integral(before_s)
            self._missing[name] += planned - self._rates[name] * since_s
            self._rates[name] = self._rate(name, curve, elapsed_s)
        begins = dict.fromkeys(self._curves, self._started) if self._last is None else {}
        self._last = now
        step = self.plan_step
        has_settled = self.settled and self._settled_step != step
        if has_settled:
            self._settled_step = step
        return self._assignment(has_settled, self._ends(), begins)

    def _rate(self, name: str, curve: RateOverTime, elapsed_s: float) -> float:
        step_s, left_s = _STEP_S, _CORRECTED_OVER_S
        if curve.duration_s is not None:
            # Nothing is due after the end, so the last step makes up for all that is missing.
            until_end_s = max(curve.duration_s - elapsed_s, _SHORTEST_STEP_S)
            step_s, left_s = min(step_s, until_end_s), min(left_s, until_end_s)
        mean = (curve.integral(elapsed_s + step_s) - curve.integral(elapsed_s)) / step_s
        rate = max(0.0, mean + self._missing[name] / left_s)
        present = curve.at(elapsed_s)
        return present if abs(rate - present) <= present * _SAME else rate

    def _ends(self) -> dict[str, float]:
        """Return when the last iteration of each class is due, as far as that is known."""
        if self._frozen is None:
            return {
                name: self._started + curve.duration_s
                for name, curve in self._curves.items()
                if curve.duration_s is not None
            }
        duration_s = self.duration_s
        if duration_s is None:
            return {}
        return dict.fromkeys(self._curves, (self._began if self.holding else self._started) + duration_s)

    def _assignment(self, has_settled: bool, ends: Mapping[str, float], begins: Mapping[str, float]) -> Assignment:
        rates, max_users = dict(self._rates), dict(self._max_users)
        return Assignment({}, 1.0, _STEP_S, has_settled, rates, max_users, ends, begins)

    def may_want_more(self, now: float) -> bool:
        """As Executor.may_want_more."""
        return True

    def unfollowed_s(self, now: float) -> float:
        """As Executor.unfollowed_s."""
        return 0.0 if self._unfollowed_since is None else now - self._unfollowed_since

    def hold(self, now: float) -> None:
        """Freeze the rates and the time of the plan, which ends if the hold lasts beyond its total time."""
        if self._held_since is None:
            self._held_since = now
            self._freeze(now, 1.0)

    def release(self, now: float) -> None:
        """As Executor.release. A load that was scaled meanwhile stays so."""
        if self._held_since is None:
            return
        self._started += now - self._held_since
        self._held_since, self._last = None, now
        if not self._is_scaled:
            self._frozen = self._unfollowed_since = None

    def _freeze(self, now: float, share: float) -> None:
        rates = self._frozen or {name: curve.at(self.elapsed(now)) for name, curve in self._curves.items()}
        self._frozen = {name: rate * share for name, rate in rates.items()}
        if self._unfollowed_since is None:
            self._unfollowed_since = now

    def set_rate(self, rate: float, now: float) -> None:
        """As Executor.set_rate; in equal parts while the plan's rates are 0."""
        elapsed_s = self.elapsed(now)
        parts = {name: curve.at(elapsed_s) for name, curve in self._curves.items()}
        whole = sum(parts.values())
        self._freeze(now, 1.0)
        self._frozen = {name: rate * part / whole if whole else rate / len(parts) for name, part in parts.items()}
        self._is_scaled = True

    def scale(self, share: float, now: float, ended: int = 0, not_started: int = 0) -> None:
        """As Executor.scale: the present rates are multiplied by the share."""
        self._freeze(now, share)
        self._is_scaled = True

    def replace_plan(self, plan: LoadSchedule) -> None:
        """Without effect: there is no number of users."""

    def set_load(self, users: int, rate: float, now: float, user_classes: tuple[str, ...] | None = None) -> None:
        """Raises ObswarmError: an open model has no number of users that could be set."""
        raise ObswarmError(
            "runner.start: the load of this run is a rate of iterations, so its number of users cannot be set."
        )

"""The closed model: a number of users at each moment. A pure function of the clock."""

import math
from collections.abc import Callable, Mapping, Sequence

from obswarm.api import ObswarmError, User
from obswarm.engine.allocation import ClassWeight, allocate, is_weighted, spread, weight_of
from obswarm.engine.executor.assignment import Assignment
from obswarm.engine.executor.executor import PLAN_END, ExecutorState, SetLoad, stage_begins
from obswarm.engine.rate_limiter import RateLimiter, step_towards
from obswarm.engine.schedule import LoadSchedule, LoadTarget, Ramp, ReplacedLoad
from obswarm.units import counted, format_names

_PLATEAU_STEP_S = 0.05
_ROUNDING = 1e-9
"""Tolerance of a share of the users: 29 % of 100 are 29, not 28.999…"""


class ClosedExecutor:
    """Moves the number of users along a schedule, class by class; an Executor.

    `step(now)` returns the current assignment, or None at the end of the schedule. Users that end by themselves are not
    replaced; `assigned` includes them.
    """

    end = PLAN_END

    def __init__(
        self,
        schedule: LoadSchedule,
        user_classes: Sequence[type[User]],
        left: Callable[[], Sequence[type[User]]] | None = None,
    ) -> None:
        """`left` returns those of the classes that the run has at its start, when weights and fixed counts are read:
        listeners of events may change all of these before. None: all of them. Raises ObswarmError when the weight or
        the fixed count of a class is not a whole number, 0 or more."""
        self.schedule = schedule
        self.load: LoadTarget | None = None
        self._left = left
        self._weights = tuple(map(weight_of, user_classes))
        self.assigned = {each.name: 0 for each in self._weights}
        """Users by class."""
        self._limiter: RateLimiter | None = None
        self._started = 0.0
        self._held_s = 0.0
        """Total duration of earlier holds."""
        self._held_since: float | None = None
        self._unfollowed_since: float | None = None
        self._settled_step: int | None = None
        self._exchanging = False
        """Whether users of some classes have yet to be replaced by users of others."""

    @property
    def assigned_users(self) -> int:
        return sum(self.assigned.values())

    @property
    def holding(self) -> bool:
        return self._held_since is not None

    @property
    def is_scaled(self) -> bool:
        return isinstance(self.schedule, ReplacedLoad) and self.schedule.is_scaled

    @property
    def plan(self) -> LoadSchedule:
        """The schedule of the whole run."""
        return self.schedule.plan if isinstance(self.schedule, ReplacedLoad) else self.schedule

    @property
    def target(self) -> dict[str, int]:
        """Target number of users by class."""
        if self.holding and not self.is_scaled:
            return dict(self.assigned)
        no_users = dict.fromkeys(self.assigned, 0)
        if self.load is None:
            # Before the start, as far as it is known.
            return no_users | allocate(self.schedule.users if isinstance(self.schedule, Ramp) else 0, self._weights)
        return no_users | allocate(self.load.target, self._weights_of(self.load))

    @property
    def plan_step(self) -> int | None:
        """Number of the current step of the schedule."""
        return None if self.load is None else self.load.step

    @property
    def plan_change(self) -> str:
        """As Executor.plan_change."""
        return stage_begins(self.plan_step)

    @property
    def plan_load(self) -> str:
        """Target of that step, as text."""
        return counted(0 if self.load is None else self.load.target, "user")

    @property
    def settled(self) -> bool:
        """True when no user is on the way to be started or stopped."""
        load = self.load
        if self.holding and not self.is_scaled:
            return True
        if load is None or not load.settled or self._exchanging:
            return False
        # Classes with fixed counts alone may have fewer users than there should be.
        weights = self._weights_of(load)
        fixed = None if any(map(is_weighted, weights)) else sum(each.fixed_count for each in weights)
        return self.assigned_users == (load.target if fixed is None else min(load.target, fixed))

    def may_want_more(self, now: float) -> bool:
        """As Executor.may_want_more. Users that have ended are not replaced, so without that, no load is left when all
        have ended."""
        return self.schedule.may_want_more(self.elapsed(now), self.assigned_users)

    @property
    def duration_s(self) -> float | None:
        """As Executor.duration_s."""
        return self.plan.duration_s

    def start(
        self,
        now: float,
        *,
        elapsed_s: float = 0.0,
        assigned: Mapping[str, int] | None = None,
        held_s: float = 0.0,
        burst_s: float | None = None,
    ) -> None:
        """Start the schedule, or continue it after `elapsed_s` seconds and `held_s` seconds of holds, with `assigned`
        users by class. One step assigns new users for at most `burst_s` seconds at the spawn rate, if the generator
        itself spreads them; None: one user at a time. Raises ObswarmError as the constructor does."""
        self._weights = self._checked_weights()
        self._started = now - elapsed_s - held_s
        self._held_s = held_s
        self.assigned.update({name: number for name, number in (assigned or {}).items() if name in self.assigned})
        self._limiter = RateLimiter(now) if burst_s is None else RateLimiter(now, burst_s)
        self._note_unfollowed(now)

    def _checked_weights(self) -> tuple[ClassWeight, ...]:
        if self._left is None:
            return self._weights
        classes = self._left()
        added = [cls.__name__ for cls in classes if cls.__name__ not in self.assigned]
        if added:
            raise ObswarmError(
                f"environment.user_classes: a listener has added {format_names(added)}, which the run does not have."
                " Listeners may leave classes out, and set weight and fixed_count: write the class into the load test."
            )
        if not classes:
            raise ObswarmError("environment.user_classes: listeners have left no user class.")
        return tuple(map(weight_of, classes))

    def resume(
        self, state: ExecutorState, now: float, *, run_s: float, away_s: float, burst_s: float | None = None
    ) -> float:
        """As Executor.resume."""
        if state.set_load is not None:
            load = state.set_load
            self.schedule = ReplacedLoad(
                self.schedule, load.users, load.rate, is_scaled=load.is_scaled, user_classes=load.user_classes
            )
        stands_still = self.schedule.stands_still
        elapsed_s = state.elapsed_s + (0.0 if state.holding and stands_still else away_s)
        held_s = max(0.0, run_s - elapsed_s) if stands_still else 0.0
        self.start(now, elapsed_s=elapsed_s, assigned=state.users, held_s=held_s, burst_s=burst_s)
        if state.holding:
            self.hold(now)
        return elapsed_s

    def state(self, now: float) -> ExecutorState:
        """As Executor.state."""
        load = None
        if isinstance(replaced := self.schedule, ReplacedLoad):
            load = SetLoad(replaced.users, replaced.rate, replaced.user_classes, replaced.is_scaled)
        return ExecutorState(self.elapsed(now), self.holding, dict(self.assigned), set_load=load)

    def elapsed(self, now: float) -> float:
        """Seconds of the schedule that have passed; holds count unless the schedule stands still in them."""
        if not self.schedule.stands_still:
            return now - self._started
        return (self._held_since if self._held_since is not None else now) - self._held_s - self._started

    def unfollowed_s(self, now: float) -> float:
        """As Executor.unfollowed_s."""
        return 0.0 if self._unfollowed_since is None else now - self._unfollowed_since

    def hold(self, now: float) -> None:
        """Freeze the load, except for users that end because it was scaled. The time of stages is stopped; a hold that
        still lasts after their planned total time is the end of the schedule."""
        if self._held_since is None:
            self._held_since = now
            self._note_unfollowed(now)

    def release(self, now: float) -> None:
        """As Executor.release."""
        if self._held_since is not None:
            self._held_s += now - self._held_since
            self._held_since = None
            self._note_unfollowed(now)

    def replace_plan(self, plan: LoadSchedule) -> None:
        """As Executor.replace_plan."""
        replaced = self.schedule
        self.schedule = plan
        if isinstance(replaced, ReplacedLoad):
            self.schedule = ReplacedLoad(plan, replaced.users, replaced.rate, user_classes=replaced.user_classes)

    def set_load(self, users: int, rate: float, now: float, user_classes: tuple[str, ...] | None = None) -> None:
        """As Executor.set_load."""
        self._replace(users, rate, now, user_classes=user_classes)

    def set_rate(self, rate: float, now: float) -> None:
        """Raises ObswarmError: a closed model has no rate that could be set."""
        raise ObswarmError("The load of this run is a number of users, so there is no rate of iterations to set.")

    def scale(self, share: float, now: float, ended: int = 0, not_started: int = 0) -> None:
        """As Executor.scale. Users change at the present spawn rate, and those that have not been started are not any
        more. The load never rises: a share of a few users is at least one user, unless the share is 0, and a scale
        during another one does not raise its target."""
        if not_started > 0:
            started = max(0, self.assigned_users - not_started)
            self._assign(allocate(started, self._weights if self.load is None else self._weights_of(self.load)), 0)
        present = max(0, self.assigned_users - max(0, ended))
        kept = min(present, max(math.ceil(share), math.floor(present * share + _ROUNDING)))
        users = self.assigned_users - present + kept
        if isinstance(self.schedule, ReplacedLoad) and self.schedule.is_scaled:
            users = min(users, self.schedule.users)
        self._replace(users, self.load.rate if self.load is not None else 1.0, now, is_scaled=True)

    def _replace(
        self,
        users: int,
        rate: float,
        now: float,
        is_scaled: bool = False,
        user_classes: tuple[str, ...] | None = None,
    ) -> None:
        # What holds have taken until now is no time of the plan's.
        elapsed_s, load = self.elapsed(now), self.load
        step, classes = (0, None) if load is None else (load.step, load.user_classes)
        if user_classes is not None:
            classes = user_classes
        self.schedule = ReplacedLoad(self.plan, users, rate, is_scaled=is_scaled, step=step, user_classes=classes)
        self._started, self._held_s = now - elapsed_s, 0.0
        self._settled_step = None
        self._note_unfollowed(now)

    def _note_unfollowed(self, now: float) -> None:
        if not self.holding and not self.is_scaled:
            self._unfollowed_since = None
        elif self._unfollowed_since is None:
            self._unfollowed_since = now

    def step(self, now: float) -> Assignment | None:
        """Return the current assignment; None at the end of the schedule."""
        assert self._limiter is not None, "start() comes first"
        if self.holding and not self.is_scaled:
            return None if self.schedule.is_over(now - self._started) else self._assignment(_PLATEAU_STEP_S, False)
        before = self.load
        load = self.schedule.at(self.elapsed(now), self.assigned_users)
        if load is None:
            return None
        self.load = load
        has_settled = False
        if before is not None and before.step != load.step:
            # A stage that ends on a slope has reached its end as well.
            has_settled = self._settled_step != before.step
            self._settled_step = None

        users = self.assigned_users
        due = step_towards(users, load.position)
        allowed = self._limiter.allowed(now, load.rate)
        moves = min(abs(due), allowed)
        users += moves if due > 0 else -moves
        self._limiter.take(self._assign(allocate(users, self._weights_of(load)), allowed))
        if self.settled and self._settled_step != load.step:
            self._settled_step = load.step
            has_settled = True
        if self._exchanging:
            wait_s = self._limiter.wait(0.0, load.rate)
        elif due == 0 and load.settled:
            wait_s = _PLATEAU_STEP_S
        else:
            missing = 1 - abs(load.position - users) % 1 if due == 0 else 0.0
            wait_s = self._limiter.wait(missing, load.rate)
        return self._assignment(wait_s, has_settled)

    def _assignment(self, wait_s: float, has_settled: bool) -> Assignment:
        rate = self.load.rate if self.load is not None else 1.0
        return Assignment(dict(self.assigned), rate, wait_s, has_settled)

    def _weights_of(self, load: LoadTarget) -> Sequence[ClassWeight]:
        if load.user_classes is None:
            return self._weights
        return [each for each in self._weights if each.name in load.user_classes]

    def _assign(self, wanted: dict[str, int], allowed: int) -> int:
        """Approach the wanted users, with at most `allowed` new ones. If users of some classes are replaced by users of
        others, as many end as are started. Returns the number of changed users."""
        changes = {name: wanted.get(name, 0) - present for name, present in self.assigned.items()}
        starts = spread(allowed, {name: change for name, change in changes.items() if change > 0})
        ends = {name: -change for name, change in changes.items() if change < 0}
        stops = spread(self.assigned_users + sum(starts.values()) - sum(wanted.values()), ends)
        for name, number in starts.items():
            self.assigned[name] += number
        for name, number in stops.items():
            self.assigned[name] -= number
        self._exchanging = any(wanted.get(name, 0) != present for name, present in self.assigned.items())
        return max(sum(starts.values()), sum(stops.values()))

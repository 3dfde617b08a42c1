"""Load schedules of the closed model: the number of users over time. One class for each kind of schedule."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gevent import GreenletExit

from obswarm.api import (
    Environment,
    LoadTestError,
    LoadTestShape,
    ObswarmError,
    Stage,
    StopTest,
    User,
    user_traceback,
    users_at,
)
from obswarm.greenlets import NOT_ONLY_EXCEPTIONS, call_apart, described
from obswarm.killed import is_killed

_SHAPE_INTERVAL_S = 1.0
_RATE_OF_A_JUMP = 1_000.0


@dataclass(frozen=True, slots=True)
class LoadTarget:
    """The target of a schedule at a point of time.

    `target` is the number of users at the end of the present ramp, `position` the number by now, `rate` the spawn rate
    in users per second, or on a plateau the last one. `step` increases when the target changes; `settled` is true on a
    plateau.
    """

    target: int
    position: float
    rate: float
    step: int
    settled: bool
    user_classes: tuple[str, ...] | None = None


class LoadSchedule(Protocol):
    """The interface of load schedules for the executor."""

    duration_s: float | None
    """Duration in seconds; None if the schedule has no end of its own."""

    most_users: int | None
    """The maximum number of users; None if it is unknown."""

    stands_still: bool
    """Whether the time of the schedule pauses while the load is held."""

    def at(self, elapsed_s: float, assigned_users: int) -> LoadTarget | None:
        """Return the target at a time of the schedule; None if the schedule is over.

        `assigned_users` is the present number of users, from which a ramp starts. Times never decrease.
        """

    def may_want_more(self, elapsed_s: float, assigned_users: int) -> bool:
        """Whether the schedule may have a target above `assigned_users` at a later time."""

    def is_over(self, elapsed_s: float) -> bool:
        """Whether the schedule is over at a time. Called instead of `at` while the load does not follow it."""


class Ramp:
    """A ramp from the present number of users to another one at a constant rate, then a plateau."""

    stands_still = True

    def __init__(self, users: int, rate: float, duration_s: float | None = None) -> None:
        self.users = users
        self.rate = rate
        self.duration_s = duration_s
        self.most_users: int | None = users
        self._start: tuple[float, int] | None = None

    def at(self, elapsed_s: float, assigned_users: int) -> LoadTarget | None:
        if self.is_over(elapsed_s):
            return None
        if self._start is None:
            self._start = (elapsed_s, assigned_users)
        began, base = self._start
        # The first user starts (or stops) at once, the next one 1/rate later.
        way = self.rate * (elapsed_s - began) + 1
        if self.users >= base:
            position = min(float(self.users), base + way)
        else:
            position = max(float(self.users), base - way)
        return LoadTarget(self.users, position, self.rate, 0, abs(position - self.users) < 1e-6)

    def may_want_more(self, elapsed_s: float, assigned_users: int) -> bool:
        return self.users > assigned_users

    def is_over(self, elapsed_s: float) -> bool:
        return self.duration_s is not None and elapsed_s >= self.duration_s


class StagesSchedule:
    """Linear ramps between the ends of stages."""

    stands_still = True

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = tuple(stages)
        self.duration_s: float | None = sum(stage.duration_s for stage in stages)
        self.most_users: int | None = max((stage.users for stage in stages), default=0)

    def at(self, elapsed_s: float, assigned_users: int) -> LoadTarget | None:
        found = users_at(self.stages, elapsed_s)
        if found is None:
            return None
        position, slope = found
        step = 0
        rest = elapsed_s
        before, rate = 0, _RATE_OF_A_JUMP
        for stage in self.stages:
            if rest < stage.duration_s:
                break
            if stage.users != before:
                # A stage of no duration is a jump, which is spread over a short time, too.
                rate = abs(stage.users - before) / stage.duration_s if stage.duration_s else _RATE_OF_A_JUMP
            before = stage.users
            rest -= stage.duration_s
            step += 1
        # On a plateau, users are moved between workers and delayed users are started at the rate of the last ramp.
        return LoadTarget(round(position), position, slope or rate, step, slope == 0)

    def may_want_more(self, elapsed_s: float, assigned_users: int) -> bool:
        end_s = 0.0
        for stage in self.stages:
            end_s += stage.duration_s
            if end_s > elapsed_s and stage.users > assigned_users:
                return True
        return False

    def is_over(self, elapsed_s: float) -> bool:
        return users_at(self.stages, elapsed_s) is None


class ShapeSchedule:
    """A LoadTestShape of the load-test file, whose `tick` is called once a second.

    Its time cannot be paused, and `tick` is also called while the load does not follow it, since only its return value
    ends the schedule.
    """

    duration_s: float | None = None
    most_users: int | None = None
    stands_still = False

    def __init__(self, shape: LoadTestShape, user_classes: Sequence[type[User]]) -> None:
        self.shape = shape
        self._known = {cls.__name__ for cls in user_classes}
        self._ramp: Ramp | None = None
        self._wanted: tuple[int, float, tuple[str, ...] | None] | None = None
        self._answer: object = None
        self._step = -1
        self._next_tick_s = 0.0

    def at(self, elapsed_s: float, assigned_users: int) -> LoadTarget | None:
        wanted = self._ask(elapsed_s)
        if wanted is None:
            return None
        users, rate, classes = wanted
        if self._ramp is None:
            self._ramp = Ramp(users, rate)
        load = self._ramp.at(elapsed_s, assigned_users)
        assert load is not None
        return LoadTarget(load.target, load.position, load.rate, self._step, load.settled, classes)

    def may_want_more(self, elapsed_s: float, assigned_users: int) -> bool:
        """Return True: only the shape knows its later targets."""
        return True

    def is_over(self, elapsed_s: float) -> bool:
        is_over = self._ask(elapsed_s) is None
        # The next ramp starts from the number of users at that time.
        self._ramp = None
        return is_over

    def _ask(self, elapsed_s: float) -> tuple[int, float, tuple[str, ...] | None] | None:
        """Return the present users, rate and classes of the shape; None if it has ended."""
        if elapsed_s >= self._next_tick_s or self._wanted is None:
            self._next_tick_s = elapsed_s - elapsed_s % _SHAPE_INTERVAL_S + _SHAPE_INTERVAL_S
            answer = self._tick()
            if answer is None:
                return None
            if answer != self._answer or self._wanted is None:
                self._wanted = self._read(answer)
                self._answer = answer
                self._step += 1
                self._ramp = None
        return self._wanted

    def _tick(self) -> Any:
        try:
            return call_apart(self.shape.tick)
        except (ObswarmError, StopTest):
            raise
        except (*NOT_ONLY_EXCEPTIONS, GreenletExit) as error:
            if isinstance(error, GreenletExit) and is_killed():
                raise
            shape = type(self.shape).__name__
            raise LoadTestError(f"{shape}.tick() raised {described(error)}\n{user_traceback(error)}") from None

    def _read(self, answer: Any) -> tuple[int, float, tuple[str, ...] | None]:
        where = f"{type(self.shape).__name__}.tick() returned {answer!r}"
        if not isinstance(answer, tuple | list) or len(answer) not in (2, 3):
            raise ObswarmError(f"{where}; it has to return (users, spawn_rate) or None to end the run.")
        users, rate = answer[0], answer[1]
        if not isinstance(users, int | float) or users < 0 or not isinstance(rate, int | float) or rate <= 0:
            raise ObswarmError(f"{where}; users must not be negative and the spawn rate has to be above 0.")
        classes: tuple[str, ...] | None = None
        if len(answer) == 3 and answer[2]:
            classes = tuple(cls.__name__ for cls in answer[2])
            unknown = sorted(set(classes) - self._known)
            if unknown:
                raise ObswarmError(f"{where}; {', '.join(unknown)} is not among the run's user classes.")
        return round(users), float(rate), classes


class ReplacedLoad:
    """A constant load that replaces that of a plan, until the plan ends. `is_scaled`: the load was scaled by a guard,
    so that it decreases even while it is held. `step` and `user_classes` are those of the plan's last target."""

    stands_still = False

    def __init__(
        self,
        plan: LoadSchedule,
        users: int,
        rate: float,
        *,
        is_scaled: bool = False,
        step: int = 0,
        user_classes: tuple[str, ...] | None = None,
    ) -> None:
        self.plan = plan
        self.users = users
        self.rate = rate
        self.is_scaled = is_scaled
        self.duration_s = plan.duration_s
        self.most_users: int | None = users
        self.user_classes = user_classes
        self._step = step
        self._ramp = Ramp(users, rate)

    def at(self, elapsed_s: float, assigned_users: int) -> LoadTarget | None:
        if self.plan.is_over(elapsed_s):
            return None
        load = self._ramp.at(elapsed_s, assigned_users)
        assert load is not None
        return LoadTarget(load.target, load.position, load.rate, self._step, load.settled, self.user_classes)

    def may_want_more(self, elapsed_s: float, assigned_users: int) -> bool:
        return self.users > assigned_users

    def is_over(self, elapsed_s: float) -> bool:
        self._ramp = Ramp(self.users, self.rate)
        return self.plan.is_over(elapsed_s)


def begin_shape(environment: Environment) -> None:
    """Start the time of the load test's shape, if it has one."""
    shape = environment.shape_class
    if isinstance(shape, LoadTestShape):
        shape.runner = environment.runner
        shape.reset_time()


def continue_shape(environment: Environment, elapsed_s: float) -> None:
    """Set the time of the load test's shape, if it has one, to that of a run of which `elapsed_s` have passed."""
    shape = environment.shape_class
    if isinstance(shape, LoadTestShape):
        shape.start_time -= elapsed_s

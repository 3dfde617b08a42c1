"""LoadDriver: has a generator follow an executor, and knows when the load is over. A pure function of the clock."""

from dataclasses import dataclass

from obswarm import defaults
from obswarm.engine.control import StopReason, name_of
from obswarm.engine.executor import Assignment, Executor
from obswarm.engine.generator import LoadGenerator
from obswarm.record import RunState, StopKind
from obswarm.units import format_duration, format_names

_SHORTEST_STAGE_OF_A_SHAPE_S = 3.0
_HOLD = "hold"


@dataclass(frozen=True, slots=True)
class DriverStep:
    """What has come of one step: the next one is wanted after `wait_s` seconds, unless there is a reason to `stop`.
    `stage` says in a sentence that a stage of the plan has begun."""

    wait_s: float = 0.0
    stop: StopReason | None = None
    stage: str | None = None
    settled: bool = False
    """Whether the load has just been assigned where it was heading."""


class LoadDriver:
    """`limit_s` is how long the run may take. A load with a shape (`has_shape`) says only while it is asked when it
    ends."""

    def __init__(self, executor: Executor, generator: LoadGenerator, *, limit_s: float | None, has_shape: bool) -> None:
        self.executor = executor
        self.in_force: dict[str, str] = {}
        """The actions `hold` and `scale(…)` that are in force, by the id of their guard or alert."""
        self._generator = generator
        self._limit_s = limit_s
        self._has_shape = has_shape
        self._stage: int | None = None
        self._stage_since_s = 0.0

    @property
    def state(self) -> RunState:
        """Of a run whose load is being driven."""
        if self.executor.holding:
            return RunState.HOLDING
        return RunState.RUNNING if self.executor.settled else RunState.SPAWNING

    def scale(self, share: float, by: str, now: float) -> None:
        """As RunControl.scale."""
        if by not in self.in_force:
            self.in_force[by] = f"scale({share:.4g})"
            generator = self._generator
            self.executor.scale(share, now, generator.users_ended(), generator.users_not_started(now))

    def hold(self, by: str, now: float) -> None:
        """As RunControl.hold."""
        self.in_force[by] = _HOLD
        self.executor.hold(now)

    def release(self, by: str, now: float) -> None:
        """As RunControl.release."""
        if self.in_force.pop(by, None) == _HOLD and _HOLD not in self.in_force.values():
            self.executor.release(now)

    def step(self, now: float, elapsed_s: float) -> DriverStep:
        """Bring the load to where it should be now, `elapsed_s` seconds after the start of the run. Raises what a shape
        raises."""
        is_due = self._limit_s is not None and elapsed_s >= self._limit_s
        assignment = None if is_due else self.executor.step(now)
        if assignment is None:
            holders = dict.fromkeys(name_of(by) for by, action in self.in_force.items() if action == _HOLD)
            held = f", and the load was held: {format_names(list(holders))}" if self.executor.holding else ""
            # A shape ends by itself, at a time that nobody has planned.
            over = "the load shape has ended" if self._has_shape and not is_due else "the planned time is over"
            return DriverStep(stop=StopReason(StopKind.TIME, f"{over}{held}"))
        self._generator.apply(assignment, now)
        return DriverStep(assignment.wait_s, self._end(assignment, now), self._new_stage(now), assignment.settled)

    def _end(self, assignment: Assignment, now: float) -> StopReason | None:
        """Why there is nothing left to do, if that is so."""
        executor = self.executor
        is_there = executor.settled and assignment.user_count > 0
        if is_there and not executor.may_want_more(now) and self._nobody_is_left(assignment):
            return StopReason(StopKind.USER, "every user has ended by itself")
        if self._is_given_up(assignment, now):
            limit = format_duration(defaults.UNFOLLOWED_LIMIT_S)
            return StopReason(
                StopKind.TIME, f"the load has been held or scaled for {limit}, and its plan has no known end"
            )
        return None

    def _nobody_is_left(self, assignment: Assignment) -> bool:
        # Users that keep a rate of iterations are made as they are needed.
        return not assignment.has_rates and self._generator.everyone_has_left()

    def _is_given_up(self, assignment: Assignment, now: float) -> bool:
        """Whether a load that follows no plan any more would be there for ever, although nobody has asked for that: its
        shape does not say when it ends, or all of its users have left."""
        if self._limit_s is not None or self.executor.unfollowed_s(now) < defaults.UNFOLLOWED_LIMIT_S:
            return False
        if self.executor.duration_s is not None:
            return False
        return self._has_shape or self._nobody_is_left(assignment)

    def _new_stage(self, now: float) -> str | None:
        step = self.executor.plan_step
        if step is None or step == self._stage:
            return None
        # A shape that draws a curve changes its mind every second; those are no stages.
        is_stage = not self._has_shape or now - self._stage_since_s >= _SHORTEST_STAGE_OF_A_SHAPE_S
        is_first = self._stage is None
        self._stage, self._stage_since_s = step, now
        return f"Stage {step + 1} begins, at {self.executor.plan_load}" if is_stage and not is_first else None

"""LoadDriver: applies an executor's assignments to a generator, and detects the end of the load. A pure function of
the clock."""

from collections.abc import Mapping
from dataclasses import dataclass

from obswarm import defaults
from obswarm.engine.control import StopReason, name_of
from obswarm.engine.executor import PLAN_END, Assignment, Executor
from obswarm.engine.generator import LoadGenerator
from obswarm.engine.iteration_limit import IterationCount
from obswarm.engine.schedule import LoadSchedule
from obswarm.record import RunState, StopKind
from obswarm.units import format_duration, format_names

_SHORTEST_STAGE_OF_A_SHAPE_S = 3.0
_HOLD = "hold"


@dataclass(frozen=True, slots=True)
class DriverStep:
    """The result of a step: the next one is due after `wait_s` seconds, unless there is a reason to `stop`. `stage` is
    the text of the annotation if a stage of the plan has begun."""

    wait_s: float = 0.0
    stop: StopReason | None = None
    stage: str | None = None
    settled: bool = False
    """Whether the load has just reached its target."""


class LoadDriver:
    """Drives the load of a run for at most `limit_s` seconds. `has_shape`: the load is a LoadTestShape, whose end is
    not known in advance. `iterations` counts those whose number is limited."""

    def __init__(
        self,
        executor: Executor,
        generator: LoadGenerator,
        *,
        limit_s: float | None,
        has_shape: bool,
        iterations: IterationCount | None = None,
    ) -> None:
        self.executor = executor
        self.in_force: dict[str, str] = {}
        """The actions `hold` and `scale(…)` that are in force, by the id of their guard or alert."""
        self._generator = generator
        self._limit_s = limit_s
        self._has_shape = has_shape
        self.iterations = iterations
        self._stage: int | None = None
        self._stage_since_s = 0.0
        self._assignment: Assignment | None = None

    def replace_plan(self, plan: LoadSchedule, limit_s: float | None, has_shape: bool) -> None:
        """Use another plan, with another limit, before the start."""
        self.executor.replace_plan(plan)
        self._limit_s, self._has_shape = limit_s, has_shape

    def restore(self, in_force: Mapping[str, str]) -> None:
        """Continue with the actions in force of an earlier process; its executor's state is restored separately."""
        self.in_force.update(in_force)

    @property
    def planned_s(self) -> float | None:
        """Seconds after which the load ends, unless it is held; None if that is not known."""
        return min((each for each in (self._limit_s, self.executor.duration_s) if each is not None), default=None)

    @property
    def state(self) -> RunState:
        """The state of the run while its load is driven."""
        if self.executor.holding:
            return RunState.HOLDING
        return RunState.RUNNING if self.executor.settled else RunState.SPAWNING

    @property
    def spawn_rate(self) -> float:
        """The last assigned spawn rate, in users per second; 0 before the first assignment."""
        return 0.0 if self._assignment is None else self._assignment.spawn_rate

    @property
    def rates_target(self) -> Mapping[str, float]:
        """The last assigned iterations per second by class; empty for a load without any."""
        return {} if self._assignment is None else self._assignment.rates

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
        """Apply the current assignment, `elapsed_s` seconds after the start of the run. Raises the exceptions of a
        shape."""
        is_due = self._limit_s is not None and elapsed_s >= self._limit_s
        assignment = None if is_due else self.executor.step(now)
        if assignment is None:
            holders = dict.fromkeys(name_of(by) for by, action in self.in_force.items() if action == _HOLD)
            held = f", and the load was held: {format_names(list(holders))}" if self.executor.holding else ""
            # A shape ends by itself, at a time that is not planned.
            over = PLAN_END if is_due else "the load shape has ended" if self._has_shape else self.executor.end
            return DriverStep(stop=StopReason(StopKind.TIME, f"{over}{held}"))
        if self._limit_s is not None and assignment.rates:
            assignment = assignment.ending_by(now - elapsed_s + self._limit_s)
        self._assignment = assignment
        self._generator.apply(assignment, now)
        # The limit may be sooner than a generator can be assigned users again.
        wait_s = max(assignment.wait_s, self._generator.step_s)
        if self._limit_s is not None:
            wait_s = min(wait_s, self._limit_s - elapsed_s)
        return DriverStep(wait_s, self._end(assignment, now), self._new_stage(now), assignment.settled)

    def _end(self, assignment: Assignment, now: float) -> StopReason | None:
        """Return the reason why no load is left; None if there is load."""
        executor = self.executor
        all_ended = None if self.iterations is None else self.iterations.reason_to_stop(executor.target)
        if all_ended is not None:
            return StopReason(StopKind.ITERATIONS, all_ended)
        is_reached = executor.settled and assignment.user_count > 0
        if is_reached and not executor.may_want_more(now) and self._no_user_is_left(assignment):
            return StopReason(StopKind.USER, "every user has ended by itself")
        if self._is_given_up(assignment, now):
            limit = format_duration(defaults.UNFOLLOWED_LIMIT_S)
            return StopReason(
                StopKind.TIME, f"the load has been held or scaled for {limit}, and its plan has no known end"
            )
        return None

    def _no_user_is_left(self, assignment: Assignment) -> bool:
        # Users for a rate of iterations are started as needed.
        return not assignment.has_rates and self._generator.everyone_has_left()

    def _is_given_up(self, assignment: Assignment, now: float) -> bool:
        """Whether a load that no longer follows its plan would never end: it has a shape, whose end is unknown, or all
        of its users have left."""
        if self._limit_s is not None or self.executor.unfollowed_s(now) < defaults.UNFOLLOWED_LIMIT_S:
            return False
        if self.executor.duration_s is not None:
            return False
        return self._has_shape or self._no_user_is_left(assignment)

    def _new_stage(self, now: float) -> str | None:
        step = self.executor.plan_step
        if step is None or step == self._stage:
            return None
        # A shape that follows a curve changes its target every second; these are not stages.
        is_stage = not self._has_shape or now - self._stage_since_s >= _SHORTEST_STAGE_OF_A_SHAPE_S
        is_first = self._stage is None
        self._stage, self._stage_since_s = step, now
        return f"{self.executor.plan_change}, at {self.executor.plan_load}" if is_stage and not is_first else None

"""Executor: the interface of a workload model, which returns the assignment of a run's plan at a given time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from obswarm.engine.executor.assignment import Assignment
from obswarm.engine.schedule import LoadSchedule


@dataclass(frozen=True, slots=True)
class SetLoad:
    """A load that replaces that of the plan: set by a command, or scaled by a guard (`is_scaled`)."""

    users: int
    rate: float
    """In users per second."""
    user_classes: tuple[str, ...] | None = None
    """None: all."""
    is_scaled: bool = False


@dataclass(frozen=True, slots=True)
class ExecutorState:
    """The state of an executor, from which that of another process continues."""

    elapsed_s: float
    """Elapsed time of the plan."""
    holding: bool
    users: Mapping[str, int]
    """By class, as last assigned."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Iterations per second by class, as last assigned."""
    set_load: SetLoad | None = None
    """None: the plan is followed."""
    parts: Mapping[str, tuple[str, "ExecutorState"]] = field(default_factory=dict)
    """State and executor's state of each scenario, by name."""


PLAN_END = "the planned time is over"


def stage_begins(step: int | None, of: str = "") -> str:
    """Return the text for the beginning of a stage, whose number `step` counts from 0."""
    return f"Stage {(step or 0) + 1}{of and f' of {of}'} begins"


class Executor(Protocol):
    """Determines the load at each moment: the driver of a run calls `step` repeatedly and applies the returned
    assignment to the generator.

    An executor is a function of the clock: it never sleeps, has no reference to the generator, and gets the time, in
    seconds of the monotonic clock, with each call. `start` or `resume` is called first.
    """

    @property
    def end(self) -> str:
        """Why the load ends when `step` returns None, as text."""

    @property
    def duration_s(self) -> float | None:
        """Duration of the plan in seconds; None if it has no end of its own."""

    @property
    def target(self) -> Mapping[str, int]:
        """Target number of users, for every class of the run."""

    @property
    def settled(self) -> bool:
        """Whether the assigned load has reached its target."""

    @property
    def holding(self) -> bool:
        """Whether the load is frozen by `hold`."""

    @property
    def plan_step(self) -> int | None:
        """Number, from 0, of the current part of the plan, e.g. a stage; None before the first `step`."""

    @property
    def plan_change(self) -> str:
        """What began or ended with this part of the plan as text, e.g. "Stage 2 begins"."""

    @property
    def plan_load(self) -> str:
        """Target load of this part of the plan as text, e.g. "12 users"."""

    def start(self, now: float, *, burst_s: float | None = None) -> None:
        """Begin the plan. One step may assign new users for at most `burst_s` seconds at the spawn rate; None: one user
        at a time."""

    def resume(
        self, state: ExecutorState, now: float, *, run_s: float, away_s: float, burst_s: float | None = None
    ) -> float:
        """Continue from the state of another process `away_s` seconds ago, instead of `start`; now is `run_s` seconds
        after the start of the run. Returns the elapsed seconds of the plan."""

    def state(self, now: float) -> ExecutorState:
        """Return the state for `resume`."""

    def step(self, now: float) -> Assignment | None:
        """Return the current assignment; None at the end of the plan. Raises the exceptions of the plan's own code."""

    def may_want_more(self, now: float) -> bool:
        """Whether a later assignment may have more load than the last one. If not, the run ends when all users have
        ended by themselves."""

    def unfollowed_s(self, now: float) -> float:
        """Seconds since which the load has not followed the plan, because it is held or scaled."""

    def hold(self, now: float) -> None:
        """Freeze the load until `release`."""

    def release(self, now: float) -> None:
        """Continue the plan after `hold`."""

    def replace_plan(self, plan: LoadSchedule) -> None:
        """Use another plan for the number of users, before the start; without effect on rates of iterations."""

    def set_load(self, users: int, rate: float, now: float, user_classes: tuple[str, ...] | None = None) -> None:
        """Replace the plan's load by this number of users, at `rate` users per second, until the plan ends. They are of
        the classes with these names; None: of those that the plan has at the moment."""

    def set_rate(self, rate: float, now: float) -> None:
        """Replace the plan's rates by this number of iterations per second of all classes together, divided as the
        plan's rates are at the moment, until the plan ends. While the load is held, this takes effect at once. Raises
        ObswarmError if no class has a rate."""

    def scale(self, share: float, now: float, ended: int = 0, not_started: int = 0) -> None:
        """Reduce the load to a share (0 to 1) of the present one, until the plan ends. Of the assigned users, `ended`
        have ended by themselves, and `not_started` have not been started yet."""

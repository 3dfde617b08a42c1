"""Executor: what turns the plan of a run and the time into assignments. The interface of a workload model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from obswarm.engine.executor.assignment import Assignment


@dataclass(frozen=True, slots=True)
class SetLoad:
    """A load that replaces that of the plan: it was set, or what a guard has left of it (`is_scaled`)."""

    users: int
    rate: float
    """In users per second."""
    user_classes: tuple[str, ...] | None = None
    """None: all."""
    is_scaled: bool = False


@dataclass(frozen=True, slots=True)
class ExecutorState:
    """Where an executor is, as the executor of another process needs it to go on."""

    elapsed_s: float
    """Of the plan's own time."""
    holding: bool
    users: Mapping[str, int]
    """By class, as last assigned."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Iterations per second by class, as last assigned."""
    set_load: SetLoad | None = None
    """None: the plan is followed."""


class Executor(Protocol):
    """Decides what load there has to be at each moment: the driver of a run calls `step` again and again and passes
    what it returns to the generator.

    An executor is a function of the clock: it never sleeps, knows no generator, and is given the time, in seconds of
    the monotonic clock, with each call. `start` or `resume` comes first.
    """

    @property
    def duration_s(self) -> float | None:
        """How long the plan lasts, in seconds; None when it has no end of its own."""

    @property
    def target(self) -> Mapping[str, int]:
        """Users by class that the present load is heading for; has every class of the run."""

    @property
    def settled(self) -> bool:
        """Whether the load has been assigned where it was heading."""

    @property
    def holding(self) -> bool:
        """Whether the load is frozen by `hold`."""

    @property
    def plan_step(self) -> int | None:
        """The number, from 0, of the part of the plan that was last followed, such as a stage; None before the first
        `step`."""

    @property
    def plan_load(self) -> str:
        """The load that this part of the plan heads for, in words, such as "12 users"."""

    def start(self, now: float, *, burst_s: float | None = None) -> None:
        """Begin the plan. One step may assign new users for at most `burst_s` seconds at the spawn rate; None: one user
        at a time."""

    def resume(
        self, state: ExecutorState, now: float, *, run_s: float, away_s: float, burst_s: float | None = None
    ) -> float:
        """Begin where the executor of another process was `away_s` seconds ago, in place of `start`, `run_s` seconds
        after the start of the run. Returns the seconds of the plan that have passed."""

    def state(self, now: float) -> ExecutorState:
        """Return what `resume` needs."""

    def step(self, now: float) -> Assignment | None:
        """Return the assignment of this moment; None at the end of the plan. Raises what the plan's own code raises."""

    def may_want_more(self, now: float) -> bool:
        """Whether a later assignment may have more load than the last one. When users end by themselves, and there is
        none left, the run ends unless that is so."""

    def unfollowed_s(self, now: float) -> float:
        """For how long the load has not followed the plan, since it is held or was scaled."""

    def hold(self, now: float) -> None:
        """Freeze the load until `release`."""

    def release(self, now: float) -> None:
        """Go on where `hold` came."""

    def set_load(self, users: int, rate: float, now: float) -> None:
        """Head for that many users instead of those of the plan, at `rate` users per second, until the plan ends."""

    def scale(self, share: float, now: float, ended: int = 0, not_started: int = 0) -> None:
        """Go down to a share (0 to 1) of the present load, and stay there until the plan ends. Of the assigned users,
        `ended` have ended by themselves, and `not_started` have not been started yet."""

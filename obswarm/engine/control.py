"""RunControl: the one way in which anything may influence a run, who may, and why a run stopped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from obswarm.record import Annotation, AnnotationKind, Snapshot, StopKind


@dataclass(frozen=True, slots=True)
class StopReason:
    """`kind` is for programs, `detail` a few words for people."""

    kind: StopKind
    detail: str


_SEPARATOR = "\n"
"""Neither in names nor in ids of alerts: both are one line."""


def named_id(name: str, *parts: str) -> str:
    """For `by` of RunControl: a name that people know, of something that is told apart by more than that."""
    return _SEPARATOR.join((name, *parts))


def name_of(by: str) -> str:
    """The name alone."""
    return by.partition(_SEPARATOR)[0]


def id_of(by: str) -> tuple[str, ...]:
    """What else tells it apart; nothing, where the name does."""
    return tuple(by.split(_SEPARATOR)[1:])


class RunControl(Protocol):
    """Commands to a run that goes on; none of them waits for the effect.

    `by` names the guard or the alert that gives one (`named_id`): what each has in force is known until it is released,
    also by a master that takes the run up after another one.
    """

    @property
    def run_id(self) -> str: ...

    @property
    def in_force(self) -> Mapping[str, str]:
        """The actions `hold` and `scale(…)` that have not been released, by who gave them."""

    @property
    def annotations(self) -> Sequence[Annotation]:
        """What has been kept with the run so far, by earlier masters as well."""

    @property
    def guards_before(self) -> Mapping[str, Any]:
        """The `saved_state` of an earlier master's observer; empty if there was none."""

    def annotate(self, kind: AnnotationKind, text: str) -> None:
        """Keep an annotation with the run, at the present time."""

    def set_load(self, users: int, spawn_rate: float) -> None:
        """Head for that many users instead of those of the plan, until the plan's end or until told otherwise. A load
        that is held goes there when it is released."""

    def scale(self, share: float, by: str) -> None:
        """Go down to a share (0 to 1) of the users that there are now, at the rate of the present load, and stay there
        until the plan's end. Nothing, while what `by` gave is in force."""

    def hold(self, by: str = "") -> None:
        """Freeze the load where it is, until everybody who gave a hold has released it."""

    def release(self, by: str = "") -> None:
        """Take back what `by` gave. The load goes on when no hold is left; one that was scaled stays where it is."""

    def stop(self, reason: StopReason) -> None:
        """Let running tasks finish within the stop timeout, then end. The first reason given counts."""

    def abort(self, reason: StopReason) -> None:
        """End at once; requests under way are cut off and counted as interrupted."""


class RunObserver(Protocol):
    """Sees every snapshot before the outputs get it, and may act on the run, as guards do."""

    def start(self, control: RunControl, started_wall_s: float) -> None: ...

    def on_snapshot(self, snapshot: Snapshot) -> Snapshot:
        """Called with each snapshot; returns the one that the outputs get."""

    def view(self, snapshot: Snapshot) -> Snapshot:
        """Returns the snapshot with the current states, without acting on the run."""

    def saved_state(self) -> dict[str, Any]:
        """What a later master needs to go on, as values of MessagePack."""

    def next_due_s(self) -> float | None:
        """When, on the monotonic clock, it wants to see a snapshot at the latest; None: at the next interval's end."""

    def close(self) -> None: ...

"""RunControl: the commands to a run; RunObserver, which gives commands, such as guards; and StopReason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from obswarm.record import Annotation, AnnotationKind, Snapshot, StopKind


@dataclass(frozen=True, slots=True)
class StopReason:
    """The reason for the end of a run: `kind` for programs, `detail` as text."""

    kind: StopKind
    detail: str


_SEPARATOR = "\n"
"""Neither names nor ids of alerts contain it: both are one line."""


def named_id(name: str, *parts: str) -> str:
    """Return an id for `by` of RunControl: a name for display, and further parts that make it unique."""
    return _SEPARATOR.join((name, *parts))


def name_of(by: str) -> str:
    """Return the name of an id."""
    return by.partition(_SEPARATOR)[0]


def id_of(by: str) -> tuple[str, ...]:
    """Return the further parts of an id, empty if the name is unique."""
    return tuple(by.split(_SEPARATOR)[1:])


class RunControl(Protocol):
    """Commands to a run; none of them waits for its effect.

    `by` identifies the guard or alert that gives a command (see `named_id`). Its actions are in force until it releases
    them, also in a restarted master.
    """

    @property
    def run_id(self) -> str: ...

    @property
    def in_force(self) -> Mapping[str, str]:
        """The actions `hold` and `scale(…)` that are in force, by the id of their guard or alert."""

    @property
    def annotations(self) -> Sequence[Annotation]:
        """The annotations of the run so far, including those of earlier masters."""

    @property
    def guards_before(self) -> Mapping[str, Any]:
        """The `saved_state` of an earlier master's observer; empty if there was none."""

    def annotate(self, kind: AnnotationKind, text: str) -> None:
        """Add an annotation at the present time."""

    def set_load(self, users: int, spawn_rate: float, user_classes: tuple[str, ...] | None = None) -> None:
        """Set the number of users, in place of the plan, until the plan's end or another command. `user_classes` are
        the names of those that they are of; None: those of the plan. While the load is held, this takes effect when it
        is released."""

    def scale(self, share: float, by: str) -> None:
        """Reduce the number of users to a share (0 to 1) of the present one, at the present rate, until the plan's end.
        No effect while an action of `by` is in force."""

    def hold(self, by: str = "") -> None:
        """Keep the number of users constant until all holds are released."""

    def release(self, by: str = "") -> None:
        """Release the action of `by`. The load continues when no hold is left; a scaled load stays as it is."""

    def stop(self, reason: StopReason) -> None:
        """Stop the run gracefully: running tasks may finish within the stop timeout. The first reason is kept."""

    def abort(self, reason: StopReason) -> None:
        """Stop the run at once; requests in flight are interrupted, and counted as such."""


class RunObserver(Protocol):
    """Gets every snapshot before the outputs, and may give commands to the run, as guards do."""

    def start(self, control: RunControl, started_wall_s: float) -> None: ...

    def on_snapshot(self, snapshot: Snapshot) -> Snapshot:
        """Handle a snapshot; returns the one for the outputs."""

    def view(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with the present states, without giving commands."""

    def saved_state(self) -> dict[str, Any]:
        """Return the state for a restarted master, as values of MessagePack."""

    def next_due_s(self) -> float | None:
        """Return the monotonic time at which a snapshot is needed, None for the end of the interval."""

    def close(self) -> None: ...

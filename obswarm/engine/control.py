"""RunControl: the one way in which anything may influence a run, and why a run stopped."""

from dataclasses import dataclass
from typing import Literal, Protocol

StopKind = Literal["time", "user", "guard", "alert", "signal", "error", "lost"]


@dataclass(frozen=True, slots=True)
class StopReason:
    """`kind` is for programs, `detail` a few words for people."""

    kind: StopKind
    detail: str


class RunControl(Protocol):
    """Commands to a run that goes on; none of them waits for the effect."""

    def set_load(self, users: int, spawn_rate: float) -> None:
        """Head for that many users, from now on and until told otherwise."""

    def hold(self) -> None:
        """Freeze the load where it is."""

    def release(self) -> None:
        """End a hold."""

    def stop(self, reason: StopReason) -> None:
        """Let running tasks finish within the stop timeout, then end. The first reason given counts."""

    def abort(self, reason: StopReason) -> None:
        """End at once; requests under way are cut off and counted as interrupted."""

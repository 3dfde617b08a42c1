"""What a fleet is given: what to tell workers that come, whom to tell what happens, and how to send."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from obswarm import defaults
from obswarm.cluster.bundle import Packed
from obswarm.cluster.member import Member
from obswarm.cluster.protocol import Custom, Extra, Fault
from obswarm.engine import WorkerLoss


class FleetListener(Protocol):
    """Who has the fleet. None of these may block."""

    def on_change(self) -> None:
        """Workers have come or gone, or should have other shares: users have to be given out anew."""

    def on_fault(self, member: Member, fault: Fault) -> None: ...

    def on_custom(self, member: Member, custom: Custom) -> None: ...

    def on_extra(self, member: Member, extra: Extra) -> None: ...

    def on_join(self, member: Member, again: bool) -> None: ...

    def on_forgotten(self, member: Member) -> None:
        """A master before this one had told the worker that some of its statistics were safe, and could not keep them;
        `member.stats_s` is when it last did."""

    def on_refused(self, member: Member) -> None:
        """What a worker reported cannot be read or cannot be so; nothing of it counts from now on."""

    def on_losses(self, member: Member, losses: Sequence[WorkerLoss]) -> None:
        """All processes that a worker of several has lost so far."""

    def on_failed(self, name: str, reason: str) -> None:
        """A worker cannot run the load test."""


class Wire(Protocol):
    """The transport, as far as a fleet needs it."""

    def send(self, peer: bytes, frame: bytes) -> bool:
        """False when nobody is connected under that name any more."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What workers are told when they come. `job` says what to run (see obswarm.cluster.job)."""

    run_id: str
    job: bytes
    bundle: Packed | None
    file_hash: str
    orphan_timeout_s: float = defaults.ORPHAN_TIMEOUT_S

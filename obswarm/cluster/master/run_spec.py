"""What a fleet is given: what to tell workers that come, whom to tell what happens, and how to send."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from obswarm import defaults
from obswarm.cluster.bundle import Packed
from obswarm.cluster.master.worker_state import WorkerState
from obswarm.cluster.wire.messages import Custom, CustomReport, WorkerEvent
from obswarm.engine import WorkerLoss


class RegistryListener(Protocol):
    """Who has the fleet. None of these may block."""

    def on_change(self) -> None:
        """Workers have come or gone, or should have other shares: users have to be given out anew."""

    def on_fault(self, member: WorkerState, fault: WorkerEvent) -> None: ...

    def on_custom(self, member: WorkerState, custom: Custom) -> None: ...

    def on_extra(self, member: WorkerState, extra: CustomReport) -> None: ...

    def on_join(self, member: WorkerState, again: bool) -> None: ...

    def on_forgotten(self, member: WorkerState) -> None:
        """A master before this one had told the worker that some of its statistics were safe, and could not keep them;
        `member.stats_s` is when it last did."""

    def on_refused(self, member: WorkerState) -> None:
        """What a worker reported cannot be read or cannot be so; nothing of it counts from now on."""

    def on_losses(self, member: WorkerState, losses: Sequence[WorkerLoss]) -> None:
        """All processes that a worker of several has lost so far."""

    def on_failed(self, name: str, reason: str) -> None:
        """A worker cannot run the load test."""


class Wire(Protocol):
    """The transport, as far as a fleet needs it."""

    def send(self, peer: bytes, frame: bytes) -> bool:
        """False when nobody is connected under that name any more."""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What workers are told when they come. `job` says what to run (see obswarm.cluster.job)."""

    run_id: str
    job: bytes
    bundle: Packed | None
    file_hash: str
    orphan_timeout_s: float = defaults.ORPHAN_TIMEOUT_S

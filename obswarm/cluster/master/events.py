"""What a registry of workers reports to its owner: one frozen value each."""

from dataclasses import dataclass

from obswarm.cluster.master.worker_state import WorkerState
from obswarm.cluster.wire.messages import Custom, CustomReport, WorkerEvent
from obswarm.engine import WorkerLoss


@dataclass(frozen=True, slots=True)
class Joined:
    """A worker is ready for users; `again`, over another connection than before."""

    worker: WorkerState
    again: bool


@dataclass(frozen=True, slots=True)
class CameBack:
    """A missing worker has been heard from."""

    worker: WorkerState


@dataclass(frozen=True, slots=True)
class Missing:
    """A worker has not been heard from for too long."""

    worker: WorkerState


@dataclass(frozen=True, slots=True)
class Left:
    """A worker gives its users back."""

    worker: WorkerState


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker is known to be dead."""

    worker: WorkerState


@dataclass(frozen=True, slots=True)
class Overloaded:
    """A worker is too slow for its users, and gets fewer of them."""

    worker: WorkerState


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """A worker cannot run the load test."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class StatisticsMissing:
    """An earlier master had acknowledged statistics of the worker that it could not keep; `worker.stats_s` is when it
    last did."""

    worker: WorkerState


@dataclass(frozen=True, slots=True)
class WorkerRefused:
    """What a worker reported cannot be read or is impossible; nothing of it counts from now on."""

    worker: WorkerState


@dataclass(frozen=True, slots=True)
class ProcessesLost:
    """All processes that a worker of several has lost so far."""

    worker: WorkerState
    losses: tuple[WorkerLoss, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """A message of a worker that is for the owner."""

    worker: WorkerState
    message: WorkerEvent | Custom | CustomReport


UsersMove = Joined | CameBack | Missing | Left | Lost | Overloaded
"""Workers should have other users: they have to be assigned anew."""

RegistryEvent = UsersMove | LoadFailed | StatisticsMissing | WorkerRefused | ProcessesLost | Received

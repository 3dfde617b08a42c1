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
    """A missing worker has sent a message."""

    worker: WorkerState


@dataclass(frozen=True, slots=True)
class Missing:
    """A worker has not sent a message for too long."""

    worker: WorkerState


@dataclass(frozen=True, slots=True)
class Left:
    """A worker leaves; its users are to be moved."""

    worker: WorkerState


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker is known to be dead."""

    worker: WorkerState


@dataclass(frozen=True, slots=True)
class Overloaded:
    """A worker is too slow for its users; it gets fewer."""

    worker: WorkerState


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """A worker cannot run the load test."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class StatisticsMissing:
    """An earlier master had acknowledged statistics of the worker that it could not store; `worker.stats_s` is the time
    of the last ones that it stored."""

    worker: WorkerState


@dataclass(frozen=True, slots=True)
class WorkerRefused:
    """A worker sent invalid or impossible data; it is refused from now on."""

    worker: WorkerState


@dataclass(frozen=True, slots=True)
class ProcessesLost:
    """All processes that a relay has lost so far."""

    worker: WorkerState
    losses: tuple[WorkerLoss, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """A message of a worker for the owner of the registry."""

    worker: WorkerState
    message: WorkerEvent | Custom | CustomReport


UsersMove = Joined | CameBack | Missing | Left | Lost | Overloaded
"""The users have to be assigned to workers again."""

RegistryEvent = UsersMove | LoadFailed | StatisticsMissing | WorkerRefused | ProcessesLost | Received

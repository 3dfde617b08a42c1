"""What is known to be missing in a run's statistics, and of which worker."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import msgpack

from obswarm import defaults
from obswarm.bounded_msgpack import unpack
from obswarm.cluster.master.worker_state import WorkerState
from obswarm.engine import WorkerLoss
from obswarm.sanitize import clean_text
from obswarm.stats.codec import MOST_PROCESSES, Malformed
from obswarm.units import counted

logger = logging.getLogger(__name__)

_LONGEST_S = 1e9
_MOST_USERS = 10**9


class Losses:
    """Each loss is logged, and counted in its worker's `lost`."""

    def __init__(self) -> None:
        self.of_time: list[WorkerLoss] = []
        """Those that stand in no table of statistics, and have to be remembered apart."""
        self._of_requests: dict[tuple[str, str], int] = {}
        self._of_processes: set[tuple[str, str]] = set()

    def restore(self, earlier: Iterable[WorkerLoss]) -> None:
        """Put in front those that a master before this one has noted."""
        self.of_time[:0] = earlier
        self._of_processes.update((loss.worker, loss.detail) for loss in self.of_time)

    def note_worker(self, worker: WorkerState, detail: str, unreported_s: float) -> None:
        """A worker went away without its last statistics."""
        users = sum(worker.users.values())
        worker.lost += 1
        self.of_time.append(WorkerLoss(worker.name, detail, unreported_s, users))
        logger.error(
            "The worker %s is lost (%s): up to %.1f s of statistics of its %s are missing.",
            worker.name,
            detail,
            unreported_s,
            counted(users, "user"),
        )

    def note_unfinished(self, workers: Iterable[WorkerState], now: float, orphan_timeout_s: float) -> None:
        """Note the workers that have not reported their last statistics by the end of the run. They stop their users
        after `orphan_timeout_s` without contact with the master."""
        for worker in workers:
            if not worker.complete and not worker.is_over:
                # A connection that was closed and never came back is a worker that died by then; one that is silent
                # may have been at work until its own timeout.
                until_s = worker.cut_off_s if worker.cut_off_s is not None else now
                unreported_s = min(until_s - worker.stats_s, orphan_timeout_s + defaults.SNAPSHOT_INTERVAL_S)
                self.note_worker(worker, "it was not heard of again", unreported_s)

    def note_processes(self, worker: WorkerState, losses: Iterable[WorkerLoss]) -> None:
        """Processes of a worker did, or were refused by it. It tells all of them with each report, since a report can
        get lost; each counts once."""
        for loss in losses:
            key = (loss.worker, loss.detail)
            if key not in self._of_processes:
                self._of_processes.add(key)
                worker.lost += 1
                self.of_time.append(loss)
                logger.error("LOST: %s", loss)

    def note_requests(self, lost: Mapping[tuple[str, str], int], workers: Iterable[WorkerState]) -> None:
        """Requests that processes have counted and could not send, as of StatsTable.lost."""
        for key, requests in lost.items():
            name, reason = key
            for worker in workers:
                if name == worker.name or name in worker.nodes:
                    worker.lost += 1
            if key not in self._of_requests:
                logger.error("Statistics of the worker %s are lost: %s.", name, reason)
            self._of_requests[key] = self._of_requests.get(key, 0) + requests

    def all(self) -> tuple[WorkerLoss, ...]:
        """One entry for each worker or process that went away, and for each worker and reason of lost requests."""
        return (
            *self.of_time,
            *(WorkerLoss(name, reason, 0.0, 0, requests) for (name, reason), requests in self._of_requests.items()),
        )


def pack_losses(losses: Sequence[WorkerLoss]) -> bytes:
    """A worker's processes that went away, as its reports have them; nothing is no bytes."""
    if not losses:
        return b""
    packed: bytes = msgpack.packb([[loss.worker, loss.detail, loss.unreported_s, loss.users] for loss in losses])
    return packed


def unpack_losses(packed: bytes) -> list[WorkerLoss]:
    """Raises Malformed for what `pack_losses` would not have made."""
    if not packed:
        return []
    try:
        losses = [WorkerLoss(*row) for row in unpack(packed, 5 * MOST_PROCESSES + 1)]
        for loss in losses:
            texts = type(loss.worker) is str and type(loss.detail) is str
            numbers = type(loss.unreported_s) is float and type(loss.users) is int and loss.requests is None
            if not (texts and numbers and 0 <= loss.unreported_s < _LONGEST_S and 0 <= loss.users < _MOST_USERS):
                raise Malformed("what it says to be lost makes no sense")
    except (ValueError, TypeError) as error:
        if isinstance(error, Malformed):
            raise
        raise Malformed(f"what it says to be lost cannot be read ({type(error).__name__})") from None
    return [replace(loss, worker=clean_text(loss.worker), detail=clean_text(loss.detail)) for loss in losses]

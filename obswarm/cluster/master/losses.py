"""Losses: the statistics that are known to be missing, by worker."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import msgpack

from obswarm import defaults
from obswarm.bounded_msgpack import unpack
from obswarm.cluster.master.worker_state import WorkerState
from obswarm.engine import WorkerLoss
from obswarm.sanitize import clean_text
from obswarm.stats import WORKER_LOST
from obswarm.stats.codec import MOST_PROCESSES, Malformed
from obswarm.units import counted, format_tenths

logger = logging.getLogger(__name__)

_LONGEST_S = 1e9
_MOST_USERS = 10**9


class Losses:
    """Losses of a run. Each is logged, and counted in its worker's `lost`."""

    def __init__(
        self,
        rows_of: Callable[[str], str] = lambda node: "",
        record_dropped: Callable[[str, str, int], None] = lambda user_class, reason, number: None,
    ) -> None:
        """`rows_of` returns which rows of feeds a process had not used, as text. `record_dropped` counts iterations of
        a class that were not started, for a reason."""
        self._rows_of = rows_of
        self._record_dropped = record_dropped
        self.of_time: list[WorkerLoss] = []
        """Losses that no table of statistics contains; they are journalled separately."""
        self._of_requests: dict[tuple[str, str], int] = {}
        self._of_processes: set[tuple[str, str]] = set()

    def restore(self, earlier: Iterable[WorkerLoss]) -> None:
        """Add the losses that an earlier master has noted, before its own."""
        self.of_time[:0] = earlier
        self._of_processes.update((loss.worker, loss.detail) for loss in self.of_time)

    def note_worker(self, worker: WorkerState, detail: str, unreported_s: float) -> None:
        """Note a worker that has ended without reporting its last statistics."""
        users = sum(worker.users.values())
        rows = [text for text in map(self._rows_of, worker.nodes or (worker.name,)) if text]
        detail = "; ".join([detail, *rows])
        worker.lost += 1
        for user_class, number in worker.unreported_iterations().items():
            self._record_dropped(user_class, WORKER_LOST, number)
        self.of_time.append(WorkerLoss(worker.name, detail, unreported_s, users))
        logger.error(
            "The worker %s is lost (%s): up to %s of statistics of its %s are missing.",
            worker.name,
            detail,
            format_tenths(unreported_s),
            counted(users, "user"),
        )

    def note_unfinished(self, workers: Iterable[WorkerState], now: float, orphan_timeout_s: float) -> None:
        """Note the workers that have not reported their last statistics by the end of the run. They stop their users
        after `orphan_timeout_s` without contact with the master."""
        for worker in workers:
            if not worker.complete and not worker.is_over:
                # A worker whose connection was closed and that did not reconnect had died by then; a silent one may
                # have continued until its own timeout.
                until_s = worker.cut_off_s if worker.cut_off_s is not None else now
                unreported_s = min(until_s - worker.stats_s, orphan_timeout_s + defaults.SNAPSHOT_INTERVAL_S)
                self.note_worker(worker, "it did not report again", unreported_s)

    def note_processes(self, worker: WorkerState, losses: Iterable[WorkerLoss]) -> None:
        """Note lost or refused processes of a relay. Each of its reports contains all of them, since a report can get
        lost; each is counted once."""
        for loss in losses:
            key = (loss.worker, loss.detail)
            if key not in self._of_processes:
                self._of_processes.add(key)
                worker.lost += 1
                rows = self._rows_of(loss.worker)
                if rows:
                    loss = replace(loss, detail=f"{loss.detail}; {rows}")
                self.of_time.append(loss)
                logger.error("LOST: %s", loss)

    def note_requests(self, lost: Mapping[tuple[str, str], int], workers: Iterable[WorkerState]) -> None:
        """Note requests that processes have counted and could not send, as in StatsTable.lost."""
        for key, requests in lost.items():
            name, reason = key
            for worker in workers:
                if name == worker.name or name in worker.nodes:
                    worker.lost += 1
            if key not in self._of_requests:
                logger.error("Statistics of the worker %s are lost: %s.", name, reason)
            self._of_requests[key] = self._of_requests.get(key, 0) + requests

    def all(self) -> tuple[WorkerLoss, ...]:
        """Return a loss for each worker or process that was lost, and for each worker and reason of lost requests."""
        return (
            *self.of_time,
            *(WorkerLoss(name, reason, 0.0, 0, requests) for (name, reason), requests in self._of_requests.items()),
        )


def pack_losses(losses: Sequence[WorkerLoss]) -> bytes:
    """Encode the lost processes of a relay for its report; no bytes if there are none."""
    if not losses:
        return b""
    packed: bytes = msgpack.packb([[loss.worker, loss.detail, loss.unreported_s, loss.users] for loss in losses])
    return packed


def unpack_losses(packed: bytes) -> list[WorkerLoss]:
    """Decode the result of `pack_losses`. Raises Malformed for anything that it would not have produced."""
    if not packed:
        return []
    try:
        losses = [WorkerLoss(*row) for row in unpack(packed, 5 * MOST_PROCESSES + 1)]
        for loss in losses:
            texts = type(loss.worker) is str and type(loss.detail) is str
            numbers = type(loss.unreported_s) is float and type(loss.users) is int and loss.requests is None
            if not (texts and numbers and 0 <= loss.unreported_s < _LONGEST_S and 0 <= loss.users < _MOST_USERS):
                raise Malformed("its losses are invalid")
    except (ValueError, TypeError) as error:
        if isinstance(error, Malformed):
            raise
        raise Malformed(f"its losses cannot be decoded ({type(error).__name__})") from None
    return [replace(loss, worker=clean_text(loss.worker), detail=clean_text(loss.detail)) for loss in losses]

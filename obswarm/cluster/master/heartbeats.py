"""Heartbeats of a master: numbered messages that acknowledge deltas and request reports."""

from collections.abc import Callable, Iterable, Mapping

from gevent.event import Event

from obswarm import clock
from obswarm.cluster.master.worker_state import WorkerState
from obswarm.cluster.wire.messages import Heartbeat, Message

_TAKEOVER_S = 3.0
"""Time that workers have to meet a new master before its first interval ends."""
_TAKEOVER_BEATS = 6


class Heartbeats:
    """`send(peer, message)` returns False when the peer's connection is closed."""

    def __init__(self, send: Callable[[bytes, Message], bool]) -> None:
        self.number = 0
        """Number of the last heartbeat."""
        self._send = send
        self._sent_s = 0.0
        self._answered = Event()
        self._awaited: set[str] = set()

    def beat(self, workers: Iterable[WorkerState], collect: bool) -> None:
        """Send a heartbeat, which acknowledges deltas; with `collect`, it requests a report."""
        self.number += 1
        self._sent_s = clock.monotonic()
        self._answered.clear()
        alive = [worker for worker in workers if not worker.is_over]
        self._awaited = {worker.incarnation for worker in alive if worker.is_present}
        for worker in alive:
            reached = self._send(worker.peer, Heartbeat(self.number, worker.acked, collect))
            # After a takeover, a worker that has not registered again has no connection that could be closed.
            if not reached and worker.peer and worker.cut_off_s is None:
                worker.cut_off_s = self._sent_s

    def is_due(self, every_s: float) -> bool:
        """Whether none was sent in the last `every_s` seconds."""
        return clock.monotonic() - self._sent_s >= every_s

    def wait_for_reports(self, longest_s: float) -> bool:
        """Wait until every present worker has responded to the last one, at most `longest_s` seconds. Returns whether
        all have."""
        return not self._awaited or self._answered.wait(longest_s)

    def take_over(self, workers: Mapping[str, WorkerState]) -> None:
        """Wait until the workers of an earlier master have reported their unacknowledged deltas, for the first interval
        of the resumed run. They reconnect one by one; those that have are asked again meanwhile, so that a worker that
        dies now loses no more than at other times."""
        for _ in range(_TAKEOVER_BEATS):
            self.beat(workers.values(), collect=True)
            if self.wait_for_reports(_TAKEOVER_S / _TAKEOVER_BEATS):
                return

    def answered(self, worker: WorkerState) -> None:
        """Note a report."""
        # After a takeover, a worker may still respond to heartbeats of the earlier master.
        if worker.heartbeat == self.number and worker.incarnation in self._awaited:
            self.do_not_await(worker)
            if not self._awaited:
                self._answered.set()

    def do_not_await(self, worker: WorkerState) -> None:
        """Expect no report from this worker."""
        self._awaited.discard(worker.incarnation)

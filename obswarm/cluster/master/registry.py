"""The workers of a master or relay: registration, assignments, reports, detection of missing workers."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from obswarm import clock, defaults
from obswarm.bounded_msgpack import Unreadable
from obswarm.cluster.master import events
from obswarm.cluster.master.assignments import Assignments
from obswarm.cluster.master.balancer import Balance, Users
from obswarm.cluster.master.handshake import MOST_WORKERS, Handshake
from obswarm.cluster.master.heartbeats import Heartbeats
from obswarm.cluster.master.losses import unpack_losses
from obswarm.cluster.master.run_spec import RunSpec, Wire
from obswarm.cluster.master.worker_state import WorkerState, new_worker_state
from obswarm.cluster.wire import messages
from obswarm.cluster.wire.bounds import RunBounds
from obswarm.cluster.wire.user_steps import unpack_user_steps
from obswarm.engine import Assignment
from obswarm.record import WorkerStatus
from obswarm.sanitize import clean_lines, clean_text
from obswarm.stats import EndpointKey, InFlight, StatsTable, UserSum
from obswarm.stats.codec import DeltaSum, Malformed, OutOfBounds, merge_columns
from obswarm.units import counted, format_duration

logger = logging.getLogger(__name__)


class WorkerRegistry:
    """Workers by incarnation. With `admits` it assigns their indices; those of a relay's workers come from its master.

    Frames come in by `received` and are sent by `wire`; the time is `clock.monotonic`. Reports of workers must be
    within `bounds`. What happens to workers is returned as events.
    """

    def __init__(
        self,
        spec: RunSpec,
        wire: Wire,
        *,
        by_capacity: bool = True,
        admits: bool = True,
        missing_after_s: float = defaults.MISSING_AFTER_S,
        bounds: RunBounds | None = None,
    ) -> None:
        self.workers: dict[str, WorkerState] = {}
        self.users = UserSum()
        self._wants_statistics = False
        self.heartbeats = Heartbeats(self._send)
        self.has_begun = False
        self._next_index = 0
        self._assignments = Assignments(Balance(by_capacity))
        self._spec = spec
        self._wire = wire
        self._admits = admits
        self._missing_after_s = missing_after_s
        self._bounds = bounds or RunBounds()
        self._by_peer: dict[bytes, WorkerState] = {}
        self._handshake = Handshake(spec, wire.send)
        self._events: list[events.RegistryEvent] = []
        self._dropped_frames = 0
        self._sum = DeltaSum(self._bounds)
        self._stop_timeout_s: float | None = None
        self._exit_code: int | None = None

    @property
    def dropped_frames(self) -> int:
        """Frames that were invalid, or unexpected from their sender."""
        return self._dropped_frames + self._handshake.dropped_frames

    def _take_events(self) -> list[events.RegistryEvent]:
        taken, self._events = self._events, []
        return taken

    # Received messages.
    def received(self, peer: bytes, frame: bytes) -> list[events.RegistryEvent]:
        """Handle a frame of a peer: refuse a worker for an invalid or impossible message, drop those of others."""
        worker = self._by_peer.get(peer)
        try:
            if worker is None and len(frame) > messages.LARGEST_JOINING_FRAME_BYTES:
                # Not decoded. A worker that a restarted master does not know yet registers again.
                self._handshake.drop_large(len(frame))
                self._send(peer, messages.Reregister())
            elif worker is None:
                self._from_outside(peer, frame)
            else:
                self._from_worker(worker, messages.decode(frame))
        except (messages.NotAMessage, OutOfBounds, Malformed, Unreadable) as error:
            assert worker is not None
            self._refuse(worker, str(error))
        except Exception as error:
            logger.exception("A message cannot be handled")
            if worker is not None:
                self._refuse(worker, f"the master failed on its message ({type(error).__name__})")
        return self._take_events()

    def _from_outside(self, peer: bytes, frame: bytes) -> None:
        try:
            message = messages.decode(frame)
        except messages.NotAMessage as error:
            self._handshake.drop(peer, error)
            return
        if isinstance(message, messages.Hello):
            self._hello(peer, message)
        elif peer in self._handshake:
            self._from_newcomer(peer, message)
        elif isinstance(message, messages.OF_KNOWN_WORKERS):
            self._send(peer, messages.Reregister())
        else:
            self._dropped_frames += 1

    def refuse(self, worker: WorkerState, reason: str) -> list[events.RegistryEvent]:
        """Refuse a worker: its reports no longer count."""
        self._refuse(worker, reason)
        return self._take_events()

    def _refuse(self, worker: WorkerState, reason: str) -> None:
        """Refuse a worker whose messages are invalid or impossible, and send it the reason."""
        if not worker.refused:
            worker.refused = reason
            self._send(worker.peer, messages.Refused(reason))
            self._lose(worker)
            self._events.append(events.WorkerRefused(worker))

    def _hello(self, peer: bytes, hello: messages.Hello) -> None:
        known = self.workers.get(hello.incarnation)
        if known is not None and known.refused:
            self._send(peer, messages.Refused(known.refused))
        elif known is None and len(self.workers) >= MOST_WORKERS:
            self._dropped_frames += 1
        elif known is not None and self._exit_code is not None:
            self._send(peer, messages.End(known.acked, self._exit_code))
        elif known is None and self._stop_timeout_s is not None and hello.run_id != self._spec.run_id:
            self._handshake.too_late(peer, self._exit_code)
        else:
            self._handshake.hello(peer, hello, known.acked if known is not None else 0)

    def _from_newcomer(self, peer: bytes, message: messages.Message) -> None:
        taken = self._handshake.take(peer, message)
        if isinstance(taken, events.LoadFailed):
            self._events.append(taken)
        if not isinstance(taken, tuple):
            return
        hello, ready = taken
        try:
            self._bounds.check_ready(ready)
        except OutOfBounds as error:
            self._handshake.refuse(peer, f"of the worker {hello.name}, {error}")
        else:
            self._join(peer, hello, ready)

    def _join(self, peer: bytes, hello: messages.Hello, ready: messages.Ready) -> None:
        now = clock.monotonic()
        worker = self.workers.get(hello.incarnation)
        again = worker is not None
        if worker is None:
            worker = self.workers[hello.incarnation] = new_worker_state(
                hello, self._next_index, self.heartbeats.number, now
            )
            self._next_index += worker.processes
        else:
            self._by_peer.pop(worker.peer, None)
        worker.ready(peer, ready, now)
        self._by_peer[peer] = worker
        if ready.acked > worker.merged:
            worker.acked = worker.merged = ready.acked
            self._events.append(events.StatisticsMissing(worker))
        if self._admits:
            self._send(peer, messages.Admitted(worker.index))
        if self.has_begun:
            self._send(peer, messages.StartRun(self._spec.run_id, self._wants_statistics))
        if self._stop_timeout_s is not None:
            self._send(peer, messages.Stop(self._stop_timeout_s))
        self._events.append(events.Joined(worker, again))

    def _from_worker(self, worker: WorkerState, message: messages.Message) -> None:
        now = clock.monotonic()
        worker.heard_s = now
        worker.cut_off_s = None
        if worker.state is WorkerStatus.MISSING:
            self._come_back(worker)
        match message:
            case messages.Report():
                self._bounds.check_report(message)
                losses = unpack_losses(message.losses)
                steps = self._bounds.checked_steps(unpack_user_steps(message.user_steps))
                self._take(worker, message, now)
                if not worker.is_over:
                    self.users.add(worker.incarnation, steps, sum(message.users.values()), now)
                if losses:
                    self._events.append(events.ProcessesLost(worker, tuple(losses)))
                self.heartbeats.answered(worker)
            case messages.Retransmit():
                self._take(worker, message, now)
            case messages.Hello():
                # It has not received anything for a while; its state stays as it is until it has registered again.
                self._hello(worker.peer, message)
            case messages.Ready() | messages.BundleRequest() | messages.Failed() if worker.peer in self._handshake:
                self._from_newcomer(worker.peer, message)
            case messages.WorkerEvent():
                self._events.append(events.Received(worker, replace(message, detail=clean_lines(message.detail))))
            case messages.Custom() | messages.CustomReport():
                self._events.append(events.Received(worker, message))
            case messages.Leaving():
                if worker.state is WorkerStatus.READY:
                    logger.info("The worker %s is leaving: %s.", worker.name, clean_text(message.reason))
                    worker.state = WorkerStatus.LEAVING
                    worker.unassign(now)
                    self._events.append(events.Left(worker))
            case _:
                self._dropped_frames += 1

    def _take(self, worker: WorkerState, message: messages.Report | messages.Retransmit, now: float) -> None:
        worker.take_report(message, self._sum, now, self._bounds.max_endpoints)
        worker.check_pace(self.heartbeats.number)

    def _come_back(self, worker: WorkerState) -> None:
        logger.info("The worker %s is back.", worker.name)
        worker.state = WorkerStatus.READY
        worker.assign_number = 0
        self._events.append(events.CameBack(worker))

    # Sent messages.
    def _send(self, peer: bytes, message: messages.Message) -> bool:
        return self._send_frame(peer, messages.encode(message))

    def _send_frame(self, peer: bytes, frame: bytes) -> bool:
        return self._wire.send(peer, frame)

    def broadcast(self, message: messages.Message) -> None:
        """Send a message to every worker that may still receive it."""
        frame = messages.encode(message)
        for worker in self.workers.values():
            if not worker.is_over:
                self._send_frame(worker.peer, frame)

    def dismiss_joining(self, message: messages.Message, exit_code: int) -> None:
        """Send a message, and End, to peers that have not joined yet."""
        self._handshake.end(exit_code, message)

    def send_to(self, node: str, message: messages.Message) -> bool:
        """Send a message to the worker that has a process of that name. Returns False if there is none."""
        for worker in self.workers.values():
            if (worker.name == node or node in worker.nodes) and not worker.is_over:
                self._send(worker.peer, message)
                return True
        return False

    def restore(self, workers: Iterable[WorkerState]) -> None:
        """Add the workers of an earlier master's run."""
        for worker in workers:
            self.workers[worker.incarnation] = worker
            self._next_index = max(self._next_index, worker.index + worker.processes)

    def resume(self, wants_statistics: bool = False) -> None:
        """Continue a run that an earlier master began: as `begin`, for workers that register from now on."""
        self._wants_statistics = wants_statistics
        self.has_begun = True

    def begin(self, wants_statistics: bool = False) -> None:
        """Start the run on all workers. `wants_statistics`: they send their statistics for the listeners of
        `worker_report`, too."""
        self._wants_statistics = wants_statistics
        self.has_begun = True
        for worker in self.workers.values():
            # The load of the preparation is not part of the run.
            worker.worst = None
            worker.max_cpu_ratio = worker.max_loop_lag_s = 0.0
        self.broadcast(messages.StartRun(self._spec.run_id, self._wants_statistics))

    @property
    def ready(self) -> list[WorkerState]:
        """The workers that may have users."""
        return [worker for worker in self.workers.values() if worker.state is WorkerStatus.READY]

    def assign(self, assignment: Assignment) -> int:
        """Divide an assignment among the workers, and send theirs to those whose users or rates have changed. Its spawn
        rate is that of all workers together. Has to be called again soon while `is_assigning`. Returns its number."""
        for worker, message in self._assignments.assign(self.ready, assignment, clock.monotonic()):
            self._send(worker.peer, message)
        return self._assignments.number

    @property
    def is_assigning(self) -> bool:
        """Whether users of the last assignment are not yet assigned to workers, as the spawn rate does not allow it."""
        return self._assignments.pending > 0

    def settled(self, number: int) -> bool:
        """Whether the assignment of that number has been sent and carried out completely."""
        if self.is_assigning:
            return False
        return all(worker.settled >= min(worker.assign_number, number) for worker in self.ready)

    def beat(self, collect: bool) -> None:
        """Send a heartbeat to every worker that may still receive it; with `collect`, it asks for a report."""
        self.heartbeats.beat(self.workers.values(), collect)

    def stop(self, timeout_s: float) -> None:
        """Have all workers stop their users."""
        self._stop_timeout_s = timeout_s
        for worker in self.workers.values():
            worker.unassign(clock.monotonic())
        self.broadcast(messages.Stop(timeout_s))

    def end(self, exit_code: int) -> bool:
        """Send End to all workers. Returns whether one of them is still connected: a worker closes its connection when
        it has received End, which has to be repeated until then."""
        self._exit_code = exit_code
        connected = False
        self._handshake.end_late(exit_code)
        for worker in self.workers.values():
            if not worker.is_over:
                reached = self._send(worker.peer, messages.End(worker.acked, exit_code))
                connected |= reached and worker.state is not WorkerStatus.MISSING
        return connected

    def begin_interval(self) -> None:
        """Reset the maxima of CPU usage and event loop lag of the last interval."""
        for worker in self.workers.values():
            worker.worst = None

    # Timers.
    def look_after(self, now: float) -> list[events.RegistryEvent]:
        """Detect missing workers, release those that have left, reduce the weights of slow ones; once per interval."""
        for worker in self.workers.values():
            if worker.state is WorkerStatus.READY and now - worker.heard_s > self._missing_after_s:
                users = sum(worker.assigned.values())
                moves = f" Its {counted(users, 'user')} {'moves' if users == 1 else 'move'} to others." if users else ""
                silence = format_duration(round(now - worker.heard_s))
                logger.warning("The worker %s is missing: no message for %s.%s", worker.name, silence, moves)
                worker.state = WorkerStatus.MISSING
                worker.unassign(now)
                self.users.leave(worker.incarnation, now)
                self._events.append(events.Missing(worker))
            elif worker.state is WorkerStatus.LEAVING and worker.complete and worker.acked >= worker.last_sequence:
                self._send(worker.peer, messages.End(worker.acked, 0))
                worker.state = WorkerStatus.GONE
                self.users.leave(worker.incarnation, now)
                self._by_peer.pop(worker.peer, None)
        loads = {worker.incarnation: worker.load for worker in self.ready}
        for slow in map(self.workers.__getitem__, self._assignments.balance.update(loads)):
            logger.info("The worker %s is too slow for its users; some go to others.", slow.name)
            self._events.append(events.Overloaded(slow))
        self._handshake.look_after(now)
        return self._take_events()

    def lose(self, worker: WorkerState) -> list[events.RegistryEvent]:
        """Note that a worker is dead."""
        self._lose(worker)
        return self._take_events()

    def _lose(self, worker: WorkerState) -> None:
        if not worker.is_over:
            worker.state = WorkerStatus.LOST
            worker.unassign(clock.monotonic())
            self.users.leave(worker.incarnation, clock.monotonic())
            self.heartbeats.do_not_await(worker)
            self._by_peer.pop(worker.peer, None)
            self._events.append(events.Lost(worker))

    # Statistics.
    def take(self, max_endpoints: int) -> StatsTable:
        """Return the statistics that were reported since the last call. Call `acknowledge` when they are stored."""
        return self._sum.take(max_endpoints)

    @property
    def has_statistics(self) -> bool:
        return self._sum.deltas > 0

    def acknowledge(self) -> None:
        """Acknowledge all statistics that were taken."""
        for worker in self.workers.values():
            worker.acked = worker.merged

    def user_counts(self) -> Users:
        """Return the number of users by class, as last reported by the present workers."""
        counts: Counter[str] = Counter()
        for worker in self._present():
            counts.update(worker.users)
        return dict(counts)

    def in_flight(self, max_endpoints: int) -> dict[EndpointKey, InFlight]:
        """Return the requests in flight, as last reported by the present workers."""
        return merge_columns((worker.in_flight for worker in self._present()), max_endpoints)

    def _present(self) -> Iterator[WorkerState]:
        return (worker for worker in self.workers.values() if worker.is_present)

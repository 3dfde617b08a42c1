"""The workers of a master: how they join, what they are told to have, what they report, and when they are missed.

A relay (one machine's processes, which its master sees as one worker) has a registry as well.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from obswarm import clock, defaults
from obswarm.bounded_msgpack import Unreadable
from obswarm.cluster.master import events
from obswarm.cluster.master.assignments import Assignments
from obswarm.cluster.master.balancer import Balance, Users
from obswarm.cluster.master.handshake import Handshake
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
from obswarm.units import counted

logger = logging.getLogger(__name__)

_MOST_WORKERS = 16_384
"""Workers that have ever been part of a run, those that have gone included."""


class WorkerRegistry:
    """Keeps workers by incarnation. With `admits` it gives them their indices; a relay's come from its master.

    It is told the time by `clock.monotonic`, and frames by whoever has the transport, and sends frames by `wire`. What
    workers report has to be within `bounds`. The methods that find something out return it as events.
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
        self.began = False
        self.next_index = 0
        self.heartbeats = Heartbeats(self._send)
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
        self._late: set[bytes] = set()
        """Peers that came when the run was ending already."""

    @property
    def dropped_frames(self) -> int:
        """Frames that were no message, or none that was to be expected from their sender."""
        return self._dropped_frames + self._handshake.dropped_frames

    def _take_events(self) -> list[events.RegistryEvent]:
        taken, self._events = self._events, []
        return taken

    # What arrives.
    def received(self, peer: bytes, frame: bytes) -> list[events.RegistryEvent]:
        """Take a frame from a peer. Whatever it is, it does no harm: a worker that sends what cannot be read or
        believed is refused, and what anybody else sends is dropped."""
        worker = self._by_peer.get(peer)
        try:
            if worker is None and len(frame) > messages.LARGEST_JOINING_FRAME_BYTES:
                # Not even looked at. A worker that a restarted master does not know yet says hello then.
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
            logger.exception("A message cannot be dealt with")
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
        """As the registry itself does: nothing more of a worker counts."""
        self._refuse(worker, reason)
        return self._take_events()

    def _refuse(self, worker: WorkerState, reason: str) -> None:
        """Nothing more of a worker counts, since what it says cannot be read or is impossible; it is told why."""
        if not worker.refused:
            worker.refused = reason
            self._send(worker.peer, messages.Refused(reason))
            self._lose(worker)
            self._events.append(events.WorkerRefused(worker))

    def _hello(self, peer: bytes, hello: messages.Hello) -> None:
        known = self.workers.get(hello.incarnation)
        if known is not None and known.refused:
            self._send(peer, messages.Refused(known.refused))
        elif known is None and len(self.workers) >= _MOST_WORKERS:
            self._dropped_frames += 1
        elif known is not None and self._exit_code is not None:
            self._send(peer, messages.End(known.acked, self._exit_code))
        elif known is None and self._stop_timeout_s is not None and hello.run_id != self._spec.run_id:
            self._too_late(peer)
        else:
            self._handshake.hello(peer, hello, known.acked if known is not None else 0)

    def _too_late(self, peer: bytes) -> None:
        """A new worker, also one in place of one that has died, has no part in the end of a run; it hears of that."""
        if self._exit_code is not None:
            self._send(peer, messages.End(0, self._exit_code))
            return
        if len(self._late) < _MOST_WORKERS:
            self._late.add(peer)
        self._send(peer, messages.Wait())

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
                hello, self.next_index, self.heartbeats.number, now
            )
            self.next_index += worker.processes
        else:
            self._by_peer.pop(worker.peer, None)
        worker.ready(peer, ready, now)
        self._by_peer[peer] = worker
        if ready.acked > worker.merged:
            worker.acked = worker.merged = ready.acked
            self._events.append(events.StatisticsMissing(worker))
        if self._admits:
            self._send(peer, messages.Admitted(worker.index))
        if self.began:
            self._send(peer, messages.StartRun(self._spec.run_id))
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
                self._hello(worker.peer, message)
                # It says hello because it has not heard from us; it stays what it is meanwhile.
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
                    worker.unassign()
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

    # What is sent.
    def _send(self, peer: bytes, message: messages.Message) -> bool:
        return self._send_frame(peer, messages.encode(message))

    def _send_frame(self, peer: bytes, frame: bytes) -> bool:
        return self._wire.send(peer, frame)

    def broadcast(self, message: messages.Message) -> None:
        """To every worker that may still listen."""
        frame = messages.encode(message)
        for worker in self.workers.values():
            if not worker.is_over:
                self._send_frame(worker.peer, frame)

    def send_to(self, node: str, message: messages.Message) -> bool:
        """To the worker that has a process of that name; False when there is none."""
        for worker in self.workers.values():
            if (worker.name == node or node in worker.nodes) and not worker.is_over:
                self._send(worker.peer, message)
                return True
        return False

    def begin(self) -> None:
        self.began = True
        for worker in self.workers.values():
            # What it took to get ready is no part of the run.
            worker.worst = None
            worker.max_cpu_ratio = worker.max_loop_lag_s = 0.0
        self.broadcast(messages.StartRun(self._spec.run_id))

    @property
    def ready(self) -> list[WorkerState]:
        """Those that may have users."""
        return [worker for worker in self.workers.values() if worker.state is WorkerStatus.READY]

    def assign(self, assignment: Assignment) -> int:
        """Give an assignment out, whose spawn rate is that of all workers; tells those whose users or rates have
        changed. To be called again in a moment while `is_assigning`. Gives the number that stands for it."""
        for worker, message in self._assignments.give_out(self.ready, assignment, clock.monotonic()):
            self._send(worker.peer, message)
        return self._assignments.number

    @property
    def is_assigning(self) -> bool:
        """Whether workers are still to be told to start users, when the spawn rate allows it."""
        return self._assignments.pending > 0

    def settled(self, number: int) -> bool:
        """Whether every worker has carried out what it was told up to that assignment, and nothing is left to tell."""
        if self.is_assigning:
            return False
        return all(worker.settled >= min(worker.assign_number, number) for worker in self.ready)

    def beat(self, collect: bool) -> None:
        """Send a heartbeat to every worker that may still listen; with `collect`, it asks for a report."""
        self.heartbeats.beat(self.workers.values(), collect)

    def stop(self, timeout_s: float) -> None:
        """Have all users end."""
        self._stop_timeout_s = timeout_s
        for worker in self.workers.values():
            worker.unassign()
        self.broadcast(messages.Stop(timeout_s))

    def end(self, exit_code: int) -> bool:
        """Everything is over. Gives whether a worker that is there is still connected: it closes its connection when
        it has heard of the end, and is to be told again until then."""
        self._exit_code = exit_code
        connected = False
        for peer in self._late:
            self._send(peer, messages.End(0, exit_code))
        for worker in self.workers.values():
            if not worker.is_over:
                reached = self._send(worker.peer, messages.End(worker.acked, exit_code))
                connected |= reached and worker.state is not WorkerStatus.MISSING
        return connected

    def begin_interval(self) -> None:
        """What workers have said of their CPU and their loop has been looked at."""
        for worker in self.workers.values():
            worker.worst = None

    # Timers.
    def look_after(self, now: float) -> list[events.RegistryEvent]:
        """Notice which workers are missing, let those go that have left, reduce the weights of those that are too slow.
        Once an interval."""
        for worker in self.workers.values():
            if worker.state is WorkerStatus.READY and now - worker.heard_s > self._missing_after_s:
                users = sum(worker.assigned.values())
                moved = (
                    f" Its {counted(users, 'user')} {'goes' if users == 1 else 'go'} to the others." if users else ""
                )
                logger.warning(
                    "The worker %s is missing: nothing heard for %.0f s.%s", worker.name, now - worker.heard_s, moved
                )
                worker.state = WorkerStatus.MISSING
                worker.unassign()
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
        """It is known to be dead, and will not come back."""
        self._lose(worker)
        return self._take_events()

    def _lose(self, worker: WorkerState) -> None:
        if not worker.is_over:
            worker.state = WorkerStatus.LOST
            worker.unassign()
            self.users.leave(worker.incarnation, clock.monotonic())
            self.heartbeats.do_not_await(worker)
            self._by_peer.pop(worker.peer, None)
            self._events.append(events.Lost(worker))

    # Statistics.
    def take(self, max_endpoints: int) -> StatsTable:
        """What was reported since the last call. `acknowledge` has to follow once it is safe."""
        return self._sum.take(max_endpoints)

    @property
    def has_news(self) -> bool:
        return self._sum.deltas > 0

    def acknowledge(self) -> None:
        """All that was taken is safe."""
        for worker in self.workers.values():
            worker.acked = worker.merged

    def user_counts(self) -> Users:
        """As last reported by those that are there."""
        counts: Counter[str] = Counter()
        for worker in self._present():
            counts.update(worker.users)
        return dict(counts)

    def in_flight(self, max_endpoints: int) -> dict[EndpointKey, InFlight]:
        """The requests under way, as last reported by those that are there."""
        return merge_columns((worker.in_flight for worker in self._present()), max_endpoints)

    def _present(self) -> Iterator[WorkerState]:
        return (worker for worker in self.workers.values() if worker.is_present)

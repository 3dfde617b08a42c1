"""The workers of a master: how they join, what they are told to have, what they report, and when they are missed.

A relay (one machine's processes, which its master sees as one worker) has a fleet as well.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from gevent.event import Event

from obswarm import clock, defaults
from obswarm.bounded_msgpack import Unreadable
from obswarm.cluster.master.assignments import Assignments
from obswarm.cluster.master.balancer import Balance, Users
from obswarm.cluster.master.handshake import Handshake
from obswarm.cluster.master.losses import unpack_losses
from obswarm.cluster.master.run_spec import RegistryListener, RunSpec, Wire
from obswarm.cluster.master.worker_state import WorkerState, WorkerStatus, new_worker_state
from obswarm.cluster.wire.bounds import RunBounds
from obswarm.cluster.wire.messages import (
    LARGEST_JOINING_FRAME_BYTES,
    Admitted,
    BundleRequest,
    Custom,
    CustomReport,
    End,
    Failed,
    Heartbeat,
    Hello,
    Leaving,
    Message,
    NotAMessage,
    Ready,
    Refused,
    Report,
    Reregister,
    Retransmit,
    StartRun,
    Stop,
    Wait,
    WorkerEvent,
    decode,
    encode,
)
from obswarm.cluster.wire.user_steps import unpack_user_steps
from obswarm.sanitize import clean_lines, clean_text
from obswarm.stats import EndpointKey, InFlight, StatsTable, UserSum
from obswarm.stats.codec import DeltaSum, Malformed, NotBelieved, merge_columns
from obswarm.units import counted

logger = logging.getLogger(__name__)

_MOST_MEMBERS = 16_384
"""Workers that have ever been part of a run, those that have gone included."""


class WorkerRegistry:
    """Keeps workers by incarnation. With `admits` it gives them their indices; a relay's come from its master. It is
    told the time by `clock.monotonic`, and frames by whoever has the transport. What workers report has to be within
    `bounds`."""

    def __init__(
        self,
        spec: RunSpec,
        listener: RegistryListener,
        *,
        by_capacity: bool = True,
        admits: bool = True,
        missing_after_s: float = defaults.MISSING_AFTER_S,
        bounds: RunBounds | None = None,
    ) -> None:
        self.members: dict[str, WorkerState] = {}
        self.users = UserSum()
        self._assignments = Assignments(Balance(by_capacity))
        self.began = False
        self.next_index = 0
        self._spec = spec
        self._listener = listener
        self._admits = admits
        self._missing_after_s = missing_after_s
        self._bounds = bounds or RunBounds()
        self._by_peer: dict[bytes, WorkerState] = {}
        self._reception = Handshake(spec, listener, self._send_frame)
        self.wire: Wire | None = None
        """What frames are sent with; None until it is there."""

        self._dropped_frames = 0
        self._sum = DeltaSum(self._bounds)
        self._pulse_number = 0
        self._pulsed_s = 0.0
        self._answered = Event()
        self._awaited: set[str] = set()
        self._stop_timeout_s: float | None = None
        self._exit_code: int | None = None
        self._late: set[bytes] = set()
        """Who came when the run was ending already."""

    @property
    def dropped_frames(self) -> int:
        """That were no message, or none that was to be expected from whoever sent it."""
        return self._dropped_frames + self._reception.dropped_frames

    # What arrives.
    def received(self, peer: bytes, frame: bytes) -> None:
        """A frame from a peer. Whatever it is, it does no harm: what a worker sends that cannot be read or believed
        ends its part in the run, and what anybody else sends is dropped."""
        member = self._by_peer.get(peer)
        try:
            if member is None and len(frame) > LARGEST_JOINING_FRAME_BYTES:
                # Not even looked at. A worker that a restarted master does not know yet says hello then.
                self._reception.drop_large(len(frame))
                self._send(peer, Reregister())
            elif member is None:
                self._from_outside(peer, frame)
            else:
                self._from_member(member, decode(frame))
        except (NotAMessage, NotBelieved, Malformed, Unreadable) as error:
            assert member is not None
            self.refuse(member, str(error))
        except Exception as error:
            logger.exception("A message cannot be dealt with")
            if member is not None:
                self.refuse(member, f"the master failed on its message ({type(error).__name__})")

    def _from_outside(self, peer: bytes, frame: bytes) -> None:
        try:
            message = decode(frame)
        except NotAMessage as error:
            self._reception.drop(peer, error)
            return
        if isinstance(message, Hello):
            self._hello(peer, message)
        elif peer in self._reception:
            self._from_newcomer(peer, message)
        elif isinstance(message, Report | Retransmit | Ready | Failed | BundleRequest | Leaving | WorkerEvent):
            self._send(peer, Reregister())
        else:
            self._dropped_frames += 1

    def refuse(self, member: WorkerState, reason: str) -> None:
        """Nothing more of a worker counts, since what it says cannot be read or cannot be so; it is told why."""
        if not member.refused:
            member.refused = reason
            self._send(member.peer, Refused(reason))
            self.lose(member)
            self._listener.on_refused(member)

    def _hello(self, peer: bytes, hello: Hello) -> None:
        known = self.members.get(hello.incarnation)
        if known is not None and known.refused:
            self._send(peer, Refused(known.refused))
        elif known is None and len(self.members) >= _MOST_MEMBERS:
            self._dropped_frames += 1
        elif known is not None and self._exit_code is not None:
            self._send(peer, End(known.acked, self._exit_code))
        elif known is None and self._stop_timeout_s is not None and hello.run_id != self._spec.run_id:
            self._too_late(peer)
        else:
            self._reception.hello(peer, hello, known.acked if known is not None else 0)

    def _too_late(self, peer: bytes) -> None:
        """A new worker, also one in place of one that has died, has no part in the end of a run; it hears of that."""
        if self._exit_code is not None:
            self._send(peer, End(0, self._exit_code))
            return
        if len(self._late) < _MOST_MEMBERS:
            self._late.add(peer)
        self._send(peer, Wait())

    def _from_newcomer(self, peer: bytes, message: Message) -> None:
        welcomed = self._reception.take(peer, message)
        if welcomed is None:
            return
        hello, ready = welcomed
        try:
            self._bounds.check_ready(ready)
        except NotBelieved as error:
            self._reception.refuse(peer, f"of the worker {hello.name}, {error}")
        else:
            self._join(peer, hello, ready)

    def _join(self, peer: bytes, hello: Hello, ready: Ready) -> None:
        now = clock.monotonic()
        member = self.members.get(hello.incarnation)
        again = member is not None
        if member is None:
            member = self.members[hello.incarnation] = new_worker_state(hello, self.next_index, self._pulse_number, now)
            self.next_index += member.processes
        else:
            self._by_peer.pop(member.peer, None)
        member.ready(peer, ready, now)
        self._by_peer[peer] = member
        if ready.acked > member.merged:
            member.acked = member.merged = ready.acked
            self._listener.on_forgotten(member)
        if self._admits:
            self._send(peer, Admitted(member.index))
        if self.began:
            self._send(peer, StartRun(self._spec.run_id))
        if self._stop_timeout_s is not None:
            self._send(peer, Stop(self._stop_timeout_s))
        self._listener.on_join(member, again)
        self._listener.on_change()

    def _from_member(self, member: WorkerState, message: Message) -> None:
        now = clock.monotonic()
        member.heard_s = now
        member.cut_off_s = None
        if member.state is WorkerStatus.MISSING:
            self._come_back(member)
        match message:
            case Report():
                self._bounds.check_report(message)
                losses = unpack_losses(message.losses)
                steps = self._bounds.checked_steps(unpack_user_steps(message.user_steps))
                self._take(member, message, now)
                if not member.is_over:
                    self.users.add(member.incarnation, steps, sum(message.users.values()), now)
                self._listener.on_losses(member, losses)
                self._answered_by(member)
            case Retransmit():
                self._take(member, message, now)
            case Hello():
                self._hello(member.peer, message)
                # It says hello because it has not heard from us; it stays what it is meanwhile.
            case Ready() | BundleRequest() | Failed() if member.peer in self._reception:
                self._from_newcomer(member.peer, message)
            case WorkerEvent():
                self._listener.on_fault(member, replace(message, detail=clean_lines(message.detail)))
            case Custom():
                self._listener.on_custom(member, message)
            case CustomReport():
                self._listener.on_extra(member, message)
            case Leaving():
                if member.state is WorkerStatus.READY:
                    logger.info("The worker %s is leaving: %s.", member.name, clean_text(message.reason))
                    member.state = WorkerStatus.LEAVING
                    member.assigned = {}
                    self._listener.on_change()
            case _:
                self._dropped_frames += 1

    def _take(self, member: WorkerState, message: Report | Retransmit, now: float) -> None:
        member.take_report(message, self._sum, now, self._bounds.max_endpoints)
        member.check_pace(self._pulse_number)

    def _come_back(self, member: WorkerState) -> None:
        logger.info("The worker %s is back.", member.name)
        member.state = WorkerStatus.READY
        member.assign_number = 0
        self._listener.on_change()

    # What is sent.
    def _send(self, peer: bytes, message: Message) -> bool:
        return self._send_frame(peer, encode(message))

    def _send_frame(self, peer: bytes, frame: bytes) -> bool:
        return self.wire is not None and self.wire.send(peer, frame)

    def broadcast(self, message: Message) -> None:
        """To every worker that may still listen."""
        frame = encode(message)
        for member in self.members.values():
            if not member.is_over:
                self._send_frame(member.peer, frame)

    def send_to(self, node: str, message: Message) -> bool:
        """To the worker that has a process of that name; False when there is none."""
        for member in self.members.values():
            if (member.name == node or node in member.nodes) and not member.is_over:
                self._send(member.peer, message)
                return True
        return False

    def begin(self) -> None:
        self.began = True
        for member in self.members.values():
            # What it took to get ready is no part of the run.
            member.worst = None
            member.max_cpu_ratio = member.max_loop_lag_s = 0.0
        self.broadcast(StartRun(self._spec.run_id))

    @property
    def ready(self) -> list[WorkerState]:
        """Those that may have users."""
        return [member for member in self.members.values() if member.state is WorkerStatus.READY]

    def assign(self, wanted: Mapping[str, int], rate: float) -> int:
        """Give users out, to be reached at that many users per second over all workers; tells those whose users have
        changed. To be called again in a moment while `is_assigning`. Gives the number that stands for this
        assignment."""
        for member, message in self._assignments.give_out(self.ready, wanted, rate, clock.monotonic()):
            self._send(member.peer, message)
        return self._assignments.number

    @property
    def is_assigning(self) -> bool:
        """Whether workers are still to be told to start users, when the spawn rate allows it."""
        return self._assignments.pending > 0

    def settled(self, number: int) -> bool:
        """Whether every worker has carried out what it was told up to that assignment, and nothing is left to tell."""
        if self.is_assigning:
            return False
        return all(member.settled >= min(member.assign_number, number) for member in self.ready)

    def pulse(self, collect: bool) -> None:
        """Tell workers that the master is alive and what is safe; with `collect`, ask for a report."""
        self._pulse_number += 1
        self._pulsed_s = clock.monotonic()
        self._answered.clear()
        self._awaited = {
            member.incarnation
            for member in self.members.values()
            if member.state in (WorkerStatus.READY, WorkerStatus.LEAVING)
        }
        for member in self.members.values():
            if member.is_over:
                continue
            reached = self._send(member.peer, Heartbeat(self._pulse_number, member.acked, collect))
            # One that a recovered master has not met yet has no connection that could have been closed.
            if not reached and member.peer and member.cut_off_s is None:
                member.cut_off_s = self._pulsed_s

    def keep_alive(self, every_s: float, collect: bool) -> None:
        """A pulse, if there was none for a while."""
        if clock.monotonic() - self._pulsed_s >= every_s:
            self.pulse(collect)

    def wait_for_reports(self, longest_s: float) -> None:
        """Until every worker that is there has answered the last pulse, for so long at most."""
        if self._awaited:
            self._answered.wait(longest_s)

    def _answered_by(self, member: WorkerState) -> None:
        # One that a recovered master has met may still answer pulses of the master before.
        if member.pulse == self._pulse_number and member.incarnation in self._awaited:
            self._awaited.discard(member.incarnation)
            if not self._awaited:
                self._answered.set()

    def stop(self, timeout_s: float) -> None:
        """Have all users end."""
        self._stop_timeout_s = timeout_s
        for member in self.members.values():
            member.assigned = {}
        self.broadcast(Stop(timeout_s))

    def end(self, exit_code: int) -> bool:
        """Everything is over. Gives whether a worker that is there is still connected: it closes its connection when
        it has heard of the end, and is to be told again until then."""
        self._exit_code = exit_code
        connected = False
        for peer in self._late:
            self._send(peer, End(0, exit_code))
        for member in self.members.values():
            if not member.is_over:
                reached = self._send(member.peer, End(member.acked, exit_code))
                connected |= reached and member.state is not WorkerStatus.MISSING
        return connected

    def begin_interval(self) -> None:
        """What workers have said of their CPU and their loop has been looked at."""
        for member in self.members.values():
            member.worst = None

    # What time brings.
    def look_after(self, now: float) -> None:
        """Notice who is missing, let go who has left, reduce shares of workers that are too slow. Once an interval."""
        changed = False
        for member in self.members.values():
            if member.state is WorkerStatus.READY and now - member.heard_s > self._missing_after_s:
                users = sum(member.assigned.values())
                moved = (
                    f" Its {counted(users, 'user')} {'goes' if users == 1 else 'go'} to the others." if users else ""
                )
                logger.warning(
                    "The worker %s is missing: nothing heard for %.0f s.%s", member.name, now - member.heard_s, moved
                )
                member.state = WorkerStatus.MISSING
                member.assigned = {}
                self.users.leave(member.incarnation, now)
                changed = True
            elif member.state is WorkerStatus.LEAVING and member.complete and member.acked >= member.last_sequence:
                self._send(member.peer, End(member.acked, 0))
                member.state = WorkerStatus.GONE
                self.users.leave(member.incarnation, now)
                self._by_peer.pop(member.peer, None)
        for incarnation in self._assignments.balance.update({member.incarnation: member.load for member in self.ready}):
            logger.info("The worker %s is too slow for its users; some go to others.", self.members[incarnation].name)
            changed = True
        self._reception.look_after(now)
        if changed:
            self._listener.on_change()

    def lose(self, member: WorkerState) -> None:
        """It is known to be dead, and will not come back."""
        if not member.is_over:
            member.state = WorkerStatus.LOST
            member.assigned = {}
            self.users.leave(member.incarnation, clock.monotonic())
            self._awaited.discard(member.incarnation)
            self._by_peer.pop(member.peer, None)
            self._listener.on_change()

    # Statistics.
    def take(self, max_endpoints: int) -> StatsTable:
        """What was reported since the last call. `acknowledge` has to follow once it is safe."""
        return self._sum.take(max_endpoints)

    @property
    def has_news(self) -> bool:
        return self._sum.deltas > 0

    def acknowledge(self) -> None:
        """All that was taken is safe."""
        for member in self.members.values():
            member.acked = member.merged

    def user_counts(self) -> Users:
        """As last reported by those that are there."""
        counts: Counter[str] = Counter()
        for member in self._present():
            counts.update(member.users)
        return dict(counts)

    def in_flight(self, max_endpoints: int) -> dict[EndpointKey, InFlight]:
        """The requests under way, as last reported by those that are there."""
        return merge_columns((member.in_flight for member in self._present()), max_endpoints)

    def _present(self) -> Iterator[WorkerState]:
        present = (WorkerStatus.READY, WorkerStatus.LEAVING)
        return (member for member in self.members.values() if member.state in present)

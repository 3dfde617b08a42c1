"""Several processes of one machine that are one worker to their master: commands go down to all of them, and what they
measured goes up added together, one message a second."""

import logging
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import gevent
from gevent.event import Event

from obswarm import clock, defaults
from obswarm.api import ObswarmError
from obswarm.cluster.job import Job
from obswarm.cluster.master.balancer import Users
from obswarm.cluster.master.losses import pack_losses
from obswarm.cluster.master.registry import WorkerRegistry
from obswarm.cluster.master.run_spec import RunSpec
from obswarm.cluster.master.worker_state import WorkerState
from obswarm.cluster.processes import WorkerProcesses
from obswarm.cluster.reexec import reexec
from obswarm.cluster.wire.bounds import RunBounds
from obswarm.cluster.wire.curve import CurveKeys
from obswarm.cluster.wire.messages import (
    MAX_DELTA_BYTES,
    Admitted,
    Assign,
    Custom,
    CustomReport,
    Leaving,
    Message,
    Report,
    SpawningComplete,
    StartRun,
    StatsReset,
    Stop,
    StopUsers,
    Welcome,
    WorkerEvent,
)
from obswarm.cluster.wire.transport import RouterSocket, new_context
from obswarm.cluster.wire.user_steps import pack_user_steps
from obswarm.cluster.worker.connection import Identity, MasterConnection, Prepared, tell_of_other_run
from obswarm.ending_signals import ending_signals
from obswarm.engine import WorkerLoss
from obswarm.greenlets import kill_all
from obswarm.stats import UserTrack
from obswarm.stats.codec import pack_delta, pack_in_flight
from obswarm.units import counted

logger = logging.getLogger(__name__)

_START_S = 60.0
_REPORTS_S = 0.15
_PULSE_S = 1.0
_STEP_S = 0.05
_LEAVING_S = 10.0
_CHILDREN_END_S = 10.0
_LAST_REPORT_S = 0.5


class Relay:
    """`run` blocks until the master says that all is over; gives an exit code.

    Raises ObswarmError when there is no master, or it refuses, or no process can run the load test.
    """

    def __init__(
        self,
        endpoint: str,
        keys: CurveKeys | None,
        processes: int,
        command: Sequence[str],
        *,
        identity: Identity,
        give_up_after_s: float = defaults.GIVE_UP_AFTER_S,
    ) -> None:
        self._context = new_context()
        self._count = processes
        self._identity = identity
        self._children = WorkerProcesses(command, self._child_ended)
        self.link = MasterConnection(self._context, endpoint, keys, identity, self, give_up_after_s)
        self.told_to_leave = False
        """As of Worker."""
        self._fleet: WorkerRegistry | None = None
        self._listener: RouterSocket | None = None
        self._wanted: Users = {}
        self._rate = 1.0
        self._numbers: list[tuple[int, int]] = []
        self._settled = 0
        self._track = UserTrack()
        self._changed = Event()
        self._failure: str | None = None
        self._index: int | None = None
        self._collecting = False
        self._stopping = False
        self._leaving = False
        self._over = False
        self._max_endpoints = defaults.MAX_ENDPOINTS
        self._stop_timeout_s = 0.0
        self._losses: list[WorkerLoss] = []

    def run(self) -> int:
        watchers = [gevent.signal_handler(kind, self._leave, kind) for kind in ending_signals()]
        keepers = [
            self.link.supervisor.keep("The contact with a machine's processes", self._keep),
            self.link.supervisor.keep("The giving out of users to a machine's processes", self._give_out),
        ]
        try:
            code = self.link.run()
            self._over = True
            if self._fleet is not None:
                self._fleet.end(code)
                self._children.wait(_CHILDREN_END_S)
            return code
        finally:
            self._over = True
            kill_all(keepers)
            for watcher in watchers:
                watcher.cancel()
            self._children.end()
            if self._listener is not None:
                self._listener.close()
            self.link.clean_up()

    # What the link asks for.
    def prepare(self, welcome: Welcome, folder: Path | None) -> Prepared:
        if self._fleet is None:
            self._start(welcome, folder)
        fleet = self._fleet
        assert fleet is not None
        deadline = clock.monotonic() + _START_S
        while len(fleet.members) < self._count and self._failure is None and clock.monotonic() < deadline:
            self._changed.wait(0.1)
            self._changed.clear()
        ready = fleet.ready
        if not ready:
            raise ObswarmError(self._failure or "None of this worker's processes was ready in time.")
        return Prepared(
            sum(member.capacity for member in ready),
            sum(member.cpus for member in ready),
            tuple(member.name for member in ready),
        )

    def _start(self, welcome: Welcome, folder: Path | None) -> None:
        job = Job.unpack(welcome.job)
        self._max_endpoints = job.max_endpoints
        self._stop_timeout_s = job.stop_timeout_s
        if folder is not None:
            os.chdir(folder)
        local = replace(job, root=str(folder or job.root))
        spec = RunSpec(welcome.run_id, local.pack(), None, "", welcome.orphan_timeout_s)
        bounds = RunBounds.of(job.max_endpoints, job.user_classes)
        fleet = self._fleet = WorkerRegistry(spec, self, admits=False, bounds=bounds)
        self._listener = RouterSocket(
            self._context, self._children.endpoint, None, fleet.received, self.link.supervisor
        )
        fleet.wire = self._listener
        for _ in range(self._count):
            self._children.start(1 / self._count)

    def placed(self) -> dict[str, int]:
        return dict(self._wanted)

    def collect(self, pulse: int) -> None:
        if not self._collecting:
            self._collecting = True
            self.link.supervisor.spawn("The collection of statistics", self._collect, pulse)

    def _collect(self, pulse: int) -> None:
        fleet = self._fleet
        assert fleet is not None
        try:
            fleet.pulse(collect=True)
            fleet.wait_for_reports(_REPORTS_S)
            fleet.look_after(clock.monotonic())
            self._report(pulse)
        finally:
            self._collecting = False

    def _report(self, pulse: int) -> None:
        fleet = self._fleet
        assert fleet is not None
        members = list(fleet.members.values())
        alive = [member for member in members if not member.is_over]
        while self._numbers and fleet.settled(self._numbers[0][1]):
            self._settled = self._numbers.pop(0)[0]
        in_flight = pack_in_flight(fleet.in_flight(self._max_endpoints))
        healths = [member.health for member in alive if member.health is not None]
        strains = [member.strain for member in alive]
        fleet.begin_interval()
        for time_s, users in fleet.users.settle():
            self._track.change(users, time_s)
        user_steps = pack_user_steps(self._track.take(clock.monotonic()))
        # Last: what has been taken has to get to the unacknowledged deltas.
        delta = None
        if fleet.has_news and not self.link.unacked.is_full:
            table = fleet.take(self._max_endpoints)
            fleet.acknowledge()
            delta = None if table.is_empty() else pack_delta(table, self._identity.name, MAX_DELTA_BYTES)
        ended = self._stopping and all(member.complete for member in alive) and not fleet.has_news
        self.link.report(
            lambda sequence, packed, last: Report(
                pulse=pulse,
                sequence=sequence,
                delta=packed,
                in_flight=in_flight,
                user_steps=user_steps,
                losses=pack_losses(self._losses),
                users=fleet.user_counts(),
                settled=self._settled,
                cpu_ratio=max((cpu_ratio for cpu_ratio, _ in strains), default=0.0),
                loop_lag_s=max((loop_lag_s for _, loop_lag_s in strains), default=0.0),
                memory_bytes=sum(health.memory_bytes for health in healths),
                saturated=any(health.saturated for health in healths),
                strained_s=min((member.strained_s for member in alive), default=0),
                last_sequence=last,
                ended=ended,
            ),
            delta,
        )

    def on_message(self, message: Message) -> None:
        fleet = self._fleet
        if fleet is None:
            return
        match message:
            case Admitted():
                self._index = message.index
                for member in fleet.members.values():
                    fleet.send_to(member.name, Admitted(self._index + member.index))
            case StartRun():
                if not fleet.began:
                    fleet.begin()
            case Assign() if not (self._stopping or self._leaving):
                self._wanted, self._rate = message.users, message.rate
                self._numbers.append((message.number, fleet.assign(message.users, message.rate)))
            case Stop():
                self._stop(message.timeout_s)
            case SpawningComplete() | StatsReset():
                fleet.broadcast(message)
            case Custom():
                if message.node:
                    fleet.send_to(message.node, message)
                else:
                    fleet.broadcast(message)

    def on_orphaned(self) -> None:
        if self._fleet is not None and any(self._wanted.values()):
            logger.error("Nothing heard from the master for too long: ending all users.")
            self._wanted = {}
            self._fleet.assign({}, self._rate)
            self._fleet.broadcast(StopUsers())

    def on_other_run(self) -> None:
        waiting = len(self.link.unacked) + (self._fleet is not None and self._fleet.has_news)
        tell_of_other_run(waiting)
        self._over = True
        self._children.end()
        self.link.clean_up()
        reexec()

    # What the fleet tells.
    def on_change(self) -> None:
        self._changed.set()
        if self._fleet is not None and self._wanted and not (self._stopping or self._leaving):
            self._fleet.assign(self._wanted, self._rate)

    def on_fault(self, member: WorkerState, fault: WorkerEvent) -> None:
        self.link.send(fault)

    def on_custom(self, member: WorkerState, custom: Custom) -> None:
        self.link.send(custom)

    def on_extra(self, member: WorkerState, extra: CustomReport) -> None:
        self.link.send(extra)

    def on_join(self, member: WorkerState, again: bool) -> None:
        self._changed.set()
        if self._index is not None and self._fleet is not None:
            self._fleet.send_to(member.name, Admitted(self._index + member.index))

    def on_forgotten(self, member: WorkerState) -> None:
        """There is no relay before this one."""

    def on_failed(self, name: str, reason: str) -> None:
        self._failure = reason
        self._changed.set()

    # What happens here.
    def _child_ended(self, incarnation: str, code: int) -> None:
        if self._over:
            return
        member = self._fleet.members.get(incarnation) if self._fleet is not None else None
        if member is None:
            self._failure = self._failure or f"A process of this worker ended with the exit code {code}."
            self._changed.set()
            return
        fleet = self._fleet
        assert fleet is not None
        if not member.is_over and not member.complete:
            users = sum(member.users.values())
            logger.error(
                "A process of this worker ended (exit code %d); the others get its %s.", code, counted(users, "user")
            )
            fleet.lose(member)
            self._note_loss(member, f"it ended with the exit code {code}")
        if not len(self._children):
            self._report(0)
            error = ObswarmError("All processes of this worker have ended.")
            # What they had reported has to be on its way before the connection is closed.
            self.link.supervisor.spawn_later(_LAST_REPORT_S, "The end of a worker", self.link.fail, error)

    def _note_loss(self, member: WorkerState, detail: str) -> None:
        unreported_s = clock.monotonic() - member.stats_s
        users = sum(member.users.values())
        self._losses.append(
            WorkerLoss(member.name, f"a process of the worker {self._identity.name}: {detail}", unreported_s, users)
        )

    def on_refused(self, member: WorkerState) -> None:
        logger.error("The process %s of this worker is refused: %s.", member.name, member.refused)
        self._note_loss(member, f"refused, since {member.refused}")

    def on_losses(self, member: WorkerState, losses: Sequence[WorkerLoss]) -> None:
        """A process has no processes."""

    def _keep(self) -> None:
        while True:
            gevent.sleep(_PULSE_S / 4)
            if self._fleet is not None:
                self._fleet.keep_alive(_PULSE_S, collect=False)

    def _give_out(self) -> None:
        """What cannot be given out at once, since that would be more than the rate."""
        while True:
            gevent.sleep(_STEP_S)
            if self._fleet is not None and self._fleet.is_assigning:
                self.on_change()

    def _stop(self, timeout_s: float) -> None:
        assert self._fleet is not None
        self._stopping = True
        self._wanted = {}
        self._fleet.stop(timeout_s)
        self.link.supervisor.spawn("The end of a machine's processes", self._tell_when_ended)

    def _tell_when_ended(self) -> None:
        """Sooner than with the next pulse."""
        fleet = self._fleet
        assert fleet is not None
        deadline = clock.monotonic() + self._stop_timeout_s + _LEAVING_S
        while clock.monotonic() < deadline:
            if all(member.complete for member in fleet.members.values() if not member.is_over):
                self._report(0)
                return
            gevent.sleep(0.02)

    def _leave(self, kind: signal.Signals = signal.SIGINT) -> None:
        self.told_to_leave = True
        if self._leaving and kind is signal.SIGHUP:
            # A terminal that is closed sends it more than once; nobody insists.
            return
        if self._fleet is None or self._leaving:
            self.link.finish(130)
            return
        self._leaving = True
        logger.info("Leaving: running tasks may finish. Another signal ends at once.")
        self.link.send(Leaving("it was told to end by a signal"))
        self._stop(self._stop_timeout_s)
        self.link.supervisor.spawn_later(self._stop_timeout_s + _LEAVING_S, "The end of a worker", self.link.finish, 4)

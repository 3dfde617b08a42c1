"""A relay: several processes of one machine that are one worker to their master. It distributes the master's commands,
and sends the sum of their statistics in one message a second."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import gevent
from gevent.event import Event

from obswarm import clock, defaults
from obswarm.api import ObswarmError
from obswarm.cluster.job import Job
from obswarm.cluster.master import events
from obswarm.cluster.master.losses import pack_losses
from obswarm.cluster.master.registry import WorkerRegistry
from obswarm.cluster.master.run_spec import RunSpec
from obswarm.cluster.master.worker_state import WorkerState
from obswarm.cluster.processes import WorkerProcesses
from obswarm.cluster.reexec import log_other_run, reexec
from obswarm.cluster.wire.bounds import RunBounds
from obswarm.cluster.wire.curve import CurveKeys
from obswarm.cluster.wire.messages import (
    MAX_DELTA_BYTES,
    Admitted,
    Assign,
    Custom,
    Message,
    Report,
    SpawningComplete,
    StartRun,
    StatsReset,
    Stop,
    StopUsers,
    Welcome,
)
from obswarm.cluster.wire.transport import RouterSocket, new_context
from obswarm.cluster.wire.user_steps import pack_user_steps
from obswarm.cluster.worker.connection import MasterConnection, Prepared
from obswarm.cluster.worker.departure import LEAVING_S, Departure
from obswarm.cluster.worker.identity import Identity
from obswarm.engine import Assignment, WorkerLoss
from obswarm.greenlets import kill_all
from obswarm.stats import UserTrack
from obswarm.stats.codec import OutOfBounds, pack_delta, pack_in_flight
from obswarm.units import counted, format_limit

logger = logging.getLogger(__name__)

_START_S = 60.0
_REPORTS_S = 0.15
_HEARTBEAT_S = 1.0
_STEP_S = 0.05
_CHILDREN_END_S = 10.0
_LAST_REPORT_S = 0.5


class Relay:
    """A relay; `run` blocks until the master ends it, and returns an exit code.

    Raises ObswarmError if no master is found, the master refuses this worker, or no process can run the load test.
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
        look_up: Callable[[], str] | None = None,
    ) -> None:
        """`look_up` is that of MasterConnection."""
        self._context = new_context()
        self._count = processes
        self._identity = identity
        self._children = WorkerProcesses(command, self._child_ended)
        self.link = MasterConnection(self._context, endpoint, keys, identity, self, give_up_after_s, look_up)
        self.departure = Departure(self.link, self._stop_timeout, self._stop)
        self._registry: WorkerRegistry | None = None
        self._listener: RouterSocket | None = None
        self._wanted: Assignment | None = None
        self._bounds = RunBounds()
        self._numbers: list[tuple[int, int]] = []
        self._settled = 0
        self._track = UserTrack()
        self._changed = Event()
        self._failure: str | None = None
        self._index: int | None = None
        self._collecting = False
        self._stopping = False
        self._over = False
        self._max_endpoints = defaults.MAX_ENDPOINTS
        self._stop_timeout_s = 0.0
        self._losses: list[WorkerLoss] = []

    def run(self) -> int:
        keepers = [
            self.link.supervisor.keep("The contact with a machine's processes", self._keep),
            self.link.supervisor.keep("The distribution of users to a machine's processes", self._distribute),
        ]
        try:
            with self.departure.at_signals():
                code = self.link.run()
                self._over = True
                if self._registry is not None:
                    self._registry.end(code)
                    self._children.wait(_CHILDREN_END_S)
                return code
        finally:
            self._over = True
            kill_all(keepers)
            self._children.end()
            if self._listener is not None:
                self._listener.close()
            self.link.clean_up()

    # ConnectionListener.
    def prepare(self, welcome: Welcome, folder: Path | None) -> Prepared:
        if self._registry is None:
            self._start(welcome, folder)
        registry = self._registry
        assert registry is not None
        deadline = clock.monotonic() + _START_S
        while len(registry.workers) < self._count and self._failure is None and clock.monotonic() < deadline:
            gevent.wait([self._changed], timeout=_STEP_S)
            self._changed.clear()
        ready = registry.ready
        if not ready:
            raise ObswarmError(self._failure or f"No process of this worker was ready within {format_limit(_START_S)}.")
        return Prepared(
            sum(worker.capacity for worker in ready),
            sum(worker.cpus for worker in ready),
            tuple(worker.name for worker in ready),
        )

    def _start(self, welcome: Welcome, folder: Path | None) -> None:
        job = Job.unpack(welcome.job)
        load_config = job.config.load
        self._max_endpoints = load_config.max_endpoints
        self._stop_timeout_s = load_config.stop_timeout
        if folder is not None:
            os.chdir(folder)
        local = replace(job, root=str(folder or job.root))
        spec = RunSpec(welcome.run_id, local.pack(), None, "", welcome.orphan_timeout_s)
        self._bounds = RunBounds.of(load_config.max_endpoints, job.user_classes)
        listener = self._listener = RouterSocket(
            self._context, self._children.endpoint, None, self._received, self.link.supervisor
        )
        self._registry = WorkerRegistry(spec, listener, admits=False, bounds=self._bounds)
        for _ in range(self._count):
            self._children.start(1 / self._count)

    def assigned_users(self) -> dict[str, int]:
        return dict(self._wanted.users) if self._wanted is not None else {}

    def on_heartbeat(self) -> None:
        """Do nothing: its processes get heartbeats of its own."""

    def collect(self, heartbeat: int) -> None:
        if not self._collecting:
            self._collecting = True
            self.link.supervisor.spawn("The collection of statistics", self._collect, heartbeat)

    def _collect(self, heartbeat: int) -> None:
        registry = self._registry
        assert registry is not None
        try:
            registry.beat(collect=True)
            registry.heartbeats.wait_for_reports(_REPORTS_S)
            self._handle(registry.look_after(clock.monotonic()))
            self._report(heartbeat)
        finally:
            self._collecting = False

    def _report(self, heartbeat: int) -> None:
        registry = self._registry
        assert registry is not None
        workers = list(registry.workers.values())
        alive = [worker for worker in workers if not worker.is_over]
        while self._numbers and registry.settled(self._numbers[0][1]):
            self._settled = self._numbers.pop(0)[0]
        in_flight = pack_in_flight(registry.in_flight(self._max_endpoints))
        healths = [worker.health for worker in alive if worker.health is not None]
        strains = [worker.strain for worker in alive]
        registry.begin_interval()
        for time_s, users in registry.users.settle():
            self._track.change(users, time_s)
        user_steps = pack_user_steps(self._track.take(clock.monotonic()))
        # Last, since a collected table must get to the unacknowledged deltas.
        delta = None
        if registry.has_statistics and not self.link.unacked.is_full:
            table = registry.take(self._max_endpoints)
            registry.acknowledge()
            delta = None if table.is_empty() else pack_delta(table, self._identity.name, MAX_DELTA_BYTES)
        ended = self._stopping and all(worker.complete for worker in alive) and not registry.has_statistics
        self.link.report(
            lambda sequence, packed, last: Report(
                heartbeat=heartbeat,
                sequence=sequence,
                delta=packed,
                in_flight=in_flight,
                user_steps=user_steps,
                losses=pack_losses(self._losses),
                users=registry.user_counts(),
                settled=self._settled,
                cpu_ratio=max((cpu_ratio for cpu_ratio, _ in strains), default=0.0),
                loop_lag_s=max((loop_lag_s for _, loop_lag_s in strains), default=0.0),
                memory_bytes=sum(health.memory_bytes for health in healths),
                saturated=any(health.saturated for health in healths),
                strained_s=min((worker.strained_s for worker in alive), default=0),
                last_sequence=last,
                ended=ended,
            ),
            delta,
        )

    def on_message(self, message: Message) -> None:
        registry = self._registry
        if registry is None:
            return
        match message:
            case Admitted():
                self._index = message.index
                for worker in registry.workers.values():
                    registry.send_to(worker.name, Admitted(self._index + worker.index))
            case StartRun():
                if not registry.has_begun:
                    registry.begin(message.with_statistics)
            case Assign() if not self._stopping:
                try:
                    self._wanted = self._bounds.checked_assignment(message, clock.monotonic())
                except OutOfBounds as error:
                    self.link.refuse_assignment(error)
                else:
                    self._numbers.append((message.number, registry.assign(self._wanted)))
            case Stop():
                self._stop(message.timeout_s)
            case SpawningComplete() | StatsReset():
                registry.broadcast(message)
            case Custom():
                if message.node:
                    registry.send_to(message.node, message)
                else:
                    registry.broadcast(message)

    def on_orphaned(self) -> None:
        wanted = self._wanted
        if self._registry is not None and wanted is not None and (wanted.user_count or wanted.has_rates):
            logger.error("No contact with the master for too long: stopping all users.")
            self._wanted = None
            self._registry.assign(Assignment({}, wanted.spawn_rate))
            self._registry.broadcast(StopUsers())

    def on_other_run(self) -> None:
        waiting = len(self.link.unacked) + (self._registry is not None and self._registry.has_statistics)
        log_other_run(waiting)
        self._over = True
        self._children.end()
        self.link.clean_up()
        reexec()

    # Events of the registry.
    def _received(self, peer: bytes, frame: bytes) -> None:
        assert self._registry is not None
        self._handle(self._registry.received(peer, frame))

    def _handle(self, happened: Sequence[events.RegistryEvent]) -> None:
        for event in happened:
            match event:
                case events.Joined(worker):
                    if self._index is not None and self._registry is not None:
                        self._registry.send_to(worker.name, Admitted(self._index + worker.index))
                case events.Received(_, message):
                    self.link.send(message)
                case events.LoadFailed(_, reason):
                    self._failure = reason
                    self._changed.set()
                case events.WorkerRefused(worker):
                    logger.error("The process %s of this worker is refused: %s.", worker.name, worker.refused)
                    self._note_loss(worker, f"refused, since {worker.refused}")
                case _:
                    # Events of relays, which the registry of a relay does not have.
                    pass
            if isinstance(event, events.UsersMove):
                self._changed.set()
                self._assign()

    def _assign(self) -> None:
        if self._registry is not None and self._wanted is not None and not self._stopping:
            number = self._registry.assign(self._wanted)
            if self._numbers:
                # The latest assignment of the master is carried out when this last part is.
                self._numbers[-1] = (self._numbers[-1][0], number)

    # Events of the processes.
    def _child_ended(self, incarnation: str, code: int) -> None:
        registry = self._registry
        if self._over or registry is None:
            return
        worker = registry.workers.get(incarnation)
        if worker is None:
            self._failure = self._failure or f"A process of this worker ended with the exit code {code}."
            self._changed.set()
        elif not worker.is_over and not worker.complete:
            users = sum(worker.users.values())
            logger.error(
                "A process of this worker ended (exit code %d); moving its %s to the others.",
                code,
                counted(users, "user"),
            )
            self._handle(registry.lose(worker))
            self._note_loss(worker, f"it ended with the exit code {code}")
        if registry.workers and not len(self._children):
            self._report(0)
            error = ObswarmError("All processes of this worker have ended.")
            # After their last reports have been sent.
            self.link.supervisor.spawn_later(_LAST_REPORT_S, "The end of a worker", self.link.fail, error)

    def _note_loss(self, worker: WorkerState, detail: str) -> None:
        unreported_s = clock.monotonic() - worker.stats_s
        users = sum(worker.users.values())
        self._losses.append(
            WorkerLoss(worker.name, f"a process of the worker {self._identity.name}: {detail}", unreported_s, users)
        )

    def _keep(self) -> None:
        while True:
            gevent.sleep(_HEARTBEAT_S / 4)
            if self._registry is not None and self._registry.heartbeats.is_due(_HEARTBEAT_S):
                self._registry.beat(collect=False)

    def _distribute(self) -> None:
        """Assign users that could not be assigned at once because of the rate."""
        while True:
            gevent.sleep(_STEP_S)
            if self._registry is not None and self._registry.is_assigning:
                self._assign()

    def _stop_timeout(self) -> float | None:
        return self._stop_timeout_s if self._registry is not None else None

    def _stop(self, timeout_s: float) -> None:
        assert self._registry is not None
        self._stopping = True
        self._wanted = None
        self._registry.stop(timeout_s)
        self.link.supervisor.spawn("The end of a machine's processes", self._report_when_ended)

    def _report_when_ended(self) -> None:
        """Report the end before the next heartbeat."""
        registry = self._registry
        assert registry is not None
        deadline = clock.monotonic() + self._stop_timeout_s + LEAVING_S
        while clock.monotonic() < deadline:
            if all(worker.complete for worker in registry.workers.values() if not worker.is_over):
                self._report(0)
                return
            gevent.sleep(0.02)

"""FleetGenerator: a LoadGenerator with its users in workers: assigns them, merges their statistics, notices losses."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import gevent

from obswarm import clock, defaults
from obswarm.api import Environment, InternalError, ObswarmError
from obswarm.bounded_msgpack import Unreadable
from obswarm.cluster.master import events
from obswarm.cluster.master.expectation import Expectation, WaitForWorkers
from obswarm.cluster.master.feed_service import FeedService
from obswarm.cluster.master.fleet_events import FleetEvents
from obswarm.cluster.master.journal import Recovered
from obswarm.cluster.master.local_workers import LocalProcesses, LocalWorkers
from obswarm.cluster.master.losses import Losses
from obswarm.cluster.master.recovery import restored_workers
from obswarm.cluster.master.registry import WorkerRegistry
from obswarm.cluster.master.run_spec import RunSpec
from obswarm.cluster.master.runner import MasterRunner
from obswarm.cluster.master.worker_state import WorkerState
from obswarm.cluster.wire.bounds import RunBounds
from obswarm.cluster.wire.curve import CurveKeys
from obswarm.cluster.wire.custom_content import deliver
from obswarm.cluster.wire.messages import Custom, CustomReport, SpawningComplete, StatsReset, WorkerEvent
from obswarm.cluster.wire.transport import RouterSocket, new_context
from obswarm.engine import (
    Assignment,
    GeneratorStatus,
    GeneratorTotals,
    GeneratorWarning,
    HealthMonitor,
    LoadGenerator,
    MessageListeners,
    Progress,
    RunFailed,
    RunnerControl,
    StopReason,
    StopRequested,
    WorkerLoss,
    has_seeded_arrivals,
)
from obswarm.feeds import FeedServer
from obswarm.record import StopKind, WorkerStatus
from obswarm.stats import StatsTable
from obswarm.units import counted

logger = logging.getLogger(__name__)

_STEP_S = 0.1
_STEP_OF_MANY_S = 0.2
_MANY_WORKERS = 200
_KEEP_S = 0.25
_START_S = 90.0
_ON_STOP_S = 6.0
_END_S = 2.0
_ABORT_S = 3.0
_POLL_S = 0.02


class FleetGenerator(LoadGenerator):
    """Users in workers that connect to `endpoint`; with `local`, in worker processes of this machine.

    `recovered` is the run of an earlier master to continue. Raises ObswarmError if it cannot listen.
    """

    burst_s = _STEP_OF_MANY_S * 2

    def __init__(
        self,
        environment: Environment,
        spec: RunSpec,
        *,
        max_endpoints: int = defaults.MAX_ENDPOINTS,
        endpoint: str = "",
        keys: CurveKeys | None = None,
        by_capacity: bool = True,
        expect: Expectation | None = None,
        local: LocalWorkers | None = None,
        recovered: Recovered | None = None,
        messages: MessageListeners | None = None,
        feeds: FeedServer | None = None,
    ) -> None:
        super().__init__(environment, messages)
        self._classes = [cls.__name__ for cls in environment.user_classes]
        self._seeded = [cls.__name__ for cls in environment.user_classes if has_seeded_arrivals(cls)]
        self._run_id = spec.run_id
        self._max_endpoints = max_endpoints
        self._orphan_timeout_s = spec.orphan_timeout_s
        self._local = LocalProcesses(local, self._process_ended, self.supervisor) if local is not None else None
        if self._local is not None:
            expect = Expectation(self._local.at_first, _START_S)
        self._expect = expect or Expectation()
        self._recovered = recovered
        self._health = HealthMonitor("master", supervisor=self.supervisor)
        self._fleet_events = FleetEvents(environment)
        self._assignment = Assignment(dict.fromkeys(self._classes, 0), 1.0)
        self._number = 0
        """Number of the last assignment; 0 before the first."""
        self._is_stale = False
        """Whether users have to be assigned again, since workers have joined or left."""
        self._users_ended = 0
        self._most_users_before = 0
        """Maximum number of users under earlier masters."""
        self._waiting = WaitForWorkers(self._expect, clock.monotonic())
        self._alone_since_s: float | None = None
        self._is_first = recovered is not None
        self._has_started = self._is_stopping = self._is_killed = self._is_over = self._has_warned = False
        where = self._local.endpoint if self._local is not None else endpoint
        self.listener = RouterSocket(new_context(), where, keys, self.received, self.supervisor)
        bounds = RunBounds.of(max_endpoints, self._classes)
        self.registry = WorkerRegistry(spec, self.listener, by_capacity=by_capacity, bounds=bounds)
        self._feeds = FeedService(feeds, self.messages, self.registry.send_to, spec.orphan_timeout_s)
        self._losses = Losses(self._feeds.gone, environment.recorder.record_dropped)
        if recovered is not None:
            self.registry.restore(restored_workers(recovered))
            progress = recovered.progress
            self._most_users_before, self._users_ended = progress.users_max, progress.users_ended
            self._losses.note_requests(recovered.table.lost, self.registry.workers.values())
            self._losses.restore(WorkerLoss(*loss) for loss in progress.losses)
        self._keeper = self.supervisor.keep("The master's contact with its workers", self._keep)

    @property
    def step_s(self) -> float:
        return _STEP_S if len(self.registry.workers) <= _MANY_WORKERS else _STEP_OF_MANY_S

    def make_runner(self, run: RunnerControl) -> MasterRunner:
        return MasterRunner(run, self.environment, self.messages, self.registry)

    # Before the run.
    def prepare(self) -> None:
        self._waiting = WaitForWorkers(self._expect, clock.monotonic())
        if self._recovered is not None:
            logger.info("Continuing the run %s of an earlier master.", self._run_id)
        elif self._local is not None:
            self._local.start(self._local.at_first)
        else:
            logger.info("Waiting for %s at %s.", counted(self._expect.workers, "worker"), self.listener.endpoint)

    def is_ready(self, now: float) -> bool:
        return self._recovered is not None or self._waiting.is_over(len(self.registry.ready), now)

    def start(self) -> None:
        self._has_started = True
        self._health.start()
        if self._recovered is None:
            self.registry.begin(self._fleet_events.wants_statistics)
        else:
            self.registry.resume(self._fleet_events.wants_statistics)

    # During the run.
    def apply(self, assignment: Assignment, now: float) -> None:
        is_same = assignment.is_same_load(self._assignment)
        self._assignment = assignment = replace(assignment, evenly=self._seeded)
        if is_same and not self._is_stale and not self.registry.is_assigning:
            return
        self._is_stale = False
        self._number = self.registry.assign(assignment)

    def has_settled(self) -> bool:
        # Without workers, no assignment is carried out.
        return bool(self.registry.ready) and not self._is_stale and self.registry.settled(self._number)

    def everyone_has_left(self) -> bool:
        return self.has_settled() and not any(self.registry.user_counts().values())

    def users_ended(self) -> int:
        # Workers that still carry out an assignment have not reported yet how many users have ended.
        if self._number and self.has_settled():
            living = (
                users for name, users in self.registry.user_counts().items() if name not in self._assignment.rates
            )
            self._users_ended = self._assignment.user_count - sum(living)
        return self._users_ended

    def users_not_started(self, now: float) -> int:
        ready = self.registry.ready
        if not ready:
            return 0
        return max(0, self._assignment.user_count - self.users_ended() - sum(each.most_users(now) for each in ready))

    def user_counts(self) -> dict[str, int]:
        return {**dict.fromkeys(self._classes, 0), **self.registry.user_counts()}

    def users_max(self) -> int:
        """Return the maximum number of users at a time, including the time of earlier masters."""
        # At the end, no worker reports any more.
        self.registry.users.settle(clock.monotonic() if self._is_over else None)
        return max(self._most_users_before, self.registry.users.peak)

    def status(self, now: float) -> GeneratorStatus:
        views = (worker.view(now) for worker in self.registry.workers.values())
        return GeneratorStatus(
            self.user_counts(),
            self.users_max(),
            tuple(view for view in views if view is not None),
            self.registry.in_flight(self._max_endpoints),
        )

    def refresh(self, longest_s: float) -> None:
        if self._is_over:
            return
        if self._is_first:
            self._is_first = False
            self.registry.heartbeats.take_over(self.registry.workers)
        else:
            self._beat(collect=True)
            self.registry.heartbeats.wait_for_reports(longest_s)
        self._handle(self.registry.look_after(clock.monotonic()))
        self._fleet_events.report(self.registry.workers.values())
        self._fleet_events.measure(self._health, sum(self.registry.user_counts().values()))

    def collect(self) -> StatsTable:
        # Listeners are called in this process, too, and their exceptions are counted.
        own = self.environment.recorder.take()
        if not self.registry.has_statistics:
            return own
        table = self.registry.take(self._max_endpoints)
        self._losses.note_requests(table.lost, self.registry.workers.values())
        table.merge(own)
        return table

    def acknowledge(self) -> None:
        self.registry.acknowledge()

    def end_interval(self) -> None:
        self.registry.begin_interval()
        self._feeds.look_after(self.registry.workers.values(), clock.monotonic())
        if self._local is not None:
            users = sum(self.user_counts().values()) if self._assignment.has_rates else self._assignment.user_count
            self._local.start_another_when_needed(self.registry.ready, users)
        self._end_when_alone(clock.monotonic())

    def _end_when_alone(self, now: float) -> None:
        """Stop a run without workers after the orphan timeout: it has no load, and no worker to wait for. Not with
        processes of this machine, whose end is noticed: one that does not respond is busy."""
        if self.registry.ready or self._is_stopping or self._local is not None:
            self._alone_since_s = None
            return
        if self._alone_since_s is None:
            self._alone_since_s = now
        if now - self._alone_since_s > self._orphan_timeout_s:
            self._note(StopRequested(StopReason(StopKind.LOST, "no worker is left")))

    def spawning_complete(self, users: int) -> None:
        self.registry.broadcast(SpawningComplete(users))

    def statistics_reset(self) -> None:
        self.registry.broadcast(StatsReset())

    def _beat(self, collect: bool) -> None:
        self.registry.beat(collect)
        self._fleet_events.heartbeat(self.registry.workers.values())

    def _keep(self) -> None:
        """Send heartbeats also before and after the run, and detect missing workers."""
        while True:
            gevent.sleep(_KEEP_S)
            # Before the run, only these heartbeats request reports, and show which workers are missing.
            if self.registry.heartbeats.is_due(defaults.SNAPSHOT_INTERVAL_S):
                self._beat(collect=not self._has_started)
            if not self._has_started or (self._is_stopping and not self._is_over):
                self._handle(self.registry.look_after(clock.monotonic()))
            if self.listener.handshake_failures and not self._has_warned:
                self._has_warned = True
                logger.warning(
                    "A peer without the right secret tried to connect to %s; refused and counted.",
                    self.listener.endpoint,
                )

    # At the end.
    def stop(self, timeout_s: float) -> None:
        self._is_stopping = True
        self.registry.stop(timeout_s)
        deadline = clock.monotonic() + timeout_s + _ON_STOP_S
        missing_deadline = deadline + self._orphan_timeout_s
        abort_deadline: float | None = None
        while True:
            now = clock.monotonic()
            if self._is_killed and abort_deadline is None:
                abort_deadline = now + _ABORT_S
            if abort_deadline is not None and now > abort_deadline:
                return
            waiting = [worker for worker in self.registry.workers.values() if not worker.complete]
            # A missing worker may only be disconnected; until its own timeout it may return with its statistics.
            missing = [
                worker
                for worker in waiting
                if worker.state is WorkerStatus.MISSING and now - worker.heard_s < self._orphan_timeout_s + _ON_STOP_S
            ]
            present = [worker for worker in waiting if worker.is_present]
            if (not missing or now > missing_deadline) and (not present or now > deadline):
                return
            gevent.sleep(_POLL_S)

    def kill(self) -> None:
        self._is_killed = True
        self.registry.stop(0.0)

    def end(self, exit_code: int = 0) -> None:
        self._health.stop()
        self._is_over = True
        self._fleet_events.report(self.registry.workers.values(), only_kept=True)
        if exit_code == 0:
            self._losses.note_unfinished(self.registry.workers.values(), clock.monotonic(), self._orphan_timeout_s)
        deadline = clock.monotonic() + _END_S
        while self.registry.end(exit_code) and self._local is None and clock.monotonic() < deadline:
            gevent.sleep(_POLL_S)
        if self._local is not None:
            self._local.end(_ON_STOP_S)

    def totals(self) -> GeneratorTotals:
        return GeneratorTotals(self._losses.all(), self.listener.handshake_failures, self.registry.dropped_frames)

    def close(self) -> None:
        self._keeper.kill()
        self.listener.close()
        if self._local is not None:
            self._local.end(0)

    # Messages and events of workers.
    def received(self, peer: bytes, frame: bytes) -> None:
        """Take a frame from a peer."""
        self._handle(self.registry.received(peer, frame))

    def _handle(self, happened: Sequence[events.RegistryEvent]) -> None:
        for event in happened:
            if isinstance(event, events.UsersMove):
                self._is_stale = True
                self.happened.set()
            match event:
                case events.Joined(worker, again=False):
                    self._joined(worker)
                case events.StatisticsMissing(worker):
                    recovered = self._recovered
                    away_s = clock.wall() - recovered.progress.at_wall_s if recovered is not None else 0.0
                    detail = "an earlier master was killed while it could not write its state"
                    self._losses.note_worker(worker, detail, max(clock.monotonic() - worker.stats_s, away_s))
                case events.LoadFailed(_, reason) if self._local is not None:
                    self._note(RunFailed(ObswarmError(reason)))
                case events.LoadFailed(name, reason):
                    logger.error("The worker %s cannot run this load test: %s", name, reason)
                case events.WorkerRefused(worker):
                    unreported_s = clock.monotonic() - worker.stats_s
                    self._losses.note_worker(worker, f"refused: {worker.refused}", unreported_s)
                case events.ProcessesLost(worker, losses):
                    self._losses.note_processes(worker, losses)
                case events.Received(worker, message):
                    self._take_message(worker, message)

    def _joined(self, worker: WorkerState) -> None:
        logger.debug("The worker %s has joined (%.0f requests/s).", worker.name, worker.capacity)
        self._fleet_events.joined(worker)
        if self._local is None:
            logger.info("Worker %s has joined: %s.", worker.name, counted(worker.processes, "process", "processes"))

    def _take_message(self, worker: WorkerState, message: WorkerEvent | Custom | CustomReport) -> None:
        match message:
            case WorkerEvent("error", detail):
                self._note(RunFailed(ObswarmError(detail)))
            case WorkerEvent("internal", detail):
                self._note(RunFailed(InternalError(detail)))
            case WorkerEvent("stop_test", detail):
                self._note(StopRequested(StopReason(StopKind.USER, detail or "a user raised StopTest")))
            case WorkerEvent("quit", detail):
                self._note(StopRequested(StopReason(StopKind.USER, detail)))
            case WorkerEvent("warning", detail):
                self._note(GeneratorWarning(f"The worker {worker.name}: {detail}"))
            case Custom():
                deliver(self.messages, message)
            case CustomReport():
                try:
                    self._fleet_events.take(worker, message)
                except Unreadable as error:
                    self._handle(self.registry.refuse(worker, str(error)))

    def _process_ended(self, incarnation: str, code: int) -> None:
        if self._is_over:
            return
        worker = self.registry.workers.get(incarnation)
        if worker is None:
            text = f"A worker process ended with the exit code {code} before it was ready."
            self._note(RunFailed(ObswarmError(text)))
            return
        if worker.complete:
            return
        if not worker.is_over:
            self._handle(self.registry.lose(worker))
            unreported_s = clock.monotonic() - worker.stats_s
            self._losses.note_worker(worker, f"its process ended with the exit code {code}", unreported_s)
        if not self.registry.ready:
            self._note(StopRequested(StopReason(StopKind.LOST, "no worker process is left")))

    def complete(self, progress: Progress) -> Progress:
        """Return the progress with the values that only the generator has."""
        losses = [[loss.worker, loss.detail, loss.unreported_s, loss.users] for loss in self._losses.of_time]
        return replace(progress, users_max=self.users_max(), losses=losses)

"""A worker process: a LocalGenerator controlled by a master, or by the relay of its machine."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gevent.event import Event

from obswarm import clock, defaults
from obswarm.api import Environment, EventQueue, ObswarmError, serialized
from obswarm.api.feed import set_supply
from obswarm.cluster.cpus import usable_cpus
from obswarm.cluster.job import Job
from obswarm.cluster.reexec import log_other_run, reexec
from obswarm.cluster.wire.bounds import RunBounds
from obswarm.cluster.wire.curve import CurveKeys
from obswarm.cluster.wire.custom_content import NotSendable, deliver, pack_content
from obswarm.cluster.wire.feed_calls import MESSAGE
from obswarm.cluster.wire.messages import (
    MAX_DELTA_BYTES,
    Admitted,
    Assign,
    Custom,
    CustomReport,
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
from obswarm.cluster.wire.transport import new_context
from obswarm.cluster.wire.user_steps import pack_user_steps
from obswarm.cluster.worker.benchmark import requests_per_cpu_second
from obswarm.cluster.worker.connection import MasterConnection, Prepared
from obswarm.cluster.worker.departure import Departure
from obswarm.cluster.worker.feed_supply import RemoteSupply
from obswarm.cluster.worker.identity import Identity, new_identity
from obswarm.cluster.worker.loading import load_job
from obswarm.cluster.worker.runner import WorkerRunner
from obswarm.engine import (
    Assignment,
    GeneratorEvent,
    GeneratorWarning,
    LocalGenerator,
    MessageListeners,
    PartFailed,
    PartRestarted,
    RunFailed,
    StopRequested,
    UncaughtErrors,
    UserScaler,
    plan_iterations,
)
from obswarm.greenlets import described
from obswarm.record import RunState
from obswarm.stats import StatsTable
from obswarm.stats.codec import OutOfBounds, pack_delta, pack_in_flight
from obswarm.units import counted

logger = logging.getLogger(__name__)

_ORPHANS_MAY_FINISH_S = 0.5


class Worker:
    """A worker; `run` blocks until the master ends it, and returns an exit code.

    `share` is the share of this machine's CPUs for this process; `is_child`: its parent process is its master or relay.
    A program that is a worker itself overrides `load`, `speed` and `make_runner`.
    Raises ObswarmError if no master is found, the master refuses the worker, or the load test cannot be loaded.
    """

    def __init__(
        self,
        endpoint: str,
        keys: CurveKeys | None,
        *,
        identity: Identity | None = None,
        share: float = 1.0,
        is_child: bool = False,
        files: list[Path] | None = None,
        give_up_after_s: float = defaults.GIVE_UP_AFTER_S,
        look_up: Callable[[], str] | None = None,
        messages: MessageListeners | None = None,
    ) -> None:
        """`look_up` is that of MasterConnection; `messages` are listeners that there are before the load test."""
        self._identity = identity or new_identity()
        self._share, self._is_child = share, is_child
        self._own_files, self._messages = files, messages
        self.link = MasterConnection(new_context(), endpoint, keys, self._identity, self, give_up_after_s, look_up)
        self.departure = Departure(self.link, self._stop_timeout, self._stop)
        self._environment: Environment | None = None
        self._prepared: Prepared | None = None
        self._generator: LocalGenerator
        self._scaler: UserScaler
        self._bounds: RunBounds
        self._runner: WorkerRunner
        self._feeds: RemoteSupply
        self._settled = 0
        """Number of the last assignment that has been carried out."""
        self._began = self._has_started = self._with_statistics = self._stopping = self._ended = False
        self._heartbeats = EventQueue()
        self._assignment: tuple[int, Assignment] | None = None
        """The last one, and its number."""
        self._nudge = Event()
        """Set when there is a new assignment."""
        self._stop_timeout_s = 0.0

    def run(self) -> int:
        try:
            with (
                self.departure.at_signals(),
                UncaughtErrors(lambda: self._environment, self.departure.leave) as uncaught,
            ):
                code: int = uncaught.run(self.link.run)
        finally:
            if self._environment is not None and not self._ended:
                self._generator.stop(0)
            self.link.clean_up()
        if (environment := self._environment) is not None:
            environment.events.quitting.fire(environment=environment, reverse=True)
            code = code if environment.process_exit_code is None else environment.process_exit_code
            environment.events.quit.fire(exit_code=code)
            self._runner.close()
        return code

    # ConnectionListener.
    def prepare(self, welcome: Welcome, folder: Path | None) -> Prepared:
        if self._prepared is None:
            job = Job.unpack(welcome.job)
            cpus = min(1.0, usable_cpus() * self._share)
            environment = self._environment = self._join(job, welcome.run_id, folder, cpus)
            capacity = self.speed(environment) * cpus
            self._generator.start()
            self._prepared = Prepared(capacity, cpus, (self._identity.name,))
            self.link.supervisor.spawn("The worker's spawning of users", self._follow)
            self.link.supervisor.spawn("The worker's reports of events", self._report_events)
            text = f"Ready: measured capacity {capacity:.0f} requests/s, on {cpus:.2g} CPU{'s' * (cpus != 1)}."
            logger.log(logging.DEBUG if self._is_child else logging.INFO, text)
        return self._prepared

    def load(self, job: Job, folder: Path | None) -> Environment:
        """Return the environment of a job's run. Raises ObswarmError."""
        environment = load_job(job, folder, self._own_files)
        logging.getLogger().setLevel(job.config.outputs.loglevel.upper())
        return environment

    def speed(self, environment: Environment) -> float:
        """Return the requests per second of CPU time that this process can make."""
        return requests_per_cpu_second(environment.user_classes)

    def make_runner(self, environment: Environment, generator: LocalGenerator, scaler: UserScaler) -> WorkerRunner:
        """Return the `environment.runner` of this process."""
        return WorkerRunner(
            environment,
            generator.messages,
            self._identity.name,
            self.link.send,
            generator.user_counts,
            lambda: scaler.wanted,
            generator,
        )

    def _join(self, job: Job, run_id: str, folder: Path | None, cpus: float) -> Environment:
        environment = self.load(job, folder)
        generator = self._generator = LocalGenerator(
            environment, name=self._identity.name, cpus=cpus, messages=self._messages
        )
        names = list(environment.user_classes_by_name)
        scaler = self._scaler = UserScaler(names)
        self._bounds = RunBounds.of(job.config.load.max_endpoints, names)
        self._runner = self.make_runner(environment, generator, scaler)
        self._feeds = RemoteSupply(self._runner.send_message, self.stop_test, self.link.supervisor)
        generator.messages.register(MESSAGE, self._feeds.received, False)
        set_supply(self._feeds)
        generator.limit_iterations(plan_iterations(environment.user_classes, job.config.load.iterations), self._feeds)
        environment.join_run(run_id, self, self._runner)
        environment.stats.attach_recorder(environment.recorder)
        return environment

    def assigned_users(self) -> dict[str, int]:
        return dict(self._scaler.assigned)

    def on_heartbeat(self) -> None:
        now = self._runner.last_heartbeat_timestamp = clock.wall()
        received = self._runner.environment.events.heartbeat_received
        self._heartbeats.put(received, client_id=self._identity.name, timestamp=now)

    def collect(self, heartbeat: int) -> None:
        environment = self._environment
        if environment is None:
            return
        generator, now = self._generator, clock.monotonic()
        data = self._report_data(environment)
        health = generator.measure_health()
        in_flight = pack_in_flight(generator.in_flight(now))
        user_steps = pack_user_steps(generator.user_steps(now))
        # Last, since a collected table must get to the unacknowledged deltas.
        delta, table = None, StatsTable()
        if not self.link.unacked.is_full:
            table = generator.collect()
            delta = None if table.is_empty() else pack_delta(table, self._identity.name, MAX_DELTA_BYTES)
        if data is not None:
            self._send_report_data(data, table)
        left_over = self._ended and self.link.unacked.is_full
        self.link.report(
            lambda sequence, packed, last: Report(
                heartbeat=heartbeat,
                sequence=sequence,
                delta=packed,
                in_flight=in_flight,
                user_steps=user_steps,
                users=generator.user_counts(),
                settled=self._settled,
                cpu_ratio=health.cpu_ratio,
                loop_lag_s=health.loop_lag_s,
                memory_bytes=health.memory_bytes,
                saturated=health.saturated,
                strained_s=round(generator.strained_s),
                last_sequence=last,
                ended=self._ended and not left_over,
            ),
            delta,
        )

    def _report_data(self, environment: Environment) -> dict[str, Any] | None:
        """Return the data of `report_to_master`, after its listeners; None if nobody listens for reports, or it cannot
        be sent."""
        events = environment.events
        if not (self._with_statistics or events.report_to_master.listeners or events.worker_report.listeners):
            return None
        data = self._generator.report_data(environment.recorder.current)
        events.report_to_master.fire(client_id=self._identity.name, data=data)
        try:
            pack_content(data)
        except NotSendable as error:
            environment.report_exception(f"report_to_master: {error}", lambda: "its data cannot be sent")
            return None
        return data

    def _send_report_data(self, data: dict[str, Any], table: StatsTable) -> None:
        # Requests may have been counted while the listeners ran.
        data.update(serialized(table))
        try:
            self.link.send(CustomReport(self._identity.name, pack_content(data)))
        except NotSendable as error:
            logger.error("The data of report_to_master cannot be sent with the statistics: %s.", error)

    def on_message(self, message: Message) -> None:
        environment = self._environment
        if environment is None:
            return
        match message:
            case Admitted():
                self._admitted(message.index)
            case StartRun() if not self._began:
                self._began = True
                self._with_statistics = message.with_statistics
                self.link.supervisor.spawn("The event test_start", self._fire_test_start)
            case Assign():
                self._assigned(message)
            case Stop():
                environment.recorder.end_load()
                self._generator.stop_iterations()
                self._stop(message.timeout_s)
            case StopUsers():
                self.on_orphaned()
            case SpawningComplete():
                environment.events.spawning_complete.fire(user_count=message.user_count)
            case StatsReset():
                environment.events.reset_stats.fire()
            case Custom():
                deliver(self._generator.messages, message)

    def _fire_test_start(self) -> None:
        """Fire test_start, and start users after its listeners, as in a process without a master."""
        environment = self._runner.environment
        environment.events.test_start.fire(environment=environment)
        self._generator.messages.started()
        self._has_started = True
        self._runner.state = "spawning"
        self._apply_assignment()

    def _assigned(self, message: Assign) -> None:
        try:
            self._assignment = message.number, self._bounds.checked_assignment(message, clock.monotonic())
        except OutOfBounds as error:
            self.link.refuse_assignment(error)
        else:
            if self._has_started:
                self._apply_assignment()

    def _apply_assignment(self) -> None:
        if self._assignment is None or self._stopping:
            return
        self._scaler.assign(*self._assignment, clock.monotonic())
        self._settled = min(self._settled, self._scaler.settled)
        self._nudge.set()

    def _admitted(self, index: int) -> None:
        self._generator.set_index(index)
        if self._runner.admitted(index):
            environment = self._runner.environment
            environment.events.init.fire(environment=environment, runner=self._runner, web_ui=None)

    def on_orphaned(self) -> None:
        if self._environment is None:
            return
        self._assignment = None
        users = sum(self._generator.user_counts().values())
        self._scaler.forget()
        self._generator.stop_iterations()
        if users:
            logger.error("No contact with the master for too long: stopping %s.", counted(users, "user"))
            timeout_s = min(self._environment.stop_timeout, _ORPHANS_MAY_FINISH_S)
            self.link.supervisor.spawn("The end of a worker's users", self._generator.stop, timeout_s)

    def on_other_run(self) -> None:
        """Re-execute this process: after one load test, another one cannot be loaded cleanly."""
        log_other_run(len(self.link.unacked))
        if self._environment is not None:
            self._generator.stop(0)
        self.link.clean_up()
        reexec()

    # Events of this process.
    def _follow(self) -> None:
        """Start and stop users as assigned by the master."""
        generator, scaler = self._generator, self._scaler
        while True:
            now = clock.monotonic()
            assignment = scaler.step(now)
            settled = scaler.settled
            if not self._stopping:
                # While stopping, `_end_users` stops the users, after the listeners of test_stopping.
                generator.apply(assignment, now)
            # Carried out when the users that were to be stopped have ended as well.
            self._settled = min(settled if generator.has_settled() else self._settled, scaler.settled)
            if self._settled and self._runner.state == "spawning":
                self._runner.state = RunState.RUNNING
            if self._nudge.wait(assignment.wait_s):
                self._nudge.clear()

    def _report_events(self) -> None:
        """Report events of the generator; separate from `_follow`, which the constructor of a user may block."""
        while True:
            self._generator.happened.wait()
            for event in self._generator.take_events():
                self._report_event(event)

    def _report_event(self, event: GeneratorEvent) -> None:
        match event:
            case StopRequested(reason):
                self.stop_test(reason.detail)
            case RunFailed(error):
                self.fail(error)
            case GeneratorWarning(text):
                self.link.send(WorkerEvent("warning", text))
            case PartFailed(name, raised):
                self.link.part_failed(name, raised)
            case PartRestarted(name, raised):
                logger.warning("%s failed and was restarted: %s.", name, described(raised))

    def _stop_timeout(self) -> float | None:
        return self._environment.stop_timeout if self._environment is not None else None

    def _stop(self, timeout_s: float) -> None:
        if self._stopping:
            if timeout_s < self._stop_timeout_s:
                self._stop_timeout_s = timeout_s
                self._generator.kill()
            return
        self._stopping = True
        self._stop_timeout_s = timeout_s
        self.link.supervisor.spawn("The end of a worker's users", self._end_users, timeout_s)

    def _end_users(self, timeout_s: float) -> None:
        environment = self._runner.environment
        self._scaler.forget()
        environment.events.test_stopping.fire(environment=environment)
        self._runner.state = RunState.STOPPING
        self._generator.stop(timeout_s)
        self._runner.state = RunState.STOPPED
        environment.events.test_stop.fire(environment=environment)
        self._feeds.report_used()
        self._generator.end()
        self._ended = True
        self.collect(0)

    # RunSteering: requests to the master.
    def fail(self, error: ObswarmError) -> None:
        self.link.send(WorkerEvent("error", str(error)))

    def stop_test(self, detail: str = "a user raised StopTest") -> None:
        self.link.send(WorkerEvent("stop_test", detail))

"""A worker process: a LocalGenerator controlled by a master, or by the relay of its machine."""

import argparse
import logging
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from gevent.event import Event

from obswarm import clock, defaults
from obswarm.api import Environment, ObswarmError, events, make_parser, remember_secrets
from obswarm.api.tracing import TraceSampler
from obswarm.cluster.cpus import usable_cpus
from obswarm.cluster.job import Job
from obswarm.cluster.reexec import reexec, tell_of_other_run
from obswarm.cluster.wire.bounds import RunBounds
from obswarm.cluster.wire.curve import CurveKeys
from obswarm.cluster.wire.custom_content import NotSendable, deliver, pack_content
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
from obswarm.cluster.worker.connection import Identity, MasterConnection, Prepared
from obswarm.cluster.worker.departure import Departure
from obswarm.cluster.worker.runner import WorkerRunner
from obswarm.engine import (
    Assignment,
    GeneratorEvent,
    GeneratorWarning,
    LocalGenerator,
    PartFailed,
    PartRestarted,
    RunFailed,
    StopRequested,
    UncaughtErrors,
    UserScaler,
    add_folder,
    load,
    select,
)
from obswarm.greenlets import described
from obswarm.sanitize import clean_text
from obswarm.stats import Recorder
from obswarm.stats.codec import OutOfBounds, pack_delta, pack_in_flight
from obswarm.units import counted

logger = logging.getLogger(__name__)

_HOST_NAME_LENGTH = 200
_ORPHANS_MAY_FINISH_S = 0.5


def new_identity(processes: int = 1, file_hash: str = "") -> Identity:
    """Return the identity of a new worker; its name is that of the machine with a few random characters."""
    incarnation = secrets.token_hex(16)
    machine = clean_text(socket.gethostname(), _HOST_NAME_LENGTH)
    return Identity(incarnation, f"{machine}_{incarnation[:8]}", processes, file_hash)


class Worker:
    """A worker; `run` blocks until the master ends it, and returns an exit code.

    `share` is the share of this machine's CPUs for this process; `is_child`: its parent process is its master or relay.
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
    ) -> None:
        """`look_up` is that of MasterConnection."""
        self._identity = identity or new_identity()
        self._share = share
        self._is_child = is_child
        self._own_files = files
        self.link = MasterConnection(new_context(), endpoint, keys, self._identity, self, give_up_after_s, look_up)
        self.departure = Departure(self.link, self._stop_timeout, self._stop)
        self._environment: Environment | None = None
        self._prepared: Prepared | None = None
        self._generator: LocalGenerator
        self._scaler: UserScaler
        self._bounds: RunBounds
        self._runner: WorkerRunner
        self._settled = 0
        """Number of the last assignment that has been carried out."""
        self._began = self._has_started = False
        self._assignment: tuple[int, Assignment] | None = None
        """The last one, and its number."""
        self._nudge = Event()
        """Set when there is a new assignment."""
        self._stopping = False
        self._ended = False
        self._stop_timeout_s = 0.0

    def run(self) -> int:
        leave = self.departure.leave
        try:
            with self.departure.at_signals(), UncaughtErrors(lambda: self._environment, leave) as uncaught:
                code: int = uncaught.run(self.link.run)
        finally:
            if self._environment is not None and not self._ended:
                self._generator.stop(0)
            self.link.clean_up()
        environment = self._environment
        if environment is not None:
            events.quitting.fire(environment=environment, reverse=True)
            code = code if environment.process_exit_code is None else environment.process_exit_code
            events.quit.fire(exit_code=code)
        return code

    # ConnectionListener.
    def prepare(self, welcome: Welcome, folder: Path | None) -> Prepared:
        if self._prepared is None:
            job = Job.unpack(welcome.job)
            cpus = min(1.0, usable_cpus() * self._share)
            self._environment = self._load(job, folder, cpus)
            self._environment.run_id = welcome.run_id
            logging.getLogger().setLevel(job.loglevel)
            capacity = requests_per_cpu_second(self._environment.user_classes) * cpus
            self._generator.start()
            self._prepared = Prepared(capacity, cpus, (self._identity.name,))
            self.link.supervisor.spawn("The worker's spawning of users", self._follow)
            self.link.supervisor.spawn("The worker's reports of events", self._report_events)
            level = logging.DEBUG if self._is_child else logging.INFO
            logger.log(
                level,
                "Ready: measured capacity %.0f requests/s, on %.2g CPU%s.",
                capacity,
                cpus,
                "s" * (cpus != 1),
            )
        return self._prepared

    def _load(self, job: Job, folder: Path | None, cpus: float) -> Environment:
        root = folder if folder is not None else Path(job.root)
        paths = [root / file for file in job.files]
        if self._own_files:
            paths = self._own_files
        elif folder is not None:
            # Load tests open data files by paths relative to the folder in which the master was started.
            os.chdir(root)
            add_folder(root)
        loadtest = load(paths, locust_names=job.locust_names)
        classes = select(loadtest.chosen(job.user_classes), job.tags, job.exclude_tags)
        if job.host:
            for cls in classes:
                cls.host = job.host
        parser = make_parser(events, loadtest.name)
        custom = parser.parse_args([])
        remember_secrets(parser, {**vars(custom), **job.options})
        environment = Environment(
            events=events,
            recorder=Recorder(job.max_endpoints, detailed_timings=job.detailed_timings),
            user_classes=list(classes),
            host=job.host,
            stop_timeout=job.stop_timeout_s,
            parsed_options=argparse.Namespace(**{**vars(custom), **job.options}),
            locustfile=loadtest.name,
            tags=list(job.tags) or None,
            exclude_tags=list(job.exclude_tags) or None,
            trace_sampler=TraceSampler(job.trace_share) if job.trace_share else None,
        )
        generator = self._generator = LocalGenerator(environment, name=self._identity.name, cpus=cpus)
        names = [cls.__name__ for cls in classes]
        scaler = self._scaler = UserScaler(names)
        self._bounds = RunBounds.of(job.max_endpoints, names)
        self._runner = WorkerRunner(
            environment,
            generator.messages,
            self._identity.name,
            self.link.send,
            generator.user_counts,
            lambda: scaler.wanted,
        )
        environment.join_run(self, self._runner)
        return environment

    def assigned_users(self) -> dict[str, int]:
        return dict(self._scaler.assigned)

    def collect(self, pulse: int) -> None:
        environment = self._environment
        if environment is None:
            return
        generator, now = self._generator, clock.monotonic()
        self._send_report_data()
        health = generator.measure_health()
        counts = generator.user_counts()
        in_flight = pack_in_flight(generator.in_flight(now))
        user_steps = pack_user_steps(generator.user_steps(now))
        # Last, since a collected table must get to the unacknowledged deltas.
        delta = None
        if not self.link.unacked.is_full:
            table = generator.collect()
            delta = None if table.is_empty() else pack_delta(table, self._identity.name, MAX_DELTA_BYTES)
        left_over = self._ended and self.link.unacked.is_full
        self.link.report(
            lambda sequence, packed, last: Report(
                pulse=pulse,
                sequence=sequence,
                delta=packed,
                in_flight=in_flight,
                user_steps=user_steps,
                users=counts,
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

    def _send_report_data(self) -> None:
        if not events.report_to_master.listeners:
            return
        data = self._generator.report_data()
        events.report_to_master.fire(client_id=self._identity.name, data=data)
        try:
            self.link.send(CustomReport(self._identity.name, pack_content(data)))
        except NotSendable as error:
            assert self._environment is not None
            self._environment.report_exception(f"report_to_master: {error}", lambda: "its data cannot be sent")

    def on_message(self, message: Message) -> None:
        environment = self._environment
        if environment is None:
            return
        match message:
            case Admitted():
                self._admitted(message.index)
            case StartRun() if not self._began:
                self._began = True
                self._runner.state = "running"
                self.link.supervisor.spawn("The event test_start", self._fire_test_start)
            case Assign():
                self._assigned(message)
            case Stop():
                environment.recorder.end_load()
                self._stop(message.timeout_s)
            case StopUsers():
                self.on_orphaned()
            case SpawningComplete():
                events.spawning_complete.fire(user_count=message.user_count)
            case StatsReset():
                events.reset_stats.fire()
            case Custom():
                deliver(self._generator.messages, message)

    def _fire_test_start(self) -> None:
        """Fire test_start, and start users after its listeners, as in a process without a master."""
        events.test_start.fire(environment=self._environment)
        self._generator.messages.started()
        self._has_started = True
        self._apply_assignment()

    def _assigned(self, message: Assign) -> None:
        try:
            self._assignment = message.number, self._bounds.checked_assignment(message)
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
        first = self._runner.worker_index < 0
        self._runner.worker_index = index
        if first:
            events.init.fire(environment=self._environment, runner=self._runner, web_ui=None)

    def on_orphaned(self) -> None:
        if self._environment is None:
            return
        self._assignment = None
        users = sum(self._generator.user_counts().values())
        self._scaler.forget()
        if users:
            logger.error("No contact with the master for too long: stopping %s.", counted(users, "user"))
            timeout_s = min(self._environment.stop_timeout, _ORPHANS_MAY_FINISH_S)
            self.link.supervisor.spawn("The end of a worker's users", self._generator.stop, timeout_s)

    def on_other_run(self) -> None:
        """Re-execute this process: after one load test, another one cannot be loaded cleanly."""
        tell_of_other_run(len(self.link.unacked))
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
            self._settled = min(settled, scaler.settled)
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
        self._runner.state = "stopping"
        self.link.supervisor.spawn("The end of a worker's users", self._end_users, timeout_s)

    def _end_users(self, timeout_s: float) -> None:
        environment = self._environment
        self._scaler.forget()
        events.test_stopping.fire(environment=environment)
        self._generator.stop(timeout_s)
        events.test_stop.fire(environment=environment)
        self._runner.state = "stopped"
        self._generator.end()
        self._ended = True
        self.collect(0)

    # RunSteering: requests to the master.
    def fail(self, error: ObswarmError) -> None:
        self.link.send(WorkerEvent("error", str(error)))

    def stop_test(self, detail: str = "a user raised StopTest") -> None:
        self.link.send(WorkerEvent("stop_test", detail))

"""Runners of programs that make runs in their own process: alone, or as the master of workers."""

import logging
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import gevent
from gevent.event import Event

from obswarm import clock
from obswarm.api import Environment, ObswarmError, User
from obswarm.cluster import (
    CurveKeys,
    FleetGenerator,
    Job,
    MasterRunner,
    RunSpec,
    derive_keys,
    is_loopback,
    plain_options,
    read_secret,
    tcp_endpoint,
)
from obswarm.config import RunConfig
from obswarm.engine import (
    ClosedExecutor,
    LoadGenerator,
    LoadSchedule,
    LocalGenerator,
    LocalRunner,
    MessageListeners,
    Output,
    Outputs,
    PresentRun,
    Ramp,
    Run,
    RunResult,
    ShapeSchedule,
    SteeringRunner,
    new_run_id,
    select,
)
from obswarm.greenlets import Supervisor
from obswarm.locust.library_worker import MASTER_QUITS

logger = logging.getLogger(__name__)

_BIND_AGAIN_S = 0.1
_BIND_TRIES = 30
_LOOK_S = 0.02
_NO_RUN = 1
"""Exit code for workers that never started: nothing of them can be lost."""

_WORKERS_ARE_BACK_S = 10.0
"""Longest wait for the workers of the last run; they usually need half a second."""


@runtime_checkable
class RunPage(Protocol):
    """A page that shows runs and controls them, as `environment.web_ui`."""

    def outputs(self) -> list[Output]: ...

    def began(self, run: Run) -> None: ...

    def ended(self, result: RunResult) -> None: ...


class _ProgramRunner(SteeringRunner):
    """Makes one run after the other. Subclasses say where the users are."""

    _run: PresentRun
    result: RunResult | None = None
    """Result of the last run that has ended."""
    shape_greenlet: gevent.Greenlet | None = None
    """The run that follows the environment's shape, if there is one."""
    _present: gevent.Greenlet | None = None
    """The run that goes on, or the last one."""
    _page: RunPage | None = None
    """That of the run, None without one."""

    def start(
        self, user_count: int, spawn_rate: float, wait: bool = False, user_classes: Sequence[type[User]] | None = None
    ) -> None:
        """Begin a run with that many users, or head for that many in the run that goes on. With `wait`, return when
        they are there. `user_classes` are those of the users; None: all of the environment. Raises ObswarmError for
        one that the environment does not have."""
        if self._run.run is None:
            self._begin(Ramp(user_count, spawn_rate))
            if user_classes is None and not wait:
                return
        super().start(user_count, spawn_rate, wait, user_classes)

    def start_shape(self) -> None:
        """Begin a run that follows the environment's `shape_class`, an instance. Raises ObswarmError without one."""
        shape = self.environment.shape_class
        if shape is None:
            raise ObswarmError("The environment has no shape_class to follow.")
        if self._run.run is None:
            self.shape_greenlet = self._begin(ShapeSchedule(shape, self.environment.user_classes))

    def close(self) -> None:
        """The end of a run is not that of the runner, which the greenlet of the run belongs to."""

    def stop(self) -> None:
        """End the run, if there is one, and wait until its users have ended; `start` begins another one."""
        super().stop()
        if self._present is not None and gevent.getcurrent() not in self.greenlet:
            self._present.join()

    def _generator(self) -> LoadGenerator:
        """Return the generator of the next run."""
        raise NotImplementedError

    def _ended(self) -> None:
        """Called after a run."""

    def _begin(self, schedule: LoadSchedule) -> gevent.Greenlet:
        environment = self.environment
        classes = select(environment.user_classes, environment.tags or (), environment.exclude_tags or ())
        if environment.host:
            for cls in classes:
                cls.host = environment.host
        # Listeners may have been registered before.
        generator = self._generator()
        page: Any = environment.web_ui
        self._page = page if isinstance(page, RunPage) else None
        run = Run(
            environment,
            ClosedExecutor(schedule, classes),
            generator,
            test=environment.locustfile or "library",
            outputs=Outputs(() if self._page is None else self._page.outputs()),
        )
        # Listeners and users see this runner, whichever run it makes.
        environment.runner = self
        self._run.began(run)
        if self._page is not None:
            self._page.began(run)
        greenlet = self._present = Supervisor().spawn("The run of a program", self._make, run)
        self.greenlet.add(greenlet)
        return greenlet

    def _make(self, run: Run) -> None:
        try:
            self.result = run.run()
            if self._page is not None:
                self._page.ended(self.result)
        finally:
            run.close()
            try:
                # A runner that quits meanwhile does so after it.
                self._ended()
            finally:
                self._run.ended(run.latest())


class LibraryRunner(_ProgramRunner, LocalRunner):
    """Makes one run after the other, with users in this process."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(PresentRun(), environment, MessageListeners(environment))
        environment.runner = self

    def _generator(self) -> LoadGenerator:
        generator = LocalGenerator(self.environment, messages=self._messages)
        self._users = generator
        return generator


class _Fleet(FleetGenerator):
    """The workers of a program's run, which join for the next one after it."""

    workers_at_the_end = 0
    has_dismissed_workers = False
    """Whether the workers have been told that there is no further run."""
    _is_the_last_run = False

    def be_the_last(self) -> None:
        """Have the workers end with this run."""
        self._is_the_last_run = True

    def end(self, exit_code: int = 0) -> None:
        self.workers_at_the_end = len(self.registry.ready)
        if self._is_the_last_run:
            self.has_dismissed_workers = True
            self.registry.broadcast(MASTER_QUITS)
            # A worker of the last run may be about to join for another one.
            self.registry.dismiss_joining(MASTER_QUITS, exit_code)
        super().end(exit_code)
        # At once, so that no worker joins for the run that is over.
        super().close()

    def close(self) -> None:
        """Already closed by `end`."""


class LibraryMaster(_ProgramRunner, MasterRunner):
    """Makes one run after the other, with users in workers, which join before `start`."""

    def __init__(self, environment: Environment, host: str, port: int) -> None:
        """Raises ObswarmError if the address cannot be listened on, or needs a secret."""
        self._endpoint, self._keys = _endpoint(host, port)
        self._quit = Event()
        self._has_quit = Event()
        self._workers_before = 0
        """Number of workers of the last run."""
        listeners = MessageListeners(environment)
        self._fleet = _new_fleet(environment, self._endpoint, self._keys, listeners)
        super().__init__(PresentRun(), environment, listeners, self._fleet.registry)
        environment.runner = self
        # As in Locust, `runner.greenlet.join()` waits for `quit`, not for the end of a run.
        self.greenlet.add(Supervisor().spawn("The end of a program's master", self._has_quit.wait))

    def start(
        self, user_count: int, spawn_rate: float, wait: bool = False, user_classes: Sequence[type[User]] | None = None
    ) -> None:
        """As `LibraryRunner.start`. Without a worker, a warning and nothing else."""
        if self._run.run is None and not self._is_reachable():
            return
        super().start(user_count, spawn_rate, wait, user_classes)

    def start_shape(self) -> None:
        """As `LibraryRunner.start_shape`. Without a worker, a warning and nothing else."""
        if self._run.run is not None or self._is_reachable():
            super().start_shape()

    def quit(self) -> None:
        """End the run, the workers and this runner, without waiting for it: `runner.greenlet.join()` does."""
        if not self._quit.is_set():
            self._quit.set()
            self._fleet.be_the_last()
            if self._run.run is None:
                self.greenlet.add(Supervisor().spawn("The end of a master without a run", self._end_idle))
        super().quit()

    def _generator(self) -> LoadGenerator:
        return self._fleet

    def _ended(self) -> None:
        if self._fleet.has_dismissed_workers:
            self._has_quit.set()
            return
        # Also if a listener of test_stop has quit: the workers have ended the run by then, and join for another one.
        self._workers_before = self._fleet.workers_at_the_end
        self._fleet = _new_fleet(self.environment, self._endpoint, self._keys, self._messages, _BIND_TRIES)
        self._registry = self._fleet.registry
        if self._quit.is_set():
            self._end_idle()

    def stop(self) -> None:
        """End the run, if there is one, and wait until its users have ended and its workers have joined for another."""
        is_last = self._quit.is_set()
        super().stop()
        if not is_last:
            self._wait_for_workers()

    def _wait_for_workers(self) -> None:
        gone_s = clock.monotonic() + _WORKERS_ARE_BACK_S
        while self.worker_count < self._workers_before and clock.monotonic() < gone_s:
            gevent.sleep(_LOOK_S)

    def _is_reachable(self) -> bool:
        self._wait_for_workers()
        if not self.worker_count:
            logger.warning("A run needs workers: start it when runner.worker_count is at least 1.")
        return bool(self.worker_count)

    def _end_idle(self) -> None:
        self._wait_for_workers()
        self._fleet.be_the_last()
        self._fleet.end(_NO_RUN)
        self._has_quit.set()


def _endpoint(host: str, port: int) -> tuple[str, CurveKeys | None]:
    """Return where a master listens, and its keys. All interfaces are those of this machine alone without a secret.
    Raises ObswarmError for an address that other machines reach, without a secret."""
    secret, _ = read_secret(None)
    address = host
    if host in ("", "*"):
        address = "0.0.0.0" if secret is not None else "127.0.0.1"
    if secret is None and not is_loopback(address):
        raise ObswarmError(
            f"create_master_runner({host!r}): other machines can reach that address, and there is no secret: any"
            " program that connects could act as a worker. Set OBSWARM_SECRET to the same text on master and workers."
        )
    return tcp_endpoint(address, port), derive_keys(secret) if secret is not None else None


def _new_fleet(
    environment: Environment, endpoint: str, keys: CurveKeys | None, listeners: MessageListeners, tries: int = 1
) -> _Fleet:
    """Listen for the workers of the next run. Raises ObswarmError."""
    options = environment.parsed_options
    config = RunConfig().replaced(
        {
            "host": environment.host,
            "tags": tuple(environment.tags or ()),
            "exclude_tags": tuple(environment.exclude_tags or ()),
            "stop_timeout": float(environment.stop_timeout or 0),
        }
    )
    names = tuple(cls.__name__ for cls in environment.user_classes)
    job = Job(files=(), root="", user_classes=names, options=plain_options(options), config=config)
    for left in reversed(range(tries)):
        spec = RunSpec(new_run_id(clock.wall()), job.pack(), None, "")
        try:
            return _Fleet(environment, spec, endpoint=endpoint, keys=keys, messages=listeners)
        except ObswarmError:
            # The run that has just ended may not have released the port yet.
            if not left:
                raise
            gevent.sleep(_BIND_AGAIN_S)
    raise AssertionError("unreachable")

"""`locust.env`: the environment of a run, also of one that a program makes itself, without the command."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

import gevent
from gevent.pool import Group

from obswarm import api
from obswarm.api import Events, LoadTestShape, ObswarmError, User
from obswarm.engine import (
    ClosedExecutor,
    LoadSchedule,
    LocalGenerator,
    LocalRunner,
    MessageListeners,
    Ramp,
    Run,
    RunResult,
    ShapeSchedule,
    StopReason,
    select,
)
from obswarm.greenlets import Supervisor
from obswarm.locust.exception import RunnerAlreadyExistsError
from obswarm.locust.stand_in import StandIn
from obswarm.record import RunState, Snapshot
from obswarm.stats import Recorder

__all__ = ["Environment", "LibraryRunner"]


class Environment(api.Environment, metaclass=StandIn):
    """An environment with the arguments that Locust's has, for programs that make runs in their own process."""

    stands_for = api.Environment

    def __init__(
        self,
        *,
        user_classes: Sequence[type[User]] | None = None,
        shape_class: LoadTestShape | None = None,
        tags: Sequence[str] | None = None,
        locustfile: str | None = None,
        exclude_tags: Sequence[str] | None = None,
        events: Events | None = None,
        host: str | None = None,
        reset_stats: bool = False,
        stop_timeout: float | None = None,
        catch_exceptions: bool = True,
        parsed_options: Namespace | None = None,
    ) -> None:
        super().__init__(
            events=events if events is not None else Events(),
            recorder=Recorder(),
            user_classes=list(user_classes or []),
            shape_class=shape_class,
            host=host,
            stop_timeout=stop_timeout or 0,
            parsed_options=parsed_options,
            catch_exceptions=catch_exceptions,
            locustfile=locustfile,
            tags=list(tags) if tags is not None else None,
            exclude_tags=list(exclude_tags) if exclude_tags is not None else None,
            reset_stats=reset_stats,
        )

    def create_local_runner(self) -> "LibraryRunner":
        """Return the runner of a load test in this process; `runner.start(users, spawn_rate)` begins it.

        Raises RunnerAlreadyExistsError when there is one.
        """
        if self.runner is not None:
            raise RunnerAlreadyExistsError(f"Environment.runner already exists ({self.runner})")
        return LibraryRunner(self)

    def create_master_runner(self, *_: Any, **__: Any) -> Any:
        """Not possible in a program of one's own. Raises ObswarmError."""
        raise ObswarmError("A master is a command: obswarm master locustfile.py; its runs have a MasterRunner.")

    def create_worker_runner(self, *_: Any, **__: Any) -> Any:
        """Not possible in a program of one's own. Raises ObswarmError."""
        raise ObswarmError("A worker is a command: obswarm worker --master HOST; its runs have a WorkerRunner.")

    def create_web_ui(self, *_: Any, **__: Any) -> Any:
        """Not possible: there is no web page. Raises ObswarmError."""
        raise ObswarmError("obswarm has no web page yet; `obswarm run` serves /metrics, for Prometheus.")


class LibraryRunner(LocalRunner):
    """Makes one run after the other, with users in this process."""

    def __init__(self, environment: Environment) -> None:
        self._control = _Control()
        super().__init__(self._control, environment, MessageListeners(environment))
        self.greenlet = Group()
        """The run: `runner.greenlet.join()` waits for its end."""
        self.result: RunResult | None = None
        """Of the last run that has ended."""
        environment.runner = self

    def start(
        self, user_count: int, spawn_rate: float, wait: bool = False, user_classes: Sequence[type[User]] | None = None
    ) -> None:
        """Begin a run with that many users, or head for that many in the run that goes on. With `wait`, return when
        they are there. `user_classes` are those of the run: of a new one only."""
        if self._control.run is not None:
            super().start(user_count, spawn_rate)
        else:
            self._begin(Ramp(user_count, spawn_rate), user_classes)
        while wait and self._control.run is not None and self.user_count < user_count:
            gevent.sleep(0.02)

    def start_shape(self) -> None:
        """Begin a run that follows the environment's `shape_class`, an instance. Raises ObswarmError without one."""
        shape = self.environment.shape_class
        if shape is None:
            raise ObswarmError("The environment has no shape_class to follow.")
        self._begin(ShapeSchedule(shape, self.environment.user_classes), None)

    def stop(self) -> None:
        """End the run, if there is one, and wait until its users have ended; `start` begins another one."""
        super().stop()
        if gevent.getcurrent() not in self.greenlet:
            self.greenlet.join()

    def _begin(self, schedule: LoadSchedule, user_classes: Sequence[type[User]] | None) -> None:
        environment = self.environment
        chosen = user_classes if user_classes is not None else environment.user_classes
        classes = select(chosen, environment.tags or (), environment.exclude_tags or ())
        environment.user_classes = list(classes)
        # Listeners may have been registered before.
        generator = LocalGenerator(environment, messages=self._messages)
        run = Run(environment, ClosedExecutor(schedule, classes), generator, test=environment.locustfile or "library")
        # Listeners and users see this runner, whichever run it makes.
        environment.runner = self
        self._control.run = run
        self.greenlet.add(Supervisor().spawn("The run of a program", self._make, run))

    def _make(self, run: Run) -> None:
        try:
            self.result = run.run()
        finally:
            run.close()
            self._control.ended(run)


class _Control:
    """The run that goes on now, as a RunnerControl; without one, what there was of the last one."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self._last: Snapshot | None = None

    def ended(self, run: Run) -> None:
        self._last = run.latest()
        self.run = None

    @property
    def state(self) -> RunState:
        if self.run is not None:
            return self.run.state
        return RunState.READY if self._last is None else RunState.STOPPED

    def user_counts(self) -> Mapping[str, int]:
        return self.run.user_counts() if self.run is not None else {}

    def user_targets(self) -> Mapping[str, int]:
        return self.run.user_targets() if self.run is not None else {}

    def latest(self) -> Snapshot:
        if self.run is not None:
            return self.run.latest()
        if self._last is None:
            raise ObswarmError("No run has been started.")
        return self._last

    def set_load(self, users: int, spawn_rate: float) -> None:
        if self.run is not None:
            self.run.set_load(users, spawn_rate)

    def stop(self, reason: StopReason) -> None:
        if self.run is not None:
            self.run.stop(reason)

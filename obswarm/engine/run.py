"""Run: one run from `test_start` to the last snapshot, with users in this process or on workers; a RunControl."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import gevent
from gevent.event import Event

from obswarm import clock, defaults
from obswarm.api import Environment, InternalError, ObswarmError, StopTest
from obswarm.engine.control import RunObserver, StopReason
from obswarm.engine.driver import LoadDriver
from obswarm.engine.emitter import SnapshotEmitter
from obswarm.engine.executor import Executor
from obswarm.engine.generator import (
    GeneratorWarning,
    LoadGenerator,
    PartFailed,
    PartRestarted,
    RunFailed,
    StopRequested,
)
from obswarm.engine.iteration_limit import IterationCount
from obswarm.engine.load_commands import LoadCommands
from obswarm.engine.output import Outputs
from obswarm.engine.progress import EarlierRun, RunJournal, resume
from obswarm.engine.result import RunResult, new_run_id
from obswarm.engine.schedule import LoadSchedule, begin_shape, continue_shape
from obswarm.engine.statistics import RunStatistics, host_of
from obswarm.greenlets import NOT_ONLY_EXCEPTIONS, Supervisor, described
from obswarm.record import AnnotationKind, RunState, Snapshot, StopKind
from obswarm.sanitize import clean_text

logger = logging.getLogger(__name__)

_READY_S = 0.1
"""Maximum time between two checks whether the generator is ready, in seconds."""

_REFRESH_RATIO = 0.35
"""Part of an interval that the generator may take to update its statistics."""


class Run(LoadCommands):
    """Applies the assignments of an executor to a generator, passes a snapshot to the outputs at every interval, and
    ends on request or when the planned time is over.

    `run()` blocks until the run has ended, and always returns a result, so that no error loses measurements. `observer`
    gets each snapshot before the outputs. With a `journal`, measurements are written to it before they are acknowledged
    to the generator; `earlier` is a run of another process, to be continued.
    """

    def __init__(
        self,
        environment: Environment,
        executor: Executor,
        generator: LoadGenerator,
        *,
        test: str,
        planned_s: float | None = None,
        outputs: Outputs | None = None,
        observer: RunObserver | None = None,
        max_endpoints: int = defaults.MAX_ENDPOINTS,
        interval_s: float = defaults.SNAPSHOT_INTERVAL_S,
        run_id: str | None = None,
        journal: RunJournal | None = None,
        earlier: EarlierRun | None = None,
        iterations: IterationCount | None = None,
    ) -> None:
        self.run_id = run_id or new_run_id(clock.wall())
        has_shape = environment.shape_class is not None
        driver = LoadDriver(executor, generator, limit_s=planned_s, has_shape=has_shape, iterations=iterations)
        super().__init__(driver, outputs or Outputs())
        self.statistics = RunStatistics(
            run_id=self.run_id,
            test=test,
            host=host_of(environment),
            planned_s=self._driver.planned_s,
            max_endpoints=max_endpoints,
        )
        self.guards_before: Mapping[str, Any] = {} if earlier is None else earlier.progress.guards
        self._environment, self._generator = environment, generator
        self._observer, self._journal, self._earlier = observer, journal, earlier
        self._emitter = SnapshotEmitter(
            self._log,
            self.statistics,
            self._driver,
            generator,
            outputs=self._outputs,
            observer=observer,
            journal=journal,
            guards_before=self.guards_before,
            view=environment.stats,
        )
        self._interval_s = interval_s
        self._supervisor = Supervisor(self._part_failed, self._part_was_restarted)
        self._stopping = Event()
        self._aborting = self._has_ended = False
        self._spawning_reported = True
        environment.stats.attach(self._emitter.latest, environment.recorder, self._emitter.reset)
        environment.join_run(self.run_id, self, generator.make_runner(self))

    # For the runner and the observer.
    @property
    def state(self) -> RunState:
        return self._log.state

    @property
    def generator(self) -> LoadGenerator:
        """Where the users are."""
        return self._generator

    @property
    def shown_state(self) -> RunState:
        return self._log.shown_state or self._log.state

    @property
    def spawn_rate(self) -> float:
        return self._driver.spawn_rate

    @property
    def last(self) -> Snapshot | None:
        """The last snapshot that the outputs received."""
        return self._emitter.last

    def latest(self) -> Snapshot:
        """See SnapshotEmitter.latest."""
        return self._emitter.latest()

    def user_counts(self) -> Mapping[str, int]:
        """Return the number of running users by class."""
        return self._generator.user_counts()

    def user_targets(self) -> Mapping[str, int]:
        """Return the target number of users by class."""
        target = self._driver.executor.target
        return dict.fromkeys(target, 0) if self.shown_state in (RunState.STOPPING, RunState.STOPPED) else target

    # RunControl, besides LoadCommands.
    def replace_plan(self, plan: LoadSchedule, limit_s: float | None, has_shape: bool) -> None:
        """Use another plan for the number of users, before `run()`."""
        self._driver.replace_plan(plan, limit_s, has_shape)
        self.statistics.plan(self._driver.planned_s)

    def stop(self, reason: StopReason) -> None:
        self._log.reason = self._log.reason or StopReason(reason.kind, clean_text(reason.detail))
        self._stopping.set()

    def abort(self, reason: StopReason) -> None:
        self._aborting = True
        self.stop(reason)
        self._generator.kill()

    # RunSteering.
    def fail(self, error: ObswarmError) -> None:
        self._log.error = self._log.error or error
        self.stop(StopReason(StopKind.ERROR, str(error).partition("\n")[0]))

    def stop_test(self, detail: str = "a user raised StopTest") -> None:
        self.stop(StopReason(StopKind.USER, detail))

    # From the beginning to the end.
    def run(self) -> RunResult:
        events, environment, generator = self._environment.events, self._environment, self._generator
        # A listener of `init` may have stopped it.
        if not self._stopping.is_set():
            self._attempt("The preparation of the run", self._prepare)
        starts = not self._stopping.is_set()
        if starts:
            self._attempt("The shape", begin_shape, environment)
            events.test_start.fire(environment=environment)
            generator.messages.started()
        self._attempt("The start of the run", self._begin)
        if self._earlier is not None:
            self.annotate(AnnotationKind.TAKEOVER, f"A new master continues the run {self.run_id}")
        else:
            self.annotate(AnnotationKind.START, f"The run {self.run_id} starts")
        if self._observer is not None:
            self._attempt("The start of the guards", self._observer.start, self, self.statistics.started_wall_s)
        if self._earlier is not None:
            self._attempt("The restored statistics", self._emitter.emit_restored)
        driver = self._supervisor.spawn("The driver of the load", self._drive)
        # Its failure ends the run, since guards depend on it. It is needed until the users have stopped.
        ticker = Supervisor(self._part_failed, self._part_failed).keep("The ticker of the run", self._tick)
        while not self._stopping.is_set():
            gevent.wait((self._stopping, generator.happened), count=1)
            self._handle_events()
        driver.kill()
        before, self._log.state = self._log.state, RunState.STOPPING
        environment.runner.final_user_classes_count = dict(self.user_counts())
        assert self._log.reason is not None
        self.annotate(AnnotationKind.STOP, f"The run {self.run_id} stops: {self._log.reason.detail}")
        if starts:
            with self._log.shown_as(before):
                events.test_stopping.fire(environment=environment)
        self.statistics.end_load(clock.monotonic())
        environment.recorder.end_load()
        timeout_s = 0 if self._aborting else environment.stop_timeout
        self._attempt("The end of the users", generator.stop, timeout_s)
        self._handle_events()
        self.statistics.end(clock.monotonic())
        ticker.kill()
        self._attempt("The last statistics of the users", self._emitter.collect)
        self._attempt("The end of the run", self._end_generator, 0)
        if starts:
            with self._log.shown_as(RunState.STOPPED):
                events.test_stop.fire(environment=environment)
        self._log.state = RunState.STOPPED
        if self._observer is not None:
            self._attempt("The end of the guards", self._observer.close)
        self._emit_the_last()
        return self._emitter.result(forced=self._aborting)

    def give_up(self) -> None:
        """Stop the users of a run that has crashed here, and write their last measurements to the journal."""
        if self._has_ended:
            return
        try:
            self._generator.kill()
            self._generator.stop(0.0)
            self._emitter.collect()
        finally:
            self._end_generator(4)
            self._generator.close()

    def close(self) -> None:
        """Release the generator and remove the journal, after the result is stored."""
        self._environment.runner.close()
        self._generator.close()
        if self._journal is not None:
            self._journal.finish()

    def _attempt(self, what: str, part: Callable[..., Any], *arguments: Any) -> bool:
        """Execute a part of the run. An exception ends the run as an error, not the parts after it; returns False."""
        try:
            part(*arguments)
        except ObswarmError as error:
            self.fail(error)
        except (*NOT_ONLY_EXCEPTIONS, gevent.GreenletExit) as error:
            self._part_failed(what, error)
        else:
            return True
        return False

    def _handle_events(self) -> None:
        """Handle the events of the generator, and make the driver apply the load."""
        if not self._generator.happened.is_set():
            return
        self._emitter.collect_ended()
        for event in self._generator.take_events():
            match event:
                case StopRequested(reason):
                    self.stop(reason)
                case RunFailed(error):
                    self.fail(error)
                case GeneratorWarning(text):
                    logger.warning("%s.", text)
                case PartFailed(name, raised):
                    self._part_failed(name, raised)
                case PartRestarted(name, raised):
                    self._part_was_restarted(name, raised)
        if not self._stopping.is_set():
            self._nudge.set()

    def _part_failed(self, what: str, error: BaseException) -> None:
        logger.debug("Traceback of the failure:", exc_info=error)
        self.fail(
            InternalError(
                f"{what} failed ({described(error)}), which ends the run. The result contains the measurements until"
                " then. This is a bug in obswarm; please report it, with the output of --loglevel DEBUG."
            )
        )

    def _part_was_restarted(self, what: str, error: BaseException) -> None:
        text = f"{what} failed and was restarted: {described(error)}"
        logger.warning("%s.", text)
        self.annotate(AnnotationKind.RESTART, text)

    def _prepare(self) -> None:
        self._generator.prepare()
        while not self._stopping.is_set() and not self._generator.is_ready(clock.monotonic()):
            gevent.wait((self._stopping, self._generator.happened), timeout=_READY_S, count=1)
            self._handle_events()

    def _begin(self) -> None:
        """Start the time of the run, or continue that of an earlier process."""
        self._log.state = RunState.SPAWNING
        now, burst_s = clock.monotonic(), self._generator.burst_s
        if self._earlier is not None:
            self._resume(self._earlier, now, burst_s)
        else:
            self.statistics.begin(now)
            self._driver.executor.start(now, burst_s=burst_s)
            if self._journal is not None:
                # Before users start, so that a run can be continued even if it is killed in its first second.
                self._emitter.collect()
        self._generator.start()

    def _resume(self, earlier: EarlierRun, now: float, burst_s: float | None) -> None:
        continue_shape(self._environment, resume(earlier, self._driver, self.statistics, self._log, now, burst_s))
        if earlier.progress.stopping is not None:
            kind, detail = earlier.progress.stopping
            self.stop(StopReason(StopKind(kind), detail))

    def _end_generator(self, exit_code: int) -> None:
        self._has_ended = True
        self._generator.end(exit_code)
        self._emitter.write_end()

    # The load.
    def _drive(self) -> None:
        try:
            while (delay := self._drive_once(clock.monotonic())) is not None:
                if gevent.wait((self._nudge,), timeout=delay):
                    self._nudge.clear()
        except ObswarmError as error:
            self.fail(error)
        except StopTest:
            self.stop_test("the shape raised StopTest")

    def _drive_once(self, now: float) -> float | None:
        """Execute a step of the driver; returns the seconds until the next one, None if the run is over."""
        step = self._driver.step(now, now - self.statistics.started_s)
        if step.stop is None:
            self._log.state = self._driver.state
        if step.stage is not None:
            self.annotate(AnnotationKind.STAGE, step.stage)
        self._spawning_reported &= not step.settled
        self._report_spawning()
        if step.stop is not None:
            self.stop(step.stop)
            return None
        return step.wait_s

    def _report_spawning(self) -> None:
        """Fire `spawning_complete` once the generator has carried out the assignment, with the number of users that it
        was to have: some may have ended by themselves. Reset the statistics if that was requested."""
        if self._reset_requested:
            self._reset_requested = False
            self._reset_statistics("Statistics are reset.")
        if self._spawning_reported or not self._generator.has_settled():
            return
        self._spawning_reported = True
        users = sum(self._driver.executor.target.values())
        self._environment.events.spawning_complete.fire(user_count=users)
        self._generator.spawning_complete(users)
        if self._environment.reset_stats:
            self._environment.reset_stats = False
            self._reset_statistics("All users have been started; statistics are reset.")

    def _reset_statistics(self, message: str) -> None:
        """Reset the statistics, and tell listeners of it."""
        self._emit()
        self._emitter.reset()
        self._environment.events.reset_stats.fire()
        logger.info("%s", message)
        self._generator.statistics_reset()

    # Snapshots.
    def _tick(self) -> None:
        for due in self._emitter.due_times(self._interval_s):
            gevent.sleep(max(0.0, due - clock.monotonic()))
            self._emit()
            self._generator.end_interval()
            self._report_spawning()

    def _emit(self) -> None:
        self._emitter.emit(_REFRESH_RATIO * self._interval_s)
        self._handle_events()

    def _emit_the_last(self) -> None:
        self._attempt("The last update of the generator", self._generator.refresh, _REFRESH_RATIO * self._interval_s)
        self._attempt("The last collection of statistics", self._emitter.collect)
        self._handle_events()
        if not self._attempt("The last evaluation of the guards", self._emitter.give_out):
            self._emitter.give_out(is_observed=False)

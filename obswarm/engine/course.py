"""The course of a run, wherever its users live: from `test_start` to the last snapshot; a RunControl."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

import gevent
from gevent.event import Event

from obswarm import clock, defaults
from obswarm.api import Environment, InternalError, LoadTestShape, ObswarmError, StopTest
from obswarm.engine.allocation import weight_of
from obswarm.engine.control import RunObserver, StopReason, name_of
from obswarm.engine.executor import Executor, Spawner
from obswarm.engine.health import SaturationWatch, warn_of_saturation
from obswarm.engine.messages import MessageListeners
from obswarm.engine.output import Outputs
from obswarm.engine.result import RunResult, WorkerLoss, new_run_id
from obswarm.engine.schedule import LoadSchedule
from obswarm.engine.statistics import RunStatistics
from obswarm.greenlets import NOT_ONLY_EXCEPTIONS, Supervisor, described
from obswarm.redact import redact_url
from obswarm.sanitize import clean_text, to_text
from obswarm.stats import Annotation, EndpointKey, GeneratorHealth, InFlight, RunState, Snapshot
from obswarm.units import counted, format_duration, format_names

logger = logging.getLogger(__name__)

_SHORTEST_STAGE_OF_A_SHAPE_S = 3.0
_HOLD = "hold"
_LATE_BY_S = 0.002
"""Timers may be early by about so much."""

_EARLY_BY_S = 0.1
"""What comes less than this before the end of an interval can wait for that."""


def next_due(due: float, now: float, interval_s: float) -> float:
    """The end of the interval after the one that was due then. It lies whole intervals later, and at least half of one
    from now: a loop that was held up skips what it has missed, since nothing is left for the ends of those."""
    due += interval_s
    return due + max(0, ceil((now - due) / interval_s + 0.5)) * interval_s


def host_of(environment: Environment) -> str | None:
    """The target, for people, without the password that its URL may have: --host, or the hosts that the user classes
    name."""
    hosts = [environment.host] if environment.host else [cls.host for cls in environment.user_classes if cls.host]
    return ", ".join(sorted({clean_text(redact_url(to_text(host))) for host in hosts})) or None


class Run:
    """Drives the load along a schedule, gives outputs a snapshot at every interval, and ends when it is told or due.

    `run()` blocks until the run has ended, and always returns a result: what was measured is never lost to an error.
    A subclass says where users live, by the methods that raise NotImplementedError here.
    """

    _is_taken_up = False
    """Whether an earlier process began this run."""

    _step_s = 0.0
    """The executor is not asked more often than this."""

    def __init__(
        self,
        environment: Environment,
        schedule: LoadSchedule,
        pool: Spawner,
        *,
        test: str,
        planned_s: float | None,
        outputs: Outputs,
        max_endpoints: int,
        interval_s: float,
        run_id: str | None = None,
        burst_s: float | None = None,
    ) -> None:
        self.run_id = environment.run_id = run_id or new_run_id(clock.wall())
        self.state = RunState.READY
        self.statistics = RunStatistics(
            run_id=self.run_id,
            test=test,
            host=host_of(environment),
            planned_s=min((each for each in (planned_s, schedule.duration_s) if each is not None), default=None),
            max_endpoints=max_endpoints,
        )
        self._outputs = outputs
        self._environment = environment
        self._limit_s = planned_s
        self._interval_s = interval_s
        shares = [weight_of(cls) for cls in environment.user_classes]
        self.messages = MessageListeners(environment)
        """Of the load test's own, for its runner."""
        self._executor = Executor(schedule, shares, pool, self._spawning_complete, burst_s)
        self._reason: StopReason | None = None
        self._error: ObswarmError | None = None
        self._stopping = Event()
        self._aborting = False
        self._nudge = Event()
        self.observer: RunObserver | None = None
        """Set it before `run`."""
        self.last: Snapshot | None = None
        """That outputs were given."""
        self.supervisor = Supervisor(self._part_failed, self._part_was_restarted)
        """For whatever the run depends on."""
        self._annotations: list[Annotation] = []
        self._in_force: dict[str, str] = {}
        self.guards_before: Mapping[str, Any] = {}
        self._stage: int | None = None
        self._stage_since_s = 0.0
        environment.stats.attach(self.latest)
        environment.steering = self

    def annotate(self, kind: str, text: str) -> None:
        """Keep a mark with the run."""
        annotation = Annotation(clock.wall(), kind, clean_text(text))
        self._annotations.append(annotation)
        self._outputs.annotation(annotation)

    # What a subclass says.
    def user_counts(self) -> Mapping[str, int]:
        """Users that are there, by class."""
        raise NotImplementedError

    def users_max(self) -> int:
        """The most users at a time so far."""
        raise NotImplementedError

    def workers(self) -> tuple[GeneratorHealth, ...]:
        """The last interval's health of whoever makes the load."""
        raise NotImplementedError

    def in_flight(self) -> Mapping[EndpointKey, InFlight]:
        """Requests that are under way, by endpoint."""
        raise NotImplementedError

    def _prepare(self) -> None:
        """Before `test_start`. May stop the run."""

    def _after_step(self, now: float) -> None:
        """The executor has just been asked; every few milliseconds, or every `_step_s`."""

    def _collect(self) -> None:
        """Bring the statistics up to date."""
        raise NotImplementedError

    def _look_up(self) -> None:
        """Add what can be had without anybody noticing. Nothing, where statistics come once an interval."""

    def _before_emit(self) -> None:
        """A snapshot is about to be given out."""

    def _after_emit(self) -> None:
        """One was given out because an interval is over."""

    def _everyone_has_left(self) -> bool:
        raise NotImplementedError

    def _end_users(self, timeout_s: float) -> None:
        """Let running tasks finish within the time, then end them; returns when there are no users."""
        raise NotImplementedError

    def _kill_users(self) -> None:
        """End them at once; does not wait."""
        raise NotImplementedError

    def close(self) -> None:
        """The result is safe; nothing is left to be remembered."""

    def _rejected(self) -> tuple[int, int]:
        """(refused handshakes, dropped frames)."""
        return 0, 0

    def _losses(self) -> tuple[WorkerLoss, ...]:
        return ()

    def _users_ended(self) -> int:
        """How many users have ended by themselves, of those that the executor has placed; as far as it is known."""
        raise NotImplementedError

    def _users_not_started(self, now: float) -> int:
        """How many of those that the executor has placed have not been started yet."""
        return 0

    def _spawning_complete(self) -> None:
        """The load is where it was heading."""
        raise NotImplementedError

    # What other parts ask.
    def user_targets(self) -> dict[str, int]:
        if self._stopping.is_set():
            return dict.fromkeys(self._executor.placed, 0)
        return self._executor.target

    def marks(self) -> dict[str, int]:
        return dict(Counter(mark.kind for mark in self._annotations))

    def latest(self) -> Snapshot:
        """A snapshot with everything that is known at this moment. However often it is asked for, the run goes on as if
        it had not been: outputs get the same intervals, and nothing is written or acknowledged."""
        self._look_up()
        return self.statistics.snapshot(self)

    # RunControl.
    def set_load(self, users: int, spawn_rate: float) -> None:
        self._executor.set_load(users, spawn_rate, clock.monotonic())
        self._nudge.set()

    @property
    def in_force(self) -> Mapping[str, str]:
        return self._in_force

    @property
    def annotations(self) -> Sequence[Annotation]:
        return self._annotations

    def scale(self, share: float, by: str) -> None:
        if by not in self._in_force:
            self._in_force[by] = f"scale({share:.4g})"
            now = clock.monotonic()
            self._executor.scale(share, now, self._users_ended(), self._users_not_started(now))
            self._nudge.set()

    def hold(self, by: str = "") -> None:
        self._in_force[by] = _HOLD
        self._executor.hold(clock.monotonic())
        self._nudge.set()

    def release(self, by: str = "") -> None:
        if self._in_force.pop(by, None) == _HOLD and _HOLD not in self._in_force.values():
            self._executor.release(clock.monotonic())
            self._nudge.set()

    def _holders(self) -> list[str]:
        """As people know them, each once."""
        return list(dict.fromkeys(name_of(by) for by, action in self._in_force.items() if action == _HOLD))

    def stop(self, reason: StopReason) -> None:
        if self._reason is None:
            self._reason = StopReason(reason.kind, clean_text(reason.detail))
        self._stopping.set()

    def abort(self, reason: StopReason) -> None:
        self._aborting = True
        self.stop(reason)
        self._kill_users()

    # The course of a run.
    def run(self) -> RunResult:
        events, environment = self._environment.events, self._environment
        # A listener of `init` may have stopped it.
        if not self._stopping.is_set():
            self._attempt("The preparation of the run", self._prepare)
        starts = not self._stopping.is_set()
        if starts:
            self._attempt("The shape", self._reset_shape)
            events.test_start.fire(environment=environment)
            self.messages.started()
        self._attempt("The start of the run", self._begin)
        if self._is_taken_up:
            self.annotate("takeover", f"A new master goes on with the run {self.run_id}")
        else:
            self.annotate("start", f"The run {self.run_id} starts")
        if self.observer is not None:
            self._attempt("The start of the guards", self.observer.start, self, self.statistics.started_wall_s)
        if self._is_taken_up:
            self._attempt("The restored statistics", self._give_out_restored)
        driver = self.supervisor.spawn("The driver of the load", self._drive)
        # Without it there are no guards, so that the run ends when it fails; it is needed until the users have ended.
        ticker = Supervisor(self._part_failed, self._part_failed).keep("The ticker of the run", self._tick)
        self._stopping.wait()
        self.state = RunState.STOPPING
        driver.kill()
        assert self._reason is not None
        self.annotate("stop", f"The run {self.run_id} stops: {self._reason.detail}")
        if starts:
            events.test_stopping.fire(environment=environment)
        self.statistics.end_load(clock.monotonic())
        environment.recorder.end_load()
        timeout_s = 0 if self._aborting else environment.stop_timeout
        self._attempt("The end of the users", self._end_users, timeout_s)
        self.statistics.end(clock.monotonic())
        ticker.kill()
        self._attempt("The end of the run", self._end)
        if starts:
            events.test_stop.fire(environment=environment)
        self.state = RunState.STOPPED
        if self.observer is not None:
            self._attempt("The end of the guards", self.observer.close)
        self._emit_the_last()
        return self._result()

    def _attempt(self, what: str, part: Callable[..., Any], *arguments: Any) -> bool:
        """Do a part of the run. What it raises ends the run as an error, and everything after it is done all the same.
        False when it raised."""
        try:
            part(*arguments)
        except ObswarmError as error:
            self.fail(error)
        except (*NOT_ONLY_EXCEPTIONS, gevent.GreenletExit) as error:
            self._part_failed(what, error)
        else:
            return True
        return False

    def _part_failed(self, what: str, error: BaseException) -> None:
        logger.debug("This is how the run failed:", exc_info=error)
        self.fail(
            InternalError(
                f"{what} failed ({described(error)}), so that the run had to end. What was measured until then is in"
                " the result. This is a fault of obswarm; please report it, with what --loglevel DEBUG prints."
            )
        )

    def _part_was_restarted(self, what: str, error: BaseException) -> None:
        text = f"{what} failed and was started again: {described(error)}"
        logger.warning("%s.", text)
        self.annotate("restart", text)

    def _reset_shape(self) -> None:
        shape = self._environment.shape_class
        if isinstance(shape, LoadTestShape):
            shape.runner = self._environment.runner
            shape.reset_time()

    def _begin(self) -> None:
        """Time zero."""
        self.state = RunState.SPAWNING
        now = clock.monotonic()
        self.statistics.begin(now)
        self._executor.start(now)

    def _end(self) -> None:
        """All users have ended."""

    def _drive(self) -> None:
        try:
            while (delay := self._drive_once(clock.monotonic())) is not None:
                if self._nudge.wait(max(delay, self._step_s)):
                    self._nudge.clear()
        except ObswarmError as error:
            self.fail(error)
        except StopTest:
            self.stop_test("the shape raised StopTest")

    def _drive_once(self, now: float) -> float | None:
        """Bring the load to where it should be now. Gives the seconds until that is wanted again; None when the run
        was stopped, because it is over."""
        executor = self._executor
        is_due = self._limit_s is not None and now - self.statistics.started_s >= self._limit_s
        delay = None if is_due else executor.step(now)
        if delay is None:
            held = f", and the load was held: {format_names(self._holders())}" if executor.holding else ""
            self.stop(StopReason("time", f"the planned time is over{held}"))
            return None
        if executor.holding:
            self.state = RunState.HOLDING
        else:
            self.state = RunState.RUNNING if executor.settled else RunState.SPAWNING
        self._note_stage()
        self._after_step(now)
        if self._has_ended_by_itself(now):
            self.stop(StopReason("user", "every user has ended by itself"))
            return None
        if self._is_given_up(now):
            limit = format_duration(defaults.UNFOLLOWED_LIMIT_S)
            self.stop(
                StopReason("time", f"the load has been held or scaled for {limit}, and its plan has no known end")
            )
            return None
        return delay

    def _is_given_up(self, now: float) -> bool:
        """Whether a load that follows no plan any more would be there for ever, although nobody has asked for that: its
        shape does not say when it ends, or all of its users have left."""
        executor = self._executor
        if self._limit_s is not None or executor.unfollowed_s(now) < defaults.UNFOLLOWED_LIMIT_S:
            return False
        if executor.plan.duration_s is not None:
            return False
        return self._environment.shape_class is not None or self._everyone_has_left()

    def _has_ended_by_itself(self, now: float) -> bool:
        executor = self._executor
        is_there = executor.settled and executor.placed_users > 0
        return is_there and not executor.may_want_more(now) and self._everyone_has_left()

    def _note_stage(self) -> None:
        load = self._executor.load
        if load is None or load.step == self._stage:
            return
        now = clock.monotonic()
        # A shape that draws a curve changes its mind every second; those are no stages.
        is_stage = self._environment.shape_class is None or now - self._stage_since_s >= _SHORTEST_STAGE_OF_A_SHAPE_S
        if self._stage is not None and is_stage:
            self.annotate("stage", f"Stage {load.step + 1} begins, at {counted(load.target, 'user')}")
        self._stage, self._stage_since_s = load.step, now

    def _tick(self) -> None:
        due = self.statistics.started_s
        while True:
            due = next_due(due, clock.monotonic(), self._interval_s)
            early = self.observer.next_due_s() if self.observer is not None else None
            if early is not None and clock.monotonic() < early < due - _EARLY_BY_S:
                # A guard that has known since the middle of an interval acts in the middle of one.
                self._emit_at(early + _LATE_BY_S)
            self._emit_at(due)

    def _emit_at(self, due: float) -> None:
        gevent.sleep(max(0.0, due - clock.monotonic()))
        self._emit()
        self._after_emit()

    def _emit(self) -> None:
        self._before_emit()
        self._collect()
        self._give_out(self.observer)

    def _give_out(self, observer: RunObserver | None) -> None:
        self.last = self.statistics.emit(self) if observer is None else self.statistics.emit(self, observer.on_snapshot)
        self._outputs.snapshot(self.last)

    def _give_out_restored(self) -> None:
        """Tell outputs what there is already, without an interval of it."""
        snapshot = self.statistics.snapshot(self)
        if self.observer is not None:
            snapshot = self.observer.view(snapshot)
        self._outputs.restored(snapshot, self._annotations)

    def _emit_the_last(self) -> None:
        self._attempt("The last look at the generator", self._before_emit)
        self._attempt("The last collection of statistics", self._collect)
        if not self._attempt("The last evaluation of the guards", self._give_out, self.observer):
            self._give_out(None)

    def _report_usage(self, health: GeneratorHealth, watch: SaturationWatch, became_saturated: bool) -> None:
        """Fire what Locust fires about the own process, and warn when it has just become the bottleneck."""
        environment = self._environment
        cpu_percent = health.cpu_ratio * 100
        environment.events.usage_monitor.fire(
            environment=environment, cpu_usage=cpu_percent, memory_usage=health.memory_bytes
        )
        if became_saturated:
            warn_of_saturation(environment, watch.reason, cpu_percent)

    def _result(self) -> RunResult:
        assert self._reason is not None
        refused, dropped = self._rejected()
        final = self.statistics.snapshot(self)
        if self.last is not None:
            final = final.guarded(self.last.guards, self.last.alerts, self.last.refused_alerts)
        return RunResult(
            run_id=self.run_id,
            started_s=self.statistics.started_wall_s,
            ended_s=self.statistics.ended_wall_s,
            duration_s=final.stats_elapsed_s,
            stop_reason=self._reason,
            error=self._error,
            users_max=final.users_max,
            final=final,
            saturated=any(worker.saturated for worker in final.workers),
            max_loop_lag_s=max((worker.max_loop_lag_s for worker in final.workers), default=0.0),
            max_cpu_ratio=max((worker.max_cpu_ratio for worker in final.workers), default=0.0),
            forced=self._aborting,
            losses=self._losses(),
            annotations=tuple(self._annotations),
            in_flight_peaks=self.statistics.in_flight_peaks.by_endpoint,
            refused_handshakes=refused,
            dropped_frames=dropped,
        )

    def _reset_statistics(self) -> None:
        """Forget what was measured so far; outputs that count over the whole run are given it first."""
        environment = self._environment
        self._emit()
        self._collect()
        self.statistics.reset(clock.monotonic())
        environment.events.reset_stats.fire()
        environment.reset_stats = False
        logger.info("All users are there; statistics start anew.")

    # RunSteering.
    def fail(self, error: ObswarmError) -> None:
        if self._error is None:
            self._error = error
        self.stop(StopReason("error", str(error).partition("\n")[0]))

    def stop_test(self, detail: str = "a user raised StopTest") -> None:
        self.stop(StopReason("user", detail))

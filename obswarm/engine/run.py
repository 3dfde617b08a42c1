"""One run in one process, from `test_start` to the last snapshot: users, executor, statistics, sinks."""

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import gevent
from gevent.event import Event

from obswarm import clock, defaults
from obswarm.api import Environment, LoadTestShape, ObswarmError, user_traceback
from obswarm.engine.allocation import share_of
from obswarm.engine.control import StopReason
from obswarm.engine.crowd import LocalCrowd
from obswarm.engine.executor import Executor
from obswarm.engine.health import HealthMonitor
from obswarm.engine.profile import Profile, Ramp
from obswarm.engine.runner_view import RunnerView
from obswarm.stats import (
    TOTAL,
    Aggregate,
    EndpointKey,
    EndpointStats,
    GeneratorHealth,
    RunState,
    Sink,
    Snapshot,
    StatsTable,
)

logger = logging.getLogger(__name__)

LOCAL_WORKER = "local"


def new_run_id(wall_s: float) -> str:
    """A name that sorts by start: date and time in UTC, and four random characters."""
    stamp = clock.iso(wall_s)[:19].replace("-", "").replace(":", "").replace("T", "-")
    return f"{stamp}-{secrets.token_hex(2)}"


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. `final` is its last snapshot; times are wall time, `duration_s` the time of the statistics."""

    run_id: str
    started_s: float
    ended_s: float
    duration_s: float
    stop_reason: StopReason
    error: ObswarmError | None
    users_max: int
    final: Snapshot
    saturated: bool
    max_loop_lag_s: float
    max_cpu_ratio: float
    forced: bool


class LocalRun:
    """A run whose users live in this process; a RunControl.

    `run()` blocks until the run has ended, and always returns a result: what was measured is never lost to an error.
    """

    def __init__(
        self,
        environment: Environment,
        profile: Profile,
        *,
        test: str,
        planned_s: float | None = None,
        sinks: Sequence[Sink] = (),
        max_endpoints: int = defaults.MAX_ENDPOINTS,
        interval_s: float = defaults.SNAPSHOT_INTERVAL_S,
    ) -> None:
        self.run_id = new_run_id(clock.wall())
        self.state = RunState.READY
        self._environment = environment
        self._test = test
        self._planned_s = planned_s if planned_s is not None else profile.duration_s
        self._limit_s = planned_s
        self._sinks = list(sinks)
        self._interval_s = interval_s
        self._aggregate = Aggregate(max_endpoints)
        self._pending = StatsTable(max_endpoints)
        self._pending_total = EndpointStats(TOTAL)
        self._crowd = LocalCrowd(environment, self._fail, self._stop_test)
        shares = [share_of(cls) for cls in environment.user_classes]
        self._executor = Executor(profile, shares, self._crowd, self._spawning_complete)
        self._health = HealthMonitor(LOCAL_WORKER)
        self._last_health: tuple[GeneratorHealth, ...] = ()
        self._reason: StopReason | None = None
        self._error: ObswarmError | None = None
        self._stopping = Event()
        self._aborting = False
        self._stopper: gevent.Greenlet | None = None
        self._started_wall_s = clock.wall()
        self._started_s = self._stats_since_s = self._snapshot_at_s = clock.monotonic()
        self._ended_s: float | None = None
        self._overflow_told = False
        self._broken_sinks: set[int] = set()
        environment.runner = RunnerView(self, environment)
        environment.stats.attach(self.latest)

    # What other parts ask.
    def user_counts(self) -> dict[str, int]:
        return self._crowd.counts()

    def user_targets(self) -> dict[str, int]:
        if self._stopping.is_set():
            return dict.fromkeys(self._executor.placed, 0)
        return self._executor.target

    def latest(self) -> Snapshot:
        """A snapshot of this moment; the interval that sinks get is not affected."""
        self._collect()
        return self._snapshot_so_far()

    def _snapshot_so_far(self) -> Snapshot:
        interval = {key: stats.copy() for key, stats in self._pending.endpoints.items()}
        return self._snapshot(clock.monotonic(), interval, self._pending_total.copy())

    # RunControl.
    def set_load(self, users: int, spawn_rate: float) -> None:
        self._executor.replace(Ramp(users, spawn_rate), clock.monotonic())

    def hold(self) -> None:
        self._executor.hold(clock.monotonic())

    def release(self) -> None:
        self._executor.release(clock.monotonic())

    def stop(self, reason: StopReason) -> None:
        if self._reason is None:
            self._reason = reason
        self._stopping.set()

    def abort(self, reason: StopReason) -> None:
        self._aborting = True
        self.stop(reason)
        self._crowd.kill_all()

    # The course of a run.
    def run(self) -> RunResult:
        events, environment = self._environment.events, self._environment
        shape = environment.shape_class
        if isinstance(shape, LoadTestShape):
            shape.runner = environment.runner
            shape.reset_time()
        events.test_start.fire(environment=environment)
        self._health.start()
        self.state = RunState.SPAWNING
        self._started_wall_s = clock.wall()
        self._started_s = self._stats_since_s = self._snapshot_at_s = clock.monotonic()
        self._executor.start(self._started_s)
        executor = gevent.spawn(self._drive)
        ticker = gevent.spawn(self._tick)
        self._stopping.wait()
        self.state = RunState.STOPPING
        executor.kill()
        events.test_stopping.fire(environment=environment)
        self._crowd.stop_all(0 if self._aborting else environment.stop_timeout)
        self._ended_s = clock.monotonic()
        ticker.kill()
        self._health.stop()
        events.test_stop.fire(environment=environment)
        self.state = RunState.STOPPED
        self._emit()
        return self._result()

    def _drive(self) -> None:
        try:
            while True:
                now = clock.monotonic()
                if self._limit_s is not None and now - self._started_s >= self._limit_s:
                    break
                delay = self._executor.step(now)
                if delay is None:
                    break
                if self._executor.holding:
                    self.state = RunState.HOLDING
                else:
                    self.state = RunState.RUNNING if self._executor.settled else RunState.SPAWNING
                self._crowd.kill_overdue()
                if self._everyone_has_left():
                    self.stop(StopReason("user", "every user has ended by itself"))
                    return
                gevent.sleep(delay)
            self.stop(StopReason("time", "the planned time is over"))
        except ObswarmError as error:
            self._fail(error)
        except gevent.GreenletExit:
            raise
        except Exception as error:
            # Only a shape's tick() runs foreign code here.
            shape = type(self._environment.shape_class).__name__
            self._fail(ObswarmError(f"{shape}.tick() raised an exception:\n{user_traceback(error)}"))

    def _everyone_has_left(self) -> bool:
        wanted = self._executor.placed_users
        return self._executor.settled and wanted > 0 and not len(self._crowd)

    def _tick(self) -> None:
        due = self._started_s
        while True:
            due += self._interval_s
            gevent.sleep(max(0.0, due - clock.monotonic()))
            self._emit()

    def _collect(self) -> None:
        delta = self._environment.recorder.take()
        total = self._aggregate.merge(delta)
        if self._pending.endpoints:
            self._pending.merge(delta)
            self._pending_total.merge(total)
        else:
            # Nobody else holds the delta, so it need not be copied: with many endpoints that is what a second costs.
            self._pending, self._pending_total = delta, total
        names = self._aggregate.table.overflow_names
        if names and not self._overflow_told:
            self._overflow_told = True
            logger.warning(
                "There are more than %d endpoints; further ones count as (other), the first of them %s."
                " Give requests a name= that does not contain ids.",
                self._aggregate.table.max_endpoints,
                ", ".join(names),
            )

    def _emit(self) -> None:
        environment = self._environment
        users = len(self._crowd)
        data: dict[str, object] = {"user_count": users, "user_classes_count": self._crowd.counts()}
        environment.events.report_to_master.fire(client_id=LOCAL_WORKER, data=data)
        environment.events.worker_report.fire(client_id=LOCAL_WORKER, data=data)
        if self.state is not RunState.STOPPED or not self._last_health:
            health, became_saturated = self._health.read(users)
            self._last_health = (health,)
            cpu_percent = health.cpu_ratio * 100
            environment.events.usage_monitor.fire(
                environment=environment, cpu_usage=cpu_percent, memory_usage=health.memory_bytes
            )
            if became_saturated:
                self._warn_of_saturation(cpu_percent)
        self._collect()
        now = clock.monotonic()
        snapshot = self._snapshot(now, self._pending.endpoints, self._pending_total)
        # The snapshot has what was pending, and nobody changes it any more.
        self._pending, self._pending_total = StatsTable(self._pending.max_endpoints), EndpointStats(TOTAL)
        self._snapshot_at_s = now
        for number, sink in enumerate(self._sinks):
            try:
                sink.receive(snapshot)
            except Exception:
                if number not in self._broken_sinks:
                    self._broken_sinks.add(number)
                    logger.exception("%s failed; the run goes on without its output", type(sink).__name__)

    def _warn_of_saturation(self, cpu_percent: float) -> None:
        reason = self._health.watch.reason
        logger.warning(
            "THE LOAD GENERATOR IS THE BOTTLENECK: %s. Latencies and rates from here on say more about this process"
            " than about the target. Use fewer users, or more processes.",
            reason,
        )
        self._environment.events.cpu_warning.fire(
            environment=self._environment, cpu_usage=cpu_percent, message=reason, timestamp=clock.wall()
        )

    def _snapshot(
        self, now: float, interval: Mapping[EndpointKey, EndpointStats], interval_total: EndpointStats
    ) -> Snapshot:
        end = self._ended_s if self._ended_s is not None else now
        return Snapshot(
            run_id=self.run_id,
            test=self._test,
            host=self._host(),
            time_s=clock.wall(),
            started_s=self._started_wall_s,
            stats_since_s=self._started_wall_s + self._stats_since_s - self._started_s,
            elapsed_s=end - self._started_s,
            stats_elapsed_s=end - self._stats_since_s,
            planned_s=self._planned_s,
            state=self.state,
            users=self.user_counts(),
            users_target=self.user_targets(),
            total=self._aggregate.total(),
            endpoints=self._aggregate.endpoints(),
            errors=self._aggregate.errors(),
            exceptions=self._aggregate.exceptions(),
            interrupted=self._aggregate.table.interrupted,
            iterations=dict(self._aggregate.table.iterations),
            interval_s=max(now - self._snapshot_at_s, 1e-9),
            interval=interval,
            interval_total=interval_total,
            workers=self._last_health,
        )

    def _host(self) -> str | None:
        if self._environment.host:
            return self._environment.host
        hosts = {cls.host for cls in self._environment.user_classes if cls.host}
        return ", ".join(sorted(hosts)) or None

    def _result(self) -> RunResult:
        assert self._reason is not None
        assert self._ended_s is not None
        final = self._snapshot_so_far()
        return RunResult(
            run_id=self.run_id,
            started_s=self._started_wall_s,
            ended_s=self._started_wall_s + self._ended_s - self._started_s,
            duration_s=final.stats_elapsed_s,
            stop_reason=self._reason,
            error=self._error,
            users_max=self._crowd.most_users,
            final=final,
            saturated=self._health.watch.saturated,
            max_loop_lag_s=self._health.max_loop_lag_s,
            max_cpu_ratio=self._health.max_cpu_ratio,
            forced=self._aborting,
        )

    def _spawning_complete(self) -> None:
        environment = self._environment
        environment.events.spawning_complete.fire(user_count=len(self._crowd))
        if environment.reset_stats:
            # Sinks that count over the whole run get what would be forgotten.
            self._emit()
            environment.recorder.take()
            self._aggregate.reset()
            self._pending, self._pending_total = StatsTable(self._pending.max_endpoints), EndpointStats(TOTAL)
            self._stats_since_s = clock.monotonic()
            environment.events.reset_stats.fire()
            environment.reset_stats = False
            logger.info("All users are there; statistics start anew.")

    def _fail(self, error: ObswarmError) -> None:
        if self._error is None:
            self._error = error
        self.stop(StopReason("error", str(error).splitlines()[0]))

    def _stop_test(self) -> None:
        self.stop(StopReason("user", "a user raised StopTest"))

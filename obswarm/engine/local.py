"""LocalGenerator: users in this process, for a run without workers, and in each worker process."""

from collections.abc import Sequence
from typing import Any

from obswarm.api import Environment, InternalError
from obswarm.engine.control import StopReason
from obswarm.engine.descriptors import DescriptorWatch
from obswarm.engine.executor import Assignment
from obswarm.engine.generator import (
    GeneratorStatus,
    GeneratorWarning,
    LoadGenerator,
    RunFailed,
    StopRequested,
)
from obswarm.engine.health import HealthMonitor, warn_of_saturation
from obswarm.engine.messages import MessageListeners
from obswarm.engine.runner_view import LocalRunner, RunnerControl
from obswarm.engine.user_pool import UserPool
from obswarm.record import GeneratorHealth, StopKind
from obswarm.stats import EndpointKey, InFlight, StatsTable, UserStep
from obswarm.units import format_names

LOCAL_WORKER = "local"


class LocalGenerator(LoadGenerator):
    """Starts and stops users as soon as they are assigned; the caller spreads assignments over time.

    `name` is the worker's name, `cpus` the number of CPUs that this process may use, if that is less than one.
    """

    collects_any_time = True

    def __init__(
        self,
        environment: Environment,
        *,
        name: str = LOCAL_WORKER,
        cpus: float = 1.0,
        messages: MessageListeners | None = None,
    ) -> None:
        super().__init__(environment, messages)
        self._name = name
        self._pool = UserPool(
            environment,
            lambda error: self._note(RunFailed(error)),
            lambda: self._note(StopRequested(StopReason(StopKind.USER, "a user raised StopTest"))),
        )
        self._health = HealthMonitor(name, cpus, self.supervisor)
        self._last_health: GeneratorHealth | None = None
        self._descriptors = DescriptorWatch(environment.user_classes)
        self._assigned = {cls.__name__: 0 for cls in environment.user_classes}
        self._stops = 0
        """Number of calls of `stop`, to abandon an assignment that is being carried out meanwhile."""
        self._is_over = False

    def make_runner(self, run: RunnerControl) -> LocalRunner:
        return LocalRunner(run, self.environment, self.messages)

    def start(self) -> None:
        self._health.start()

    def apply(self, assignment: Assignment, now: float) -> None:
        """Raises InternalError for rates of iterations, which no executor assigns: users cannot keep them yet."""
        if assignment.has_rates:
            classes = format_names([name for name, rate in assignment.rates.items() if rate])
            raise InternalError(
                f"Rates of iterations were assigned ({classes}), which users of this version cannot keep."
            )
        stops = self._stops
        changes = {name: users - self._assigned[name] for name, users in assignment.users.items()}
        for name, change in changes.items():
            for _ in range(change):
                self._assigned[name] += 1
                self._pool.spawn(name)
                if self._stops != stops:
                    # `stop` was called while the constructor of a user was blocking.
                    return
        for name, change in changes.items():
            for _ in range(-change):
                self._assigned[name] -= 1
                self._pool.retire(name)
        shortage = self._descriptors.shortage(assignment.users)
        if shortage is not None:
            self._note(GeneratorWarning(shortage))
        self._pool.kill_overdue()

    def everyone_has_left(self) -> bool:
        return not len(self._pool)

    def users_ended(self) -> int:
        return sum(self._assigned.values()) - self._pool.active

    def user_counts(self) -> dict[str, int]:
        return self._pool.counts()

    def user_steps(self, now: float) -> Sequence[UserStep]:
        """The changes in the number of users since the last call."""
        return self._pool.track.take(now)

    def in_flight(self, now: float) -> dict[EndpointKey, InFlight]:
        """Requests under way, by endpoint."""
        return self.environment.recorder.in_flight(now)

    def status(self, now: float) -> GeneratorStatus:
        workers = () if self._last_health is None else (self._last_health,)
        return GeneratorStatus(self._pool.counts(), self._pool.track.peak, workers, self.in_flight(now))

    def refresh(self, longest_s: float) -> None:
        data = self.report_data()
        events = self.environment.events
        events.report_to_master.fire(client_id=self._name, data=data)
        events.worker_report.fire(client_id=self._name, data=data)
        self.measure_health()

    def report_data(self) -> dict[str, Any]:
        """Return the data for the listeners of `report_to_master`, which may add to it."""
        return {"user_count": len(self._pool), "user_classes_count": self._pool.counts()}

    def measure_health(self) -> GeneratorHealth:
        """Measure this process, fire `usage_monitor`, and warn if it has just become the bottleneck. After the end,
        returns the last measurement."""
        if self._is_over and self._last_health is not None:
            return self._last_health
        health, became_saturated = self._health.read(len(self._pool))
        self._last_health = health
        environment, cpu_percent = self.environment, health.cpu_ratio * 100
        environment.events.usage_monitor.fire(
            environment=environment, cpu_usage=cpu_percent, memory_usage=health.memory_bytes
        )
        if became_saturated:
            warn_of_saturation(environment, self._health.watch.reason, cpu_percent)
        return health

    @property
    def strained_s(self) -> float:
        """Consecutive seconds for which this process has been above a limit."""
        return self._health.watch.over_s

    def collect(self) -> StatsTable:
        return self.environment.recorder.take()

    def stop(self, timeout_s: float) -> None:
        self._stops += 1
        self._assigned = dict.fromkeys(self._assigned, 0)
        self._pool.stop_all(timeout_s)

    def kill(self) -> None:
        self._pool.kill_all()

    def end(self, exit_code: int = 0) -> None:
        self._is_over = True
        self._health.stop()

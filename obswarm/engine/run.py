"""A run whose users live in this process."""

import logging

from obswarm import clock, defaults
from obswarm.api import Environment
from obswarm.engine.course import Run
from obswarm.engine.descriptors import DescriptorWatch
from obswarm.engine.health import HealthMonitor
from obswarm.engine.output import Outputs
from obswarm.engine.runner_view import LocalRunner
from obswarm.engine.schedule import LoadSchedule
from obswarm.engine.user_pool import UserPool
from obswarm.stats import EndpointKey, GeneratorHealth, InFlight, RunState

logger = logging.getLogger(__name__)

LOCAL_WORKER = "local"


class LocalRun(Run):
    """Users, executor, statistics and outputs in one process: for a debugger, and wherever one process is enough."""

    def __init__(
        self,
        environment: Environment,
        schedule: LoadSchedule,
        *,
        test: str,
        planned_s: float | None = None,
        outputs: Outputs | None = None,
        max_endpoints: int = defaults.MAX_ENDPOINTS,
        interval_s: float = defaults.SNAPSHOT_INTERVAL_S,
    ) -> None:
        self._pool = UserPool(environment, self.fail, self.stop_test)
        super().__init__(
            environment,
            schedule,
            self._pool,
            test=test,
            planned_s=planned_s,
            outputs=outputs or Outputs(),
            max_endpoints=max_endpoints,
            interval_s=interval_s,
        )
        self._health = HealthMonitor(LOCAL_WORKER, supervisor=self.supervisor)
        self._descriptors = DescriptorWatch(environment.user_classes)
        self._last_health: tuple[GeneratorHealth, ...] = ()
        environment.runner = LocalRunner(self, environment)

    def user_counts(self) -> dict[str, int]:
        return self._pool.counts()

    def users_max(self) -> int:
        return self._pool.track.most

    def workers(self) -> tuple[GeneratorHealth, ...]:
        return self._last_health

    def in_flight(self) -> dict[EndpointKey, InFlight]:
        return self._environment.recorder.in_flight(clock.monotonic())

    def _begin(self) -> None:
        self._health.start()
        super()._begin()

    def _end(self) -> None:
        self._health.stop()

    def _after_step(self, now: float) -> None:
        shortage = self._descriptors.shortage(self._executor.placed)
        if shortage is not None:
            logger.warning("%s.", shortage)
        self._pool.kill_overdue()

    def _everyone_has_left(self) -> bool:
        return not len(self._pool)

    def _users_ended(self) -> int:
        return self._executor.placed_users - self._pool.active

    def _end_users(self, timeout_s: float) -> None:
        self._pool.stop_all(timeout_s)

    def _kill_users(self) -> None:
        self._pool.kill_all()

    def _collect(self) -> None:
        self.statistics.add(self._environment.recorder.take())

    def _look_up(self) -> None:
        # From one place of this process to another.
        self._collect()

    def _before_emit(self) -> None:
        environment, users = self._environment, len(self._pool)
        data: dict[str, object] = {"user_count": users, "user_classes_count": self._pool.counts()}
        environment.events.report_to_master.fire(client_id=LOCAL_WORKER, data=data)
        environment.events.worker_report.fire(client_id=LOCAL_WORKER, data=data)
        if self.state is RunState.STOPPED and self._last_health:
            return
        health, became_saturated = self._health.read(users)
        self._last_health = (health,)
        self._report_usage(health, self._health.watch, became_saturated)

    def _spawning_complete(self) -> None:
        self._environment.events.spawning_complete.fire(user_count=len(self._pool))
        if self._environment.reset_stats:
            self._reset_statistics()

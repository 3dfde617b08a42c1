"""LocalGenerator: users in this process, for a run without workers, and in each worker process."""

from collections.abc import Sequence
from typing import Any

import gevent

from obswarm import clock
from obswarm.api import Environment, User, serialized
from obswarm.api.feed import RowSupply
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
from obswarm.engine.health import HealthMonitor, tell_usage, warn_of_saturation
from obswarm.engine.iteration_grants import IterationGrants, LimitedUsers
from obswarm.engine.iteration_limit import IterationLimit
from obswarm.engine.iterations import Arrivals, IterationUsers
from obswarm.engine.messages import MessageListeners
from obswarm.engine.otlp import SpanExport
from obswarm.engine.runner_view import LocalRunner, RunnerControl
from obswarm.engine.user_pool import UserPool
from obswarm.record import GeneratorHealth, StopKind
from obswarm.stats import EndpointKey, InFlight, StatsTable, UserStep

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
            self._user_ended,
        )
        if any(cls._scenario is not None for cls in environment.user_classes):
            environment.recorder.tell_scenarios_apart(self._pool.current_scenario)
        self._iterating = IterationUsers(environment, self._pool)
        self._arrivals = Arrivals(environment, self._iterating)
        self._starts: gevent.Greenlet | None = None
        self._grants: IterationGrants | None = None
        self._limited: LimitedUsers | None = None
        self._health = HealthMonitor(name, cpus, self.supervisor)
        self._last_health: GeneratorHealth | None = None
        self._descriptors = DescriptorWatch(environment.user_classes)
        self._assigned = {cls.__name__: 0 for cls in environment.user_classes}
        self._stops = 0
        """Number of calls of `stop`, to abandon an assignment that is being carried out meanwhile."""
        self._is_over = False
        self._drives = False
        self._spans = SpanExport(lambda: environment.run_id) if environment.exports_spans else None
        environment.recorder.follow_traced(self._spans)
        max_endpoints = environment.recorder.current.max_endpoints
        self._taken = StatsTable(max_endpoints)
        """Measurements that were taken from the recorder, and are to be collected."""
        self._unreported = StatsTable(max_endpoints)
        """Measurements for the next report to listeners, collected or not."""

    def limit_iterations(self, limits: Sequence[IterationLimit], supply: RowSupply) -> None:
        """Limit the numbers of iterations, which `supply` grants to this process. Called before the first user is
        started."""
        if not limits:
            return
        grants = self._grants = IterationGrants(
            limits,
            supply,
            self.environment.recorder,
            self._name,
            self.supervisor,
            lambda error: self._note(RunFailed(error)),
            self.happened.set,
        )
        self._limited = LimitedUsers(grants)
        self._iterating.use_grants(grants)

    def make_runner(self, run: RunnerControl) -> LocalRunner:
        self._drives = True
        return LocalRunner(run, self.environment, self.messages, self)

    def start(self) -> None:
        self._health.start()

    def apply(self, assignment: Assignment, now: float) -> None:
        stops = self._stops
        if assignment.rates or self._arrivals.has_begun:
            self._assign_rates(assignment, now)
        changes = {name: users - self._assigned[name] for name, users in assignment.users.items()}
        for name, change in changes.items():
            for _ in range(change):
                self._assigned[name] += 1
                self.spawn_user(name)
                if self._stops != stops:
                    # `stop` was called while the constructor of a user was blocking.
                    return
        for name, change in changes.items():
            for _ in range(-change):
                self._assigned[name] -= 1
                self._pool.retire(name)
        iterating = {name: self._pool.active_of(name) for name in self._arrivals.names()}
        shortage = self._descriptors.shortage({**assignment.users, **iterating})
        if shortage is not None:
            self._note(GeneratorWarning(shortage))
        self._pool.kill_overdue()
        if self._grants is not None:
            self._grants.give_back(lambda name: self._pool.active_of(name) > 0 or bool(assignment.rates.get(name)))

    def _assign_rates(self, assignment: Assignment, now: float) -> None:
        if self._starts is None:
            self._starts = self.supervisor.keep("The start of iterations", self._arrivals.keep)
        self._arrivals.assign(assignment, now)

    def set_index(self, index: int) -> None:
        """Set the number of this process in its run, before the first assignment."""
        self._arrivals.index = index

    def stop_iterations(self) -> None:
        """Start no more iterations; those that have begun go on."""
        self._arrivals.stop(clock.monotonic())

    def has_settled(self) -> bool:
        # Users of iterations come and go all the time.
        return self._arrivals.has_begun or not self._pool.has_stopping

    def everyone_has_left(self) -> bool:
        return not len(self._pool)

    def users_ended(self) -> int:
        # There may be more users than assigned ones: those of `spawn_user`.
        iterating = sum(map(self._pool.active_of, self._arrivals.names()))
        return max(0, sum(self._assigned.values()) - self._pool.active + iterating)

    def user_counts(self) -> dict[str, int]:
        return self._pool.counts()

    def _user_ended(self, user: User) -> None:
        self._iterating.ended(user)

    # RunnerUsers.
    def spawn_user(self, user_class: str) -> User | None:
        if self._limited is not None and self._grants is not None and self._grants.limits(user_class):
            return self._pool.spawn(user_class, self._limited.prepare)
        return self._pool.spawn(user_class)

    def retire_users(self, user_class: str, number: int) -> None:
        for _ in range(number):
            self._pool.retire(user_class)

    def user_greenlets(self) -> Sequence[gevent.Greenlet]:
        return self._pool.greenlets()

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
        if self._reports:
            events = self.environment.events
            taken = self.environment.recorder.take()
            self._unreported.merge(taken)
            self._taken.merge(taken)
            data, self._unreported = self.report_data(self._unreported), StatsTable(taken.max_endpoints)
            events.report_to_master.fire(client_id=self._name, data=data)
            events.worker_report.fire(client_id=self._name, data=data)
        self.measure_health()

    @property
    def _reports(self) -> bool:
        """Whether this process drives the run, with listeners for reports, which it makes to itself."""
        events = self.environment.events
        return self._drives and bool(events.report_to_master.listeners or events.worker_report.listeners)

    def report_data(self, table: StatsTable) -> dict[str, Any]:
        """Return the data for the listeners of `report_to_master`, which may add to it, with these measurements."""
        counts = {"user_count": len(self._pool), "user_classes_count": self._pool.counts()}
        return {**serialized(table), **counts}

    def measure_health(self) -> GeneratorHealth:
        """Measure this process, fire `usage_monitor`, and warn if it has just become the bottleneck. After the end,
        returns the last measurement."""
        if self._is_over and self._last_health is not None:
            return self._last_health
        health, became_saturated = self._health.read(len(self._pool))
        self._last_health = health
        tell_usage(self.environment, health)
        if became_saturated:
            warn_of_saturation(self.environment, self._health.watch.reason, health)
        return health

    @property
    def strained_s(self) -> float:
        """Consecutive seconds for which this process has been above a limit."""
        return self._health.watch.over_s

    def collect(self) -> StatsTable:
        table = self.environment.recorder.take()
        if self._reports:
            self._unreported.merge(table)
        if not self._taken.is_empty():
            self._taken.merge(table)
            table, self._taken = self._taken, StatsTable(table.max_endpoints)
        return table

    def stop(self, timeout_s: float) -> None:
        self._stops += 1
        self.stop_iterations()
        # Iterations that were due just before begin now, and may finish within the timeout.
        gevent.sleep(0)
        self._assigned = dict.fromkeys(self._assigned, 0)
        self._pool.stop_all(timeout_s)

    def kill(self) -> None:
        self._pool.kill_all()

    def end(self, exit_code: int = 0) -> None:
        self._is_over = True
        if self._starts is not None:
            self._starts.kill()
        self._health.stop()
        if self._spans is not None:
            self._spans.close()

"""The statistics of a run: merges deltas, and makes snapshots."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from obswarm import clock, defaults
from obswarm.api import Environment
from obswarm.engine.generator import GeneratorStatus
from obswarm.record import RunState, Snapshot
from obswarm.redact import redact_url
from obswarm.sanitize import clean_text, to_text
from obswarm.stats import (
    TOTAL,
    Aggregate,
    CustomKey,
    CustomStats,
    EndpointKey,
    EndpointStats,
    InFlightPeaks,
    StatsTable,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The state of a run for a snapshot, besides its statistics. Users are counted by class, annotations by kind."""

    state: RunState
    generator: GeneratorStatus
    users_target: Mapping[str, int]
    annotations: Mapping[str, int]
    rates_target: Mapping[str, float] = field(default_factory=dict)
    """Iterations per second by class."""
    iterations_target: Mapping[str, int] = field(default_factory=dict)
    """Limited numbers of iterations, by the name of the limit."""
    iterations_ended: Mapping[str, int] = field(default_factory=dict)


def host_of(environment: Environment) -> str | None:
    """Return the target for display, without a password in its URL: --host, or the hosts of the user classes."""
    hosts = [environment.host] if environment.host else [cls.host for cls in environment.user_classes if cls.host]
    return ", ".join(sorted({clean_text(redact_url(to_text(host))) for host in hosts})) or None


class RunStatistics:
    """Sums the measurements of all processes, and keeps the times of the run.

    `fresh` is the table into which deltas are merged; every later snapshot contains them.
    """

    def __init__(
        self,
        *,
        run_id: str,
        test: str,
        host: str | None,
        planned_s: float | None,
        max_endpoints: int = defaults.MAX_ENDPOINTS,
    ) -> None:
        self.run_id = run_id
        self.fresh = StatsTable(max_endpoints)
        self.started_wall_s = clock.wall()
        self.started_s = clock.monotonic()
        self._stats_since_s = self._interval_began_s = self.started_s
        self._load_ended_s: float | None = None
        self._ended_s: float | None = None
        self._test = clean_text(test)
        self._host = None if host is None else clean_text(host)
        self.planned_s = planned_s
        self._max_endpoints = max_endpoints
        self._aggregate = Aggregate(max_endpoints)
        self._interval = StatsTable(max_endpoints)
        self._interval_total = EndpointStats(TOTAL)
        self._has_warned_of_overflow = False
        self.in_flight_peaks = InFlightPeaks()

    def plan(self, planned_s: float | None) -> None:
        """Set the planned duration of the run, in seconds; None without a planned end."""
        self.planned_s = planned_s

    def begin(
        self, now: float, elapsed_s: float = 0.0, stats_elapsed_s: float | None = None, away_s: float = 0.0
    ) -> None:
        """Start the times of the run now, or `elapsed_s` seconds ago. The last `away_s` seconds, in which no deltas
        were collected, are part of the first interval, which gets the measurements of that time."""
        self.started_wall_s = clock.wall() - elapsed_s
        self.started_s = now - elapsed_s
        self._stats_since_s = now - (elapsed_s if stats_elapsed_s is None else stats_elapsed_s)
        self._interval_began_s = now - away_s

    def end_load(self, now: float, load_s: float | None = None) -> None:
        """Note the end of the load, when users are stopped: now, or after `load_s` seconds of load. Only the first call
        has an effect."""
        if self._load_ended_s is None:
            self._load_ended_s = now if load_s is None else self._stats_since_s + load_s

    def load_s(self, now: float) -> float:
        """Return the seconds of load since the statistics began."""
        ends = [end for end in (self._load_ended_s, self._ended_s) if end is not None]
        return max(0.0, min(now, *ends) - self._stats_since_s) if ends else now - self._stats_since_s

    @property
    def load_has_ended(self) -> bool:
        return self._load_ended_s is not None

    def end(self, now: float) -> None:
        """Note that all users have stopped; later snapshots have this time. Only the first call has an effect."""
        if self._ended_s is None:
            self._ended_s = now

    def elapsed_s(self, now: float) -> tuple[float, float]:
        """Return the seconds since the start of the run, and since the start of the statistics."""
        end = self._ended_s if self._ended_s is not None else now
        return end - self.started_s, end - self._stats_since_s

    @property
    def ended_wall_s(self) -> float:
        end = self._ended_s if self._ended_s is not None else clock.monotonic()
        return self.started_wall_s + end - self.started_s

    @property
    def table(self) -> StatsTable:
        """All measurements since the statistics began. Must not be modified."""
        self._settle()
        return self._aggregate.table

    def add(self, delta: StatsTable) -> None:
        """Add a delta, which must not be used afterwards."""
        if self.fresh.is_empty():
            # It is not copied, as no other code holds it: with many endpoints, copying would be the main cost.
            self.fresh = delta
        else:
            self.fresh.merge(delta)

    def restore(self, table: StatsTable) -> None:
        """Add the measurements of an earlier process, which are part of no interval."""
        self._aggregate.merge(table)

    def _settle(self) -> None:
        fresh = self.fresh
        if fresh.is_empty():
            return
        self.fresh = StatsTable(self._max_endpoints)
        total = self._aggregate.merge(fresh)
        if self._interval.is_empty():
            self._interval, self._interval_total = fresh, total
        else:
            self._interval.merge(fresh)
            self._interval_total.merge(total)
        self._warn_of_overflow()

    def _warn_of_overflow(self) -> None:
        names = self._aggregate.table.overflow_names
        if names and not self._has_warned_of_overflow:
            self._has_warned_of_overflow = True
            logger.warning(
                "There are more than %d endpoints; further ones are counted as (other), the first of them %s."
                " Give requests a name= that does not contain ids.",
                self._max_endpoints,
                ", ".join(names),
            )

    def reset(self, now: float) -> None:
        """Discard all measurements."""
        self._settle()
        self._aggregate.reset()
        self._begin_interval(now)
        self._stats_since_s = now

    def _begin_interval(self, now: float) -> None:
        # A snapshot may refer to the old tables, so they must not change any more.
        self._interval = StatsTable(self._max_endpoints)
        self._interval_total = EndpointStats(TOTAL)
        self._interval_began_s = now

    def snapshot(self, status: RunStatus) -> Snapshot:
        """Return a snapshot of the present, without ending the interval."""
        self._settle()
        interval = {key: stats.copy() for key, stats in self._interval.endpoints.items()}
        total, custom = self._interval_total.copy(), self._interval.custom.copy()
        return self._snapshot(status, clock.monotonic(), interval, total, custom)

    def emit(self, status: RunStatus, observe: Callable[[Snapshot], Snapshot] = lambda snapshot: snapshot) -> Snapshot:
        """End the interval, and return its snapshot.

        `observe` is called with the snapshot, and returns the one to use.
        """
        self._settle()
        now = clock.monotonic()
        interval = self._interval
        snapshot = observe(self._snapshot(status, now, interval.endpoints, self._interval_total, interval.custom))
        self.in_flight_peaks.note(snapshot.in_flight)
        self._begin_interval(now)
        return snapshot

    def _snapshot(
        self,
        status: RunStatus,
        now: float,
        interval: Mapping[EndpointKey, EndpointStats],
        interval_total: EndpointStats,
        interval_custom: Mapping[CustomKey, CustomStats],
    ) -> Snapshot:
        end = self._ended_s if self._ended_s is not None else now
        aggregate, generator = self._aggregate, status.generator
        return Snapshot(
            run_id=self.run_id,
            test=self._test,
            host=self._host,
            time_s=clock.wall(),
            started_s=self.started_wall_s,
            stats_since_s=self.started_wall_s + self._stats_since_s - self.started_s,
            elapsed_s=end - self.started_s,
            stats_elapsed_s=end - self._stats_since_s,
            load_s=self.load_s(now),
            planned_s=self.planned_s,
            state=status.state,
            users=generator.users,
            users_target=status.users_target,
            total=aggregate.total(),
            endpoints=aggregate.endpoints(),
            errors=aggregate.errors(),
            exceptions=aggregate.exceptions(),
            interrupted=aggregate.table.interrupted,
            iterations=dict(aggregate.table.iterations),
            # Without the time of the listeners of `test_stop`.
            interval_s=max(end - self._interval_began_s, 1e-9),
            interval=interval,
            interval_total=interval_total,
            interval_exceptions=self._interval.exception_count,
            interval_interrupted=self._interval.interrupted,
            in_flight=generator.in_flight,
            cut_off=aggregate.cut_off(),
            workers=generator.workers,
            users_max=generator.users_max,
            annotation_counts=status.annotations,
            custom=aggregate.custom(),
            interval_custom=interval_custom,
            rates_target=status.rates_target,
            iterations_target=status.iterations_target,
            iterations_ended=status.iterations_ended,
            dropped=dict(aggregate.table.dropped),
            interval_iterations=sum(self._interval.iterations.values()),
            interval_dropped=sum(self._interval.dropped.values()),
        )

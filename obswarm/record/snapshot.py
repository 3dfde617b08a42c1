"""The immutable state of a run at the end of an interval, which all outputs get, and its parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from obswarm.record.states import AlertStatus, GuardState, RunState, WorkerStatus
from obswarm.stats.custom import CustomKey, CustomStats
from obswarm.stats.endpoint import EndpointStats
from obswarm.stats.errors import ErrorKey, ErrorStats
from obswarm.stats.in_flight import CutOff, CutOffKey, InFlight
from obswarm.stats.keys import DROP_REASONS, EndpointKey
from obswarm.stats.table import StatsTable, TaskException


@dataclass(frozen=True, slots=True)
class GeneratorHealth:
    """The health of one load-generating process in the last interval.

    `cpu_ratio` is a share of one core; `loop_lag_s` the maximum delay of a wake-up; `saturated` becomes true when the
    process has been the bottleneck of this run for some time, and stays true. The rest is known only for workers of a
    master: the measured `capacity` in requests per second, numbers of statistics messages that were merged and that
    were lost, and the age of the newest statistics.
    """

    worker: str
    users: int
    cpu_ratio: float
    loop_lag_s: float
    memory_bytes: int
    saturated: bool
    state: WorkerStatus = WorkerStatus.READY
    capacity: float | None = None
    stats_messages: int = 0
    stats_lost: int = 0
    stats_lag_s: float = 0.0
    max_cpu_ratio: float = 0.0
    max_loop_lag_s: float = 0.0
    """The maxima of both in the run so far."""


DATA_RATIO_OVER_S = 20.0
"""Length of the window of a guard's `data_ratio`."""
MIN_DATA_RATIO = 0.9
"""Share of the time for which a guard should have values; a single query without a response does not matter."""


def lacks_data(no_data_s: float, watched_s: float) -> bool:
    """Return whether a guard has had no value for too large a share of its time."""
    return no_data_s > watched_s * (1 - MIN_DATA_RATIO)


@dataclass(frozen=True, slots=True)
class GuardView:
    """The state of a guard at the end of an interval. `value` is in seconds, a ratio or a plain number, None before the
    first value; `shown` is the same as text. Its condition has held since `since_s` (wall time). `trips` are (action,
    number)."""

    name: str
    when: str
    action: str
    state: GuardState
    value: float | None
    shown: str
    since_s: float | None
    trips: tuple[tuple[str, int], ...]
    matched: bool = True
    """False as long as there are no requests to the guard's endpoints."""
    data_ratio: float | None = None
    """Share of the last `DATA_RATIO_OVER_S` seconds with a value; None before the first evaluation."""
    watched_s: float = 0.0
    no_data_s: float = 0.0
    """Seconds without a value, of the `watched_s` seconds for which the guard has been evaluated."""
    no_data_reason: str = ""
    """Why there is no value, or why there was none the last time."""
    extremes: tuple[tuple[float, str], ...] = ()
    """The lowest and the highest value so far, those of earlier masters included, each with its text."""
    stopped: str = ""
    """Why it has stopped the run without having tripped; empty if it has not."""
    suspect: str = ""
    """The first suspect when it tripped the last time, as a clause; empty without one."""

    @property
    def lacks_recent_data(self) -> bool:
        """Whether too large a share of the last 20 s has no value."""
        return self.data_ratio is not None and self.data_ratio < MIN_DATA_RATIO

    @property
    def title(self) -> str:
        """The title of `guard_title`."""
        return guard_title(self.name, self.when, self.action)


def guard_title(name: str, when: str, action: str) -> str:
    """Return the title of a guard: its condition, after its name if it has one: `slow (p95 > 2s)`."""
    return when if name in (when, f"{action}: {when}") else f"{name} ({when})"


@dataclass(frozen=True, slots=True)
class AlertCount:
    """Number of delivered alerts of a name, status (firing, resolved) and source (alertmanager, grafana)."""

    alertname: str
    status: AlertStatus
    source: str
    count: int


@dataclass(frozen=True, slots=True)
class RefusedAlerts:
    """Number of delivered alerts that were refused for a reason (obswarm.guards.RefusalReason); an unreadable delivery
    counts as one. `example` explains the reason for the first one."""

    reason: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class TargetView:
    """Coverage of one target of a run: seconds with metrics (`measured_s`), seconds in which it was down, and in which
    it responded without metrics of its kind; for `not_seen_s`, the metric source did not respond or did not know the
    target. `problem` is a sentence, empty if there is none."""

    target: str
    kind: str
    measured_s: float
    down_s: float
    without_metrics_s: float
    problem: str
    not_seen_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Annotation:
    """An event of a run, at a wall time in seconds. `kind` is an AnnotationKind, or one of another version of
    obswarm."""

    time_s: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a run at the end of an interval, usually of a second. Its mappings must not be changed.

    `endpoints` and `total` are cumulative since the start (or the last reset) of the statistics; `interval` has the
    statistics of the last interval of `interval_s` seconds. `in_flight` has the requests in flight now, `cut_off` the
    requests and tasks that were interrupted since the reset. Users are counted by class name. `time_s`, `started_s` and
    `stats_since_s` are wall times; the last of them changes when the statistics are reset. `load_s` is the part of
    `stats_elapsed_s` with load: until users were asked to stop, without the wait for unfinished tasks. It is the
    divisor of the run's rates.
    """

    run_id: str
    test: str
    host: str | None
    time_s: float
    started_s: float
    stats_since_s: float
    elapsed_s: float
    stats_elapsed_s: float
    load_s: float
    planned_s: float | None
    state: RunState
    users: Mapping[str, int]
    users_target: Mapping[str, int]
    total: EndpointStats
    endpoints: Mapping[EndpointKey, EndpointStats]
    errors: Mapping[ErrorKey, ErrorStats]
    exceptions: Mapping[str, TaskException]
    interrupted: int
    iterations: Mapping[str, int]
    interval_s: float
    interval: Mapping[EndpointKey, EndpointStats]
    interval_total: EndpointStats
    interval_exceptions: int = 0
    interval_interrupted: int = 0
    in_flight: Mapping[EndpointKey, InFlight] = field(default_factory=dict)
    cut_off: Mapping[CutOffKey, CutOff] = field(default_factory=dict)
    workers: tuple[GeneratorHealth, ...] = field(default=())
    guards: tuple[GuardView, ...] = field(default=())
    alerts: tuple[AlertCount, ...] = field(default=())
    refused_alerts: tuple[RefusedAlerts, ...] = field(default=())
    users_max: int = 0
    """Maximum of concurrent users in the run so far, including maxima within an interval."""
    annotation_counts: Mapping[str, int] = field(default_factory=dict)
    """Number of annotations of the run so far, by kind."""
    custom: Mapping[CustomKey, CustomStats] = field(default_factory=dict)
    """The load test's own metrics, since the reset."""
    interval_custom: Mapping[CustomKey, CustomStats] = field(default_factory=dict)
    """The same of the last interval."""
    rates_target: Mapping[str, float] = field(default_factory=dict)
    """Target iterations per second, by user class of the open model; empty without any."""
    dropped: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Iterations that were planned and not started, since the reset, by user class and reason."""
    iterations_target: Mapping[str, int] = field(default_factory=dict)
    """Limited numbers of iterations, by the name of the limit: a user class, or `all` of them."""
    iterations_ended: Mapping[str, int] = field(default_factory=dict)
    """How many of these have ended in the run so far."""
    interval_iterations: int = 0
    interval_dropped: int = 0

    def with_guards(
        self,
        guards: tuple[GuardView, ...],
        alerts: tuple[AlertCount, ...],
        refused_alerts: tuple[RefusedAlerts, ...],
    ) -> "Snapshot":
        """Return a copy with the states of guards and alerts."""
        return replace(self, guards=guards, alerts=alerts, refused_alerts=refused_alerts)

    @property
    def user_count(self) -> int:
        return sum(self.users.values())

    @property
    def user_target(self) -> int:
        return sum(self.users_target.values())

    @property
    def rate_target(self) -> float:
        """Target iterations per second of all user classes of the open model."""
        return sum(self.rates_target.values())

    @property
    def is_open(self) -> bool:
        """Whether user classes have a rate of iterations instead of a number of users."""
        return bool(self.rates_target)

    @property
    def dropped_by_reason(self) -> dict[str, int]:
        """See `dropped_by_reason`."""
        return dropped_by_reason(self.dropped)


def dropped_by_reason(dropped: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Return the iterations that were planned and not started, by reason, in the order of DROP_REASONS."""
    sums = {reason: sum(count for (_, each), count in dropped.items() if each == reason) for reason in DROP_REASONS}
    return {reason: number for reason, number in sums.items() if number}


def statistics_of(table: StatsTable) -> dict[str, Any]:
    """Return the fields of a Snapshot that are the statistics since the start, from their table."""
    return {
        "total": table.total(),
        "endpoints": table.endpoints,
        "errors": table.errors,
        "exceptions": table.exceptions,
        "interrupted": table.interrupted,
        "iterations": table.iterations,
        "dropped": table.dropped,
        "cut_off": table.cut_off,
        "custom": table.custom,
    }

"""The immutable picture of a run that all outputs are given once a second, and the aggregate that it is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from obswarm.record.states import AlertStatus, GuardState, RunState, WorkerStatus
from obswarm.stats.endpoint import EndpointStats
from obswarm.stats.errors import ErrorKey, ErrorStats
from obswarm.stats.in_flight import CutOff, CutOffKey, InFlight
from obswarm.stats.keys import EndpointKey
from obswarm.stats.table import StatsTable, TaskException


@dataclass(frozen=True, slots=True)
class GeneratorHealth:
    """How one load-generating process fared in the last interval.

    `cpu_ratio` is a share of one core; `loop_lag_s` the longest that a wake-up was late; `saturated` is true once the
    process has been the bottleneck for a while in this run, and stays true. The rest is known of workers of a master
    only: `capacity` in requests per second as the worker measured them, statistics messages that were merged and that
    are known to be lost, and the age of its newest statistics.
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
    """The most of both in any interval of this run so far."""


SEEN_OVER_S = 20.0
"""The time over which `seen_ratio` of a guard is."""
WELL_SEEN = 0.9
"""The share of the time for which a guard has to have values. A single question without an answer is nothing."""


def lacks_data(no_data_s: float, watched_s: float) -> bool:
    """Whether values were missing in too much of the whole time of a guard."""
    return no_data_s > watched_s * (1 - WELL_SEEN)


@dataclass(frozen=True, slots=True)
class GuardView:
    """A guard at one moment. `value` is in seconds, shares of 1 or plain numbers, None before there was one, and
    `shown` the same for people; `since_s` is since when its condition holds (wall time); `trips` are (action, how
    often)."""

    name: str
    when: str
    action: str
    state: GuardState
    value: float | None
    shown: str
    since_s: float | None
    trips: tuple[tuple[str, int], ...]
    matched: bool = True
    """False while there is no request of the endpoints that it looks at."""
    seen_ratio: float | None = None
    """Which share of the last `SEEN_OVER_S` it had a value for; None before there was time for one."""
    watched_s: float = 0.0
    no_data_s: float = 0.0
    """For how long in `watched_s`, which is its whole time, it had none."""
    no_data_reason: str = ""
    """Why there is none, or was none the last time."""
    extremes: tuple[tuple[float, str], ...] = ()
    """The lowest and the highest value so far, also those that earlier masters had; and the same for people."""
    stopped: str = ""
    """Why it has stopped the run without having tripped; empty when it has not."""

    @property
    def is_partly_seen(self) -> bool:
        """Whether values were missing in the last 20 s, to a degree that people should know of."""
        return self.seen_ratio is not None and self.seen_ratio < WELL_SEEN

    @property
    def title(self) -> str:
        """As by `guard_title`."""
        return guard_title(self.name, self.when, self.action)


def guard_title(name: str, when: str, action: str) -> str:
    """Name a guard for people: its condition, after the name that somebody has given it: `slow (p95 > 2s)`."""
    return when if name in (when, f"{action}: {when}") else f"{name} ({when})"


@dataclass(frozen=True, slots=True)
class AlertCount:
    """How many alerts of a name, status (firing, resolved) and source (alertmanager, grafana) were delivered."""

    alertname: str
    status: AlertStatus
    source: str
    count: int


@dataclass(frozen=True, slots=True)
class RefusedAlerts:
    """How many of the delivered alerts were refused for a reason (obswarm.guards.RefusalReason), whole deliveries that
    could not be read counted as one; `example` says in words what was wrong with the first."""

    reason: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class TargetView:
    """What a run has seen of one of its targets: for how long (in seconds) its metrics were there, it could not be
    read, and it answered without a metric of its kind; in `not_seen_s` its source did not answer, or knew nothing.
    `problem` is a sentence for people, empty when there is none."""

    target: str
    kind: str
    measured_s: float
    down_s: float
    without_metrics_s: float
    problem: str
    not_seen_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Annotation:
    """An event on a run's time axis, at a wall time in seconds. `kind` is an AnnotationKind, or what another version of
    obswarm has stored."""

    time_s: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One second of a run. Whoever is given one must not change what it refers to.

    `endpoints` and `total` are cumulative since the start (or the last reset) of the statistics, `interval` holds
    what the last interval of `interval_s` seconds added. `in_flight` has the requests that are under way at this
    moment, `cut_off` what was ended by force since the statistics began. Users are counted by class name. `time_s`,
    `started_s` and `stats_since_s` are wall times; the last of them changes when the statistics are reset. `load_s` is
    the part of `stats_elapsed_s` in which there was load: until users were told to end, without the wait for those that
    still finish something. Rates of the run are over that time.
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
    """The most users that have lived at a time in this run so far, those of less than an interval included."""
    annotation_counts: Mapping[str, int] = field(default_factory=dict)
    """How many annotations of each kind the run has got so far."""

    def guarded(
        self,
        guards: tuple[GuardView, ...],
        alerts: tuple[AlertCount, ...],
        refused_alerts: tuple[RefusedAlerts, ...],
    ) -> "Snapshot":
        """The same with what guards and alerts are like."""
        return replace(self, guards=guards, alerts=alerts, refused_alerts=refused_alerts)

    @property
    def user_count(self) -> int:
        return sum(self.users.values())

    @property
    def user_target(self) -> int:
        return sum(self.users_target.values())


def statistics_of(table: StatsTable) -> dict[str, Any]:
    """Return the fields of a Snapshot that are the statistics since the start, from their table."""
    return {
        "total": table.total(),
        "endpoints": table.endpoints,
        "errors": table.errors,
        "exceptions": table.exceptions,
        "interrupted": table.interrupted,
        "iterations": table.iterations,
        "cut_off": table.cut_off,
    }

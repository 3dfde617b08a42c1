"""A stored run: its metadata, its intervals, and their totals."""

import bisect
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from obswarm.record.samples import SampleSeries
from obswarm.record.snapshot import Annotation
from obswarm.record.states import GuardState
from obswarm.stats import (
    CustomKey,
    CustomStats,
    EndpointKey,
    EndpointStats,
    ErrorKey,
    ErrorStats,
    TaskException,
    total_of,
)


@dataclass(frozen=True, slots=True)
class LoadTestText:
    """A load-test file at the start of the run, without recognisable secrets."""

    name: str
    text: bytes

    @property
    def hash(self) -> str:
        """SHA-256 of name and text, in hexadecimal."""
        return hashlib.sha256(self.name.encode() + b"\0" + self.text).hexdigest()


@dataclass(frozen=True, slots=True)
class RunMetadata:
    """What is known of a run before it starts. `configuration` has the values that differ from the defaults, without
    secrets; `revision` is the state of the load test's git repository."""

    version: str
    configuration: Mapping[str, Any] = field(default_factory=dict)
    loadtests: Sequence[LoadTestText] = ()
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class MetricKey:
    """Identifies a metric of a target, by the target's name and kind, and the metric's name and unit (of
    obswarm.targets)."""

    target: str
    kind: str
    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A stored run. `key` is its row id in the store; times are seconds since 1970. `ended_s` and `result` (the
    document of `--json`) are None as long as the run is running, and if it was interrupted; `last_s` is its last
    interval."""

    key: int
    run_id: str
    test: str
    host: str | None
    started_s: float
    ended_s: float | None
    last_s: float | None
    planned_s: float | None
    version: str
    configuration: Mapping[str, Any]
    revision: str | None
    result: Mapping[str, Any] | None
    note: str
    tags: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        end = self.ended_s if self.ended_s is not None else self.last_s
        return max(0.0, end - self.started_s) if end is not None else 0.0


@dataclass(frozen=True, slots=True)
class WorkerInterval:
    """The health of a worker in an interval; see GeneratorHealth."""

    users: int
    cpu_ratio: float
    loop_lag_s: float
    memory_bytes: int
    saturated: bool
    state: str
    stats_lag_s: float


@dataclass(frozen=True, slots=True)
class Interval:
    """The statistics of an interval of `interval_s` seconds, and the state at its end. `epoch` increases when the
    statistics are reset; `iterations` and `interrupted` count since then. Guards are (state, value) by name."""

    time_s: float
    elapsed_s: float
    interval_s: float
    epoch: int
    stats_since_s: float
    state: str
    users: Mapping[str, int]
    users_target: Mapping[str, int]
    endpoints: Mapping[EndpointKey, EndpointStats]
    errors: Mapping[ErrorKey, ErrorStats]
    exceptions: Mapping[str, TaskException]
    iterations: Mapping[str, int]
    interrupted: int
    workers: Mapping[str, WorkerInterval]
    guards: Mapping[str, tuple[GuardState, float | None]]
    in_flight: int | None = None
    """Requests in flight at its end, and the age of the oldest; None if an earlier version did not store it."""
    oldest_s: float | None = None
    load_s: float | None = None
    """Seconds of load since the last reset of statistics; None if an earlier version did not store it."""
    users_max: int | None = None
    """Maximum of concurrent users in the run so far; None if an earlier version did not store it."""
    custom: Mapping[CustomKey, CustomStats] = field(default_factory=dict)
    """The load test's own metrics in the interval."""
    rates_target: Mapping[str, float] = field(default_factory=dict)
    """Target iterations per second, by user class of the open model."""
    dropped: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Iterations that were planned and not started, since the last reset, by user class and reason."""

    def total(self) -> EndpointStats:
        """Return the sum of all endpoints."""
        return total_of(self.endpoints.values())


@dataclass(frozen=True, slots=True)
class RunRecord:
    """All stored data of a run. `endpoints` and `errors` are since the last reset of statistics; they are exact for a
    run that has ended, and the sum of its intervals for one that was interrupted. `samples` are (time, value) of the
    targets' metrics, at least one for each change; NaN where a metric disappeared. `series` are further series of the
    targets, by their names and labels, as they are: counters count."""

    info: RunInfo
    intervals: tuple[Interval, ...]
    endpoints: Mapping[EndpointKey, EndpointStats]
    errors: Mapping[ErrorKey, ErrorStats]
    exceptions: Mapping[str, TaskException]
    annotations: tuple[Annotation, ...]
    loadtests: tuple[LoadTestText, ...] = ()
    samples: Mapping[MetricKey, Sequence[tuple[float, float]]] = field(default_factory=dict)
    series: Mapping[MetricKey, Sequence[tuple[float, float]]] = field(default_factory=dict)
    custom: Mapping[CustomKey, CustomStats] = field(default_factory=dict)
    """The load test's own metrics since the last reset of statistics, as `endpoints`."""

    def total(self) -> EndpointStats:
        return total_of(self.endpoints.values())

    @property
    def load_s(self) -> float:
        """Divisor of the rates of `endpoints`, in seconds. For runs of earlier versions, it includes the wait at the
        end of the run."""
        if not self.intervals:
            return 0.0
        last = self.intervals[-1]
        if last.load_s is not None:
            return last.load_s
        return max(0.0, last.elapsed_s - (last.stats_since_s - self.info.started_s))


def value_at(points: Sequence[tuple[float, float]], time_s: float) -> float:
    """Return the value of a metric at that time, NaN if it had none."""
    if isinstance(points, SampleSeries):
        position = bisect.bisect_right(points.times_s, time_s)
        return points.values[position - 1] if position else math.nan
    position = bisect.bisect_right(points, time_s, key=lambda point: point[0])
    return points[position - 1][1] if position else math.nan

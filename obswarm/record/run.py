"""A run of the store: what is known before it starts, its intervals, and what they add up to."""

import bisect
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from obswarm.record.snapshot import Annotation
from obswarm.record.states import GuardState
from obswarm.stats import EndpointKey, EndpointStats, ErrorKey, ErrorStats, TaskException, total_of


@dataclass(frozen=True, slots=True)
class LoadTestText:
    """A load-test file as it was when the run began, without the secrets that can be told from it."""

    name: str
    text: bytes

    @property
    def hash(self) -> str:
        """SHA-256 of name and text, in hexadecimal."""
        return hashlib.sha256(self.name.encode() + b"\0" + self.text).hexdigest()


@dataclass(frozen=True, slots=True)
class RunMetadata:
    """What is known of a run before it starts. `configuration` is what was not left at its default, without secrets;
    `revision` the state of the load test's git repository."""

    version: str
    configuration: Mapping[str, Any] = field(default_factory=dict)
    loadtests: Sequence[LoadTestText] = ()
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class MetricKey:
    """A figure of a target: of the target's name and kind, in a unit of obswarm.targets."""

    target: str
    kind: str
    name: str
    unit: str


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run of the store. `key` is its number in there; times are seconds since 1970. `ended_s` is None when the run is
    still going on or was cut off, and `result` (the document of `--json`) with it; `last_s` is its last second."""

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
    """How a worker fared in a second; see GeneratorHealth."""

    users: int
    cpu_ratio: float
    loop_lag_s: float
    memory_bytes: int
    saturated: bool
    state: str
    stats_lag_s: float


@dataclass(frozen=True, slots=True)
class Interval:
    """What one interval of `interval_s` seconds added, and how things stood at its end. `epoch` grows when the
    statistics begin anew; `iterations` and `interrupted` count since then. Guards are (state, value) by name."""

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
    """Requests under way at its end, and the age of the oldest; None where an earlier version did not know."""
    oldest_s: float | None = None
    load_s: float | None = None
    """Seconds of load since the statistics began; None where an earlier version did not know."""
    users_max: int | None = None
    """The most users at a time in the run so far; None where an earlier version did not know."""

    def total(self) -> EndpointStats:
        """All endpoints in one."""
        return total_of(self.endpoints.values())


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Everything that the store has of a run. `endpoints` and `errors` are since the statistics last began; they are
    exact for a run that has ended, and the sum of its seconds for one that was cut off. `samples` are
    (time, value) of the targets' figures, one for each change; NaN where a figure went away."""

    info: RunInfo
    seconds: tuple[Interval, ...]
    endpoints: Mapping[EndpointKey, EndpointStats]
    errors: Mapping[ErrorKey, ErrorStats]
    exceptions: Mapping[str, TaskException]
    annotations: tuple[Annotation, ...]
    loadtests: tuple[LoadTestText, ...] = ()
    samples: Mapping[MetricKey, tuple[tuple[float, float], ...]] = field(default_factory=dict)

    def total(self) -> EndpointStats:
        return total_of(self.endpoints.values())

    @property
    def load_s(self) -> float:
        """The time that rates of `endpoints` are over; of a run that an earlier version has kept, with the wait at its
        end."""
        if not self.seconds:
            return 0.0
        last = self.seconds[-1]
        if last.load_s is not None:
            return last.load_s
        return max(0.0, last.elapsed_s - (last.stats_since_s - self.info.started_s))


def value_at(points: tuple[tuple[float, float], ...], time_s: float) -> float:
    """The value that a figure had then, NaN when it had none."""
    position = bisect.bisect_right(points, time_s, key=lambda point: point[0])
    return points[position - 1][1] if position else math.nan

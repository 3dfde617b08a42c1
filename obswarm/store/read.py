"""A run as the store has it, second by second, and added up."""

import bisect
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from obswarm.stats import (
    Annotation,
    EndpointKey,
    EndpointStats,
    ErrorKey,
    ErrorKinds,
    ErrorStats,
    GuardState,
    TaskException,
    total_of,
)
from obswarm.stats.codec import unpack_row
from obswarm.store.pack import unpack, unpack_values
from obswarm.store.provenance import LoadTestText
from obswarm.store.store import RunInfo, Store
from obswarm.store.writer import MetricKey

_MIB = 1024 * 1024


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
    marks: tuple[Annotation, ...]
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


def read_run(store: Store, info: RunInfo) -> RunRecord:
    """Raises ObswarmError when the store is damaged."""
    names = store.names(info)
    seconds = tuple(_seconds(store, info, names))
    measured = [second for second in seconds if second.epoch == seconds[-1].epoch]
    errors = ErrorKinds()
    for second in measured:
        for error, seen in second.errors.items():
            errors.count(error, seen, sys.maxsize)
    seconds = tuple(replace(second, errors=errors.grouped_as_here(second.errors)) for second in seconds)
    whole = store.whole(info)
    if whole is not None:
        endpoints = {stats.key: stats for stats in _endpoints(unpack(whole), names)}
    else:
        endpoints = _added_up(measured)
    return RunRecord(
        info=info,
        seconds=seconds,
        endpoints=endpoints,
        errors=errors,
        exceptions=seconds[-1].exceptions if seconds else {},
        marks=tuple(store.marks(info)),
        loadtests=tuple(store.loadtests(info)),
        samples=_samples(store, info, names),
    )


def _added_up(seconds: Sequence[Interval]) -> dict[EndpointKey, EndpointStats]:
    endpoints: dict[EndpointKey, EndpointStats] = {}
    for second in seconds:
        for key, stats in second.endpoints.items():
            endpoints.setdefault(key, EndpointStats(key)).merge(stats)
    return endpoints


def _seconds(store: Store, info: RunInfo, names: Mapping[int, tuple[str, ...]]) -> Iterator[Interval]:
    for time_s, content in store.contents(info, "seconds"):
        row = unpack(content)
        workers = {
            names[number][1]: WorkerInterval(users, cpu, lag, mib * _MIB, saturated, state, stats_lag)
            for number, users, cpu, lag, mib, saturated, state, stats_lag in row["workers"]
        }
        in_flight, oldest_s = row.get("in_flight", (None, None))
        yield Interval(
            time_s=time_s,
            elapsed_s=row["elapsed_s"],
            interval_s=row["interval_s"],
            epoch=row["epoch"],
            stats_since_s=row["stats_since_s"],
            state=row["state"],
            users=row["users"],
            users_target=row["users_target"],
            endpoints={stats.key: stats for stats in _endpoints(row["endpoints"], names)},
            errors={
                ErrorKey(*names[number][1:4]): ErrorStats(count, first_s, last_s, "".join(names[number][4:]))
                for number, count, first_s, last_s in row["errors"]
            },
            exceptions={
                names[number][1]: TaskException(names[number][1], names[number][2], count)
                for number, count in row["exceptions"]
            },
            iterations=row["iterations"],
            interrupted=row["interrupted"],
            workers=workers,
            guards={names[number][1]: (GuardState(state), value) for number, state, value in row["guards"]},
            in_flight=in_flight,
            oldest_s=oldest_s,
            load_s=row.get("load_s"),
            users_max=row.get("users_max"),
        )


def _endpoints(rows: list[list[Any]], names: Mapping[int, tuple[str, ...]]) -> Iterator[EndpointStats]:
    for number, *fields in rows:
        yield unpack_row(fields, EndpointKey(*names[number][1:]))


def _samples(
    store: Store, info: RunInfo, names: Mapping[int, tuple[str, ...]]
) -> dict[MetricKey, tuple[tuple[float, float], ...]]:
    points: dict[int, list[tuple[float, float]]] = {}
    for time_s, content in store.contents(info, "samples"):
        for number, value in unpack_values(content).items():
            points.setdefault(number, []).append((time_s, value))
    return {MetricKey(*names[number][1:]): tuple(found) for number, found in points.items()}


def value_at(points: tuple[tuple[float, float], ...], time_s: float) -> float:
    """The value that a figure had then, NaN when it had none."""
    position = bisect.bisect_right(points, time_s, key=lambda point: point[0])
    return points[position - 1][1] if position else math.nan

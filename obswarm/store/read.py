"""Read a run from the store: its intervals and their totals."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from obswarm.record import GuardState, Interval, MetricKey, RunInfo, RunRecord, WorkerInterval
from obswarm.stats import EndpointKey, EndpointStats, ErrorKey, ErrorKinds, ErrorStats, TaskException
from obswarm.stats.codec import unpack_row
from obswarm.store.pack import unpack, unpack_values
from obswarm.store.store import Store

_MIB = 1024 * 1024


def read_run(store: Store, info: RunInfo) -> RunRecord:
    """Return all stored data of a run. Raises ObswarmError if the store is damaged."""
    names = store.names(info)
    intervals = tuple(_intervals(store, info, names))
    measured = [interval for interval in intervals if interval.epoch == intervals[-1].epoch]
    errors = ErrorKinds()
    for interval in measured:
        for error, seen in interval.errors.items():
            errors.count(error, seen, sys.maxsize)
    intervals = tuple(replace(interval, errors=errors.group_like_this(interval.errors)) for interval in intervals)
    totals = store.totals(info)
    if totals is not None:
        endpoints = {stats.key: stats for stats in _endpoints(unpack(totals), names)}
    else:
        endpoints = _sum(measured)
    return RunRecord(
        info=info,
        intervals=intervals,
        endpoints=endpoints,
        errors=errors,
        exceptions=intervals[-1].exceptions if intervals else {},
        annotations=tuple(store.annotations(info)),
        loadtests=tuple(store.loadtests(info)),
        samples=_samples(store, info, names),
    )


def _sum(intervals: Sequence[Interval]) -> dict[EndpointKey, EndpointStats]:
    endpoints: dict[EndpointKey, EndpointStats] = {}
    for interval in intervals:
        for key, stats in interval.endpoints.items():
            endpoints.setdefault(key, EndpointStats(key)).merge(stats)
    return endpoints


def _intervals(store: Store, info: RunInfo, names: Mapping[int, tuple[str, ...]]) -> Iterator[Interval]:
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

"""Read a run from the store: its intervals and their totals."""

import math
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from obswarm.record import GuardState, Interval, MetricKey, RunInfo, RunRecord, SampleSeries, WorkerInterval
from obswarm.stats import (
    CustomKey,
    CustomKind,
    CustomSeries,
    CustomStats,
    EndpointKey,
    EndpointStats,
    ErrorKey,
    ErrorKinds,
    ErrorStats,
    TaskException,
)
from obswarm.stats.codec import unpack_row
from obswarm.store.pack import METRIC, SERIES, unpack, unpack_values
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
    samples = _samples(store, info, names)
    totals = store.totals(info)
    if totals is not None:
        endpoints = {stats.key: stats for stats in _endpoints(unpack(totals), names)}
    else:
        endpoints = _sum(measured)
    packed = store.custom_totals(info)
    if packed is not None:
        custom = CustomSeries(_custom(unpack(packed), names))
    else:
        custom = CustomSeries()
        for interval in measured:
            custom.merge(interval.custom)
    return RunRecord(
        info=info,
        intervals=intervals,
        endpoints=endpoints,
        errors=errors,
        exceptions=intervals[-1].exceptions if intervals else {},
        annotations=tuple(store.annotations(info)),
        loadtests=tuple(store.loadtests(info)),
        samples=samples[METRIC],
        series=samples[SERIES],
        custom=custom,
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
            custom=dict(_custom(row.get("custom", ()), names)),
            rates_target=row.get("rates_target", {}),
            dropped={(user_class, reason): count for user_class, reason, count in row.get("dropped", ())},
        )


def _endpoints(rows: list[list[Any]], names: Mapping[int, tuple[str, ...]]) -> Iterator[EndpointStats]:
    for number, *fields in rows:
        yield unpack_row(fields, EndpointKey(*names[number][1:]))


def _custom(rows: Sequence[list[Any]], names: Mapping[int, tuple[str, ...]]) -> Iterator[tuple[CustomKey, CustomStats]]:
    for number, *packed in rows:
        _, name, kind, unit, *labels = names[number]
        pairs = tuple(zip(labels[::2], labels[1::2], strict=True))
        yield CustomKey(name, CustomKind(kind), unit, pairs), CustomStats.unpack(packed)


_BLOCK_ROWS = 64
_NOTHING = array("d", [math.nan])


def _samples(
    store: Store, info: RunInfo, names: Mapping[int, tuple[str, ...]]
) -> dict[str, dict[MetricKey, SampleSeries]]:
    """Return the metrics of the targets, and their further series: METRIC and SERIES with theirs."""
    numbers = {what: [number for number, name in names.items() if name[0] == what] for what in (METRIC, SERIES)}
    columns = {what: _Columns(each) for what, each in numbers.items()}
    for time_s, content in store.contents(info, "samples"):
        values = list(unpack_values(content))
        if values:
            columns[names[values[0][0]][0]].add(time_s, values)
    return {
        what: {MetricKey(*names[number][1:]): series for number, series in each.found()}
        for what, each in columns.items()
    }


@dataclass(slots=True)
class _Column:
    """The values of a metric in the blocks in which it changed."""

    values: "array[float]"
    blocks: list[int] = field(default_factory=list)


class _Columns:
    """Rows of changed values, as columns. Rows are put together in blocks, whose columns are cut out at once; a block
    in which a metric did not change is left out."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._columns = {number: _Column(array("d")) for number in numbers}
        self._first, self._width = min(numbers, default=0), max(numbers, default=-1) + 1
        self._width -= self._first
        self._current = [math.nan] * self._width
        self._block, self._moments = array("d"), array("d")
        self._times: list[array[float]] = []

    def add(self, time_s: float, values: Iterable[tuple[int, float]]) -> None:
        """Add a row; `values` are (number, value)."""
        current, first = self._current, self._first
        for number, value in values:
            current[number - first] = value
        self._block.extend(current)
        self._moments.append(time_s)
        if len(self._moments) == _BLOCK_ROWS:
            self._cut()

    def _cut(self) -> None:
        for number, column in self._columns.items():
            part = self._block[number - self._first :: self._width]
            last = column.values[-1:] or _NOTHING
            # Compared as bytes: NaN, which marks a gap, differs from itself.
            if part.tobytes() != last.tobytes() * len(part):
                column.values.extend(part)
                column.blocks.append(len(self._times))
        self._times.append(self._moments)
        self._block, self._moments = array("d"), array("d")

    def found(self) -> Iterator[tuple[int, SampleSeries]]:
        """Yield (number, series) of each metric; one that was never a number has one sample, NaN."""
        if self._moments:
            self._cut()
        shared: dict[tuple[int, ...], array[float]] = {}
        for number, column in self._columns.items():
            blocks = tuple(column.blocks)
            if blocks and blocks not in shared:
                shared[blocks] = array("d", chain.from_iterable(self._times[each] for each in blocks))
            if blocks:
                yield number, SampleSeries(shared[blocks], column.values)
            elif self._times:
                yield number, SampleSeries(self._times[0][:1], _NOTHING)


def metric_samples(
    store: Store, info: RunInfo, since_s: float, pause: Callable[[], None] = lambda: None
) -> dict[MetricKey, list[tuple[float, float]]]:
    """Return the metrics of a run's targets, without their further series, by (time, value) after a wall time: one for
    each change, NaN where a metric disappeared. `pause` is called now and then, to let other greenlets run. Raises
    ObswarmError if the store is damaged."""
    keys = {number: MetricKey(*name[1:]) for number, name in store.names(info).items() if name[0] == METRIC}
    found: dict[MetricKey, list[tuple[float, float]]] = {key: [] for key in keys.values()}
    for number, (time_s, content) in enumerate(store.contents(info, "samples", since_s)):
        for metric, value in unpack_values(content):
            if metric in keys:
                found[keys[metric]].append((time_s, float(value)))
        if number % _BLOCK_ROWS == 0:
            pause()
    return found

"""Statistics on the wire: what a worker counted since its last report, and many of those added up.

Columns, not rows: a master with a thousand workers gets fifty thousand endpoints a second, so that both reading and
adding have to be done in C loops. A delta is a MessagePack array of

- names: method, name, method, name …
- integers: signed 64-bit little-endian, column after column (`_COLUMNS`), one value an endpoint
- seconds: 64-bit floats, the shortest durations of all endpoints and then the longest; -1 where there was no request
- light: 16-bit indices of histogram buckets, endpoint after endpoint; a bucket that holds n requests stands there n
  times
- heavy: [endpoint, {bucket: requests}] for buckets that hold more than `_LIGHT`
- statuses: [endpoint, failed, status class, requests] for all but successes with 2xx
- phases: [endpoint, phase, nanoseconds, {bucket: requests}] where detailed timings are kept
- exemplars: [endpoint, trace id, seconds, wall time]
- errors: [method, name, message, count, first seen, last seen]
- exceptions: [message, traceback, count]
- iterations by user class, interrupted requests, names of endpoints that count as (other)
"""

import math
import sys
from array import array
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate, chain, pairwise
from typing import Any, cast

import msgpack

from obswarm.stats import (
    PHASES,
    EndpointKey,
    EndpointStats,
    ErrorKey,
    ErrorStats,
    Exemplar,
    Histogram,
    StatsTable,
    TaskException,
    TimingStats,
)
from obswarm.stats.histogram import FIRST_BUCKET, LAST_BUCKET

_LIGHT = 4
_OK = "2xx"
_BYTES, _SUM_NS, _SUCCESSES, _LIGHT_COUNT, _TIMINGS = range(5)
_COLUMNS = _TIMINGS + 2 * len(PHASES)
_LONGEST_TEXT = 20_000
_NOTHING = -1.0


class Malformed(ValueError):
    """What was received is not what this version sends."""


def pack_table(table: StatsTable) -> bytes:
    """All that the table holds, as a delta."""
    every = list(table.endpoints.values())
    columns: list[list[int]] = [[] for _ in range(_COLUMNS)]
    shortest, longest = [], []
    light = array("h")
    heavy: list[Any] = []
    statuses: list[Any] = []
    phases: list[Any] = []
    exemplars: list[Any] = []
    for number, stats in enumerate(every):
        before = len(light)
        many = {}
        for index, count in stats.duration.buckets.items():
            if count <= _LIGHT:
                light.extend((index,) * count)
            else:
                many[index] = count
        if many:
            heavy.append([number, many])
        timings = stats.timings or TimingStats()
        row = (
            stats.response_bytes,
            stats.duration.sum_ns,
            stats.successes.get(_OK, 0),
            len(light) - before,
            *timings.counts,
            *timings.sums_ns,
        )
        for column, value in zip(columns, row, strict=True):
            column.append(value)
        shortest.append(_NOTHING if stats.min_s is None else stats.min_s)
        longest.append(_NOTHING if stats.max_s is None else stats.max_s)
        statuses.extend([number, False, status, count] for status, count in stats.successes.items() if status != _OK)
        statuses.extend([number, True, status, count] for status, count in stats.failures_by.items())
        phases.extend([number, name, each.sum_ns, each.buckets] for name, each in timings.histograms.items())
        exemplars.extend([number, *exemplar] for exemplar in stats.exemplars())
    packed: bytes = msgpack.packb(
        [
            list(chain.from_iterable(stats.key for stats in every)),
            _little(array("q", chain.from_iterable(columns))),
            _little(array("d", chain(shortest, longest))),
            _little(light),
            heavy,
            statuses,
            phases,
            exemplars,
            [[*key, seen.count, seen.first_seen_s, seen.last_seen_s] for key, seen in table.errors.items()],
            [[found.message, found.traceback, found.count] for found in table.exceptions.values()],
            table.iterations,
            table.interrupted,
            table.overflow_names,
        ]
    )
    return packed


def _little(values: "array[Any]") -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def _read(kind: str, raw: bytes) -> "array[Any]":
    values: array[Any] = array(kind)
    values.frombytes(raw)
    if sys.byteorder == "big":
        values.byteswap()
    return values


class DeltaSum:
    """Deltas that have come in, added up when `take` is called.

    `add` raises Malformed, and then has counted nothing of that delta.
    """

    def __init__(self) -> None:
        self._rows: dict[EndpointKey, list[tuple[Any, ...]]] = {}
        self._light: dict[EndpointKey, list[Any]] = {}
        self._rest = StatsTable()
        self.deltas = 0

    def add(self, packed: bytes) -> None:
        """Count a delta."""
        try:
            delta = _Delta(packed)
        except Malformed:
            raise
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, msgpack.UnpackException) as error:
            raise Malformed(f"statistics that cannot be read ({type(error).__name__})") from None
        self.deltas += 1
        rows, light = self._rows, self._light
        for key, row, indices in zip(delta.keys, delta.rows, delta.light, strict=True):
            if key in rows:
                rows[key].append(row)
                light[key].append(indices)
            else:
                rows[key] = [row]
                light[key] = [indices]
        delta.merge_rest(self._rest)

    def take(self, max_endpoints: int) -> StatsTable:
        """What came in since the last call, as a table with that limit."""
        rows, light, rest = self._rows, self._light, self._rest
        self.__init__()  # type: ignore[misc]  # empty again
        table = StatsTable(max_endpoints)
        for key, gathered in rows.items():
            _add_rows(table.endpoint(EndpointKey(*key)), gathered, light[key])
        table.merge(rest)
        return table


def _add_rows(stats: EndpointStats, rows: list[tuple[Any, ...]], light: list[Any]) -> None:
    columns = list(zip(*rows, strict=True))
    sums = [sum(column) for column in columns[:_COLUMNS]]
    histogram = stats.duration
    counts = Counter(histogram.buckets)
    counts.update(chain.from_iterable(light))
    histogram.buckets = dict(counts)
    histogram.count += sums[_LIGHT_COUNT]
    histogram.sum_ns += sums[_SUM_NS]
    stats.response_bytes += sums[_BYTES]
    if sums[_SUCCESSES]:
        stats.successes[_OK] = stats.successes.get(_OK, 0) + sums[_SUCCESSES]
    shortest = min((value for value in columns[_COLUMNS] if value >= 0), default=None)
    if shortest is not None:
        longest = max(columns[_COLUMNS + 1])
        stats.min_s = shortest if stats.min_s is None else min(stats.min_s, shortest)
        stats.max_s = longest if stats.max_s is None else max(stats.max_s, longest)
    timings = sums[_TIMINGS:]
    if any(timings):
        both = TimingStats()
        both.counts, both.sums_ns = timings[: len(PHASES)], timings[len(PHASES) :]
        if stats.timings is None:
            stats.timings = both
        else:
            stats.timings.merge(both)


class _Delta:
    """One delta, decoded and checked: everything that follows can rely on it."""

    def __init__(self, packed: bytes) -> None:
        parts = msgpack.unpackb(packed, raw=False, strict_map_key=False)
        _check(type(parts) is list and len(parts) == 13)
        names, integers, seconds, light, self._heavy, self._statuses, self._phases, self._exemplars = parts[:8]
        self._errors, self._exceptions, self._iterations, self._interrupted, self._overflow = parts[8:]
        _check_texts(names)
        count = len(names) // 2
        self.keys = [cast(EndpointKey, key) for key in zip(names[::2], names[1::2], strict=True)]
        values = _read("q", integers)
        times = _read("d", seconds)
        indices = _read("h", light)
        _check(len(values) == _COLUMNS * count and len(times) == 2 * count and len(set(self.keys)) == count)
        _check(not count or (min(values) >= 0 and math.isfinite(sum(times)) and min(times) >= _NOTHING))
        _check(not indices or (min(indices) >= FIRST_BUCKET and max(indices) <= LAST_BUCKET))
        columns = [values[start : start + count] for start in range(0, _COLUMNS * count, count)] if count else []
        self.rows = list(zip(*columns, times[:count], times[count:], strict=True)) if count else []
        light_counts = columns[_LIGHT_COUNT] if count else array("q")
        borders = list(accumulate(light_counts, initial=0))
        _check(borders[-1] == len(indices))
        self.light = [indices[start:end] for start, end in pairwise(borders)]
        if self._heavy or self._statuses:
            self._check_counts(columns)
        else:
            _check(not count or columns[_SUCCESSES] == light_counts)
        self._check_rest(count)

    def _check_counts(self, columns: "list[array[int]]") -> None:
        """Every request has one status."""
        left = [light - fine for light, fine in zip(columns[_LIGHT_COUNT], columns[_SUCCESSES], strict=True)]
        for number, buckets in self._heavy:
            _check_buckets(buckets)
            left[_index(number, left)] += sum(buckets.values())
        for number, failed, status, requests in self._statuses:
            _check(type(failed) is bool)
            _check_texts([status])
            left[_index(number, left)] -= _natural(requests)
        _check(not any(left))

    def _check_rest(self, count: int) -> None:
        for number, phase, sum_ns, buckets in self._phases:
            _check(0 <= _natural(number) < count and phase in PHASES)
            _natural(sum_ns)
            _check_buckets(buckets)
        for number, trace_id, seconds, time_s in self._exemplars:
            _check(0 <= _natural(number) < count and _is_time(seconds) and _is_time(time_s))
            _check_texts([trace_id])
        for method, name, message, seen, first_s, last_s in self._errors:
            _check_texts([method, name, message])
            _natural(seen)
            _check(_is_time(first_s) and _is_time(last_s))
        for message, traceback, seen in self._exceptions:
            _check_texts([message, traceback])
            _natural(seen)
        _check_texts([*self._iterations, *self._overflow])
        for number in self._iterations.values():
            _natural(number)
        _natural(self._interrupted)

    def merge_rest(self, into: StatsTable) -> None:
        """All that does not stand in columns; the endpoints' limit is held later."""
        into.max_endpoints = max(into.max_endpoints, len(into.endpoints) + len(self.keys) + 2)
        for number, buckets in self._heavy:
            into.endpoint(self.keys[number]).duration.merge(Histogram(buckets))
        for number, failed, status, requests in self._statuses:
            stats = into.endpoint(self.keys[number])
            counts = stats.failures_by if failed else stats.successes
            counts[status] = counts.get(status, 0) + requests
            stats.failures += requests if failed else 0
        for number, phase, sum_ns, buckets in self._phases:
            stats = into.endpoint(self.keys[number])
            detailed = TimingStats()
            detailed.histograms[phase] = Histogram(buckets, sum_ns)
            if stats.timings is None:
                stats.timings = TimingStats()
            stats.timings.merge(detailed)
        for number, trace_id, seconds, time_s in self._exemplars:
            into.endpoint(self.keys[number]).add_exemplar(Exemplar(trace_id, seconds, time_s))
        for method, name, message, seen, first_s, last_s in self._errors:
            into.count_error(ErrorKey(method, name, message), ErrorStats(seen, first_s, last_s))
        for message, traceback, seen in self._exceptions:
            into.count_exception(TaskException(message, traceback, seen))
        for user_class, finished in self._iterations.items():
            into.iterations[user_class] = into.iterations.get(user_class, 0) + finished
        into.interrupted += self._interrupted
        for name in self._overflow:
            into.note_overflow(name)


def _check(fine: bool) -> None:
    if not fine:
        raise Malformed("statistics that make no sense")


def _check_texts(texts: Iterable[Any]) -> None:
    _check(all(type(text) is str for text in texts) and max(map(len, texts), default=0) <= _LONGEST_TEXT)


def _check_buckets(buckets: Any) -> None:
    _check(type(buckets) is dict and set(map(type, chain(buckets, buckets.values()))) <= {int})
    if buckets:
        _check(min(buckets) >= FIRST_BUCKET and max(buckets) <= LAST_BUCKET and min(buckets.values()) > 0)


def _natural(value: Any) -> int:
    _check(type(value) is int and value >= 0)
    return cast(int, value)


def _index(value: Any, among: list[int]) -> int:
    _check(_natural(value) < len(among))
    return cast(int, value)


def _is_time(value: Any) -> bool:
    return type(value) is float and math.isfinite(value)

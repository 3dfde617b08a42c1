"""Deltas as of obswarm.cluster.delta_format, checked and added up."""

import math
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection
from itertools import chain
from typing import Any, cast

import msgpack

from obswarm import defaults
from obswarm.cluster.delta_format import (
    BUCKETS,
    BYTES,
    COLUMNS,
    LOW,
    NOTHING,
    OK,
    PARTS,
    SUCCESSES,
    SUM_NS,
    TIMINGS,
    VALUE_BITS,
    from_little_endian,
)
from obswarm.sanitize import is_clean
from obswarm.stats import (
    CUT_OFF_KINDS,
    PHASES,
    CutOff,
    CutOffKey,
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

_LANE_BITS = 64
_FOLD_AFTER = 256
"""Deltas: so many values of `VALUE_BITS` can be added without one running over into its neighbour."""


class Malformed(ValueError):
    """What was received is not what this version sends."""


class DeltaSum:
    """Deltas that have come in, added up by the time of `take`.

    `add` raises Malformed, and then has counted nothing of that delta.
    """

    def __init__(self) -> None:
        self._groups: dict[bytes, _Group] = {}
        self._sum = StatsTable(sys.maxsize)
        self.deltas = 0

    def add(self, packed: bytes) -> None:
        """Count a delta."""
        try:
            parts = msgpack.unpackb(packed, raw=False, strict_map_key=False)
            _check(type(parts) is list and len(parts) == PARTS and type(parts[0]) is bytes)
            group = self._groups.get(parts[0])
            if group is None:
                group = _Group(parts[0])
            rest = _Rest(parts, group)
            group.add(parts[1], parts[2], parts[3], rest.requests)
        except Malformed:
            raise
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, msgpack.UnpackException) as error:
            raise Malformed(f"statistics that cannot be read ({type(error).__name__})") from None
        self._groups[parts[0]] = group
        self.deltas += 1
        rest.merge_into(self._sum, group.keys)
        if group.deltas == _FOLD_AFTER:
            group.fold_into(self._sum)

    def take(self, max_endpoints: int) -> StatsTable:
        """What came in since the last call, as a table with that limit."""
        whole = self._sum
        for group in self._groups.values():
            group.fold_into(whole)
        self._groups, self._sum, self.deltas = {}, StatsTable(sys.maxsize), 0
        if len(whole.endpoints) < max_endpoints:
            whole.max_endpoints = max_endpoints
            return whole
        table = StatsTable(max_endpoints)
        table.merge(whole)
        return table


class _Group:
    """Deltas with the same endpoints.

    Integers are added as one number of many 64-bit lanes: since every lane's top bits are empty, none runs over into
    the next, and the addition is the processor's.
    """

    def __init__(self, names: bytes) -> None:
        texts = msgpack.unpackb(names, raw=False)
        _check(type(texts) is list and len(texts) % 2 == 0)
        _check_texts(texts)
        self.keys = [EndpointKey(*key) for key in zip(texts[::2], texts[1::2], strict=True)]
        _check(len(set(self.keys)) == len(self.keys))
        lanes = COLUMNS * len(self.keys)
        self._size = lanes * _LANE_BITS // 8
        empty = (2**_LANE_BITS - 2**VALUE_BITS).to_bytes(_LANE_BITS // 8, "little")
        self._must_be_empty = int.from_bytes(empty * lanes, "little")
        self._begin()

    def _begin(self) -> None:
        self.deltas = 0
        self._integers = 0
        self._seconds: list[array[float]] = []
        self._light: Counter[int] = Counter()

    def add(self, integers: bytes, seconds: bytes, light: bytes, other_requests: int) -> None:
        """`other_requests`: those that are not successes with 2xx, less those in heavy buckets."""
        count = len(self.keys)
        _check(type(integers) is bytes and len(integers) == self._size)
        lanes = int.from_bytes(integers, "little")
        _check(not lanes & self._must_be_empty)
        times = from_little_endian("d", seconds)
        _check(len(times) == 2 * count and (not count or (math.isfinite(sum(times)) and min(times) >= NOTHING)))
        keys = from_little_endian("I", light)
        _check(count > 0 or not keys)
        successes = from_little_endian("Q", integers[SUCCESSES * count * 8 : (SUCCESSES + 1) * count * 8])
        _check(sum(successes) + other_requests == len(keys))
        self._integers += lanes
        self._seconds.append(times)
        self._light.update(keys)
        self.deltas += 1

    def fold_into(self, table: StatsTable) -> None:
        """Add what was gathered to the table, and begin anew."""
        count = len(self.keys)
        if not self.deltas or not count:
            return
        values = from_little_endian("Q", self._integers.to_bytes(self._size, "little"))
        columns = [values[start : start + count] for start in range(0, COLUMNS * count, count)]
        edges = list(zip(*self._seconds, strict=True))
        buckets: defaultdict[int, dict[int, int]] = defaultdict(dict)
        for where, requests in self._light.items():
            number, bucket = divmod(where, BUCKETS)
            # Looking for numbers that are too high in every delta would cost as much as counting them does.
            number, index = min(number, count - 1), min(bucket + FIRST_BUCKET, LAST_BUCKET)
            buckets[number][index] = buckets[number].get(index, 0) + requests
        for number, key in enumerate(self.keys):
            stats = table.endpoint(key)
            stats.duration.merge(Histogram(buckets.get(number), columns[SUM_NS][number]))
            stats.response_bytes += columns[BYTES][number]
            successes = columns[SUCCESSES][number]
            if successes:
                stats.successes[OK] = stats.successes.get(OK, 0) + successes
            shortest = min((value for value in edges[number] if value >= 0), default=None)
            if shortest is not None:
                longest = max(edges[count + number])
                stats.min_s = shortest if stats.min_s is None else min(stats.min_s, shortest)
                stats.max_s = longest if stats.max_s is None else max(stats.max_s, longest)
            phases = [columns[TIMINGS + column][number] for column in range(2 * len(PHASES))]
            if any(phases):
                timings = TimingStats()
                timings.counts, timings.sums_ns = phases[: len(PHASES)], phases[len(PHASES) :]
                if stats.timings is None:
                    stats.timings = timings
                else:
                    stats.timings.merge(timings)
        self._begin()


class _Rest:
    """What of a delta does not stand in columns, checked. `requests` as _Group.add needs it."""

    def __init__(self, parts: list[Any], group: _Group) -> None:
        self._heavy, self._statuses, self._phases, self._exemplars = parts[4:8]
        self._errors, self._exceptions, self._iterations, self._cut_off, self._overflow = parts[8:13]
        self._wide, self._untimed, self._lost = parts[13:]
        count = len(group.keys)
        self.requests = 0
        for number, buckets in self._heavy:
            _check(_natural(number) < count)
            _check_buckets(buckets)
            self.requests -= sum(buckets.values())
        for number, failed, status, requests in self._statuses:
            _check(_natural(number) < count and type(failed) is bool)
            _check_texts([status])
            self.requests += _natural(requests)
        for number, phase, high, low, buckets in self._phases:
            _check(_natural(number) < count and phase in PHASES)
            _check(_natural(high) < 2**64 and _natural(low) <= LOW)
            _check_buckets(buckets)
        for number, column, high in self._wide:
            _check(_natural(number) < count and _natural(column) < COLUMNS and _natural(high) < 2**64)
            self.requests += high << VALUE_BITS if column == SUCCESSES else 0
        for number, requests in self._untimed:
            _check(_natural(number) < count)
            self.requests -= _natural(requests)
        for worker, reason, requests in self._lost:
            _check_texts([worker, reason])
            _natural(requests)
        for number, trace_id, seconds, time_s in self._exemplars:
            _check(_natural(number) < count and _is_time(seconds) and _is_time(time_s))
            _check_texts([trace_id])
        for method, name, message, seen, first_s, last_s in self._errors:
            _check_texts([method, name, message])
            _natural(seen)
            _check(_is_time(first_s) and _is_time(last_s))
        for message, traceback, seen in self._exceptions:
            _check_texts([message])
            _check(type(traceback) is str)
            _check_texts([traceback.replace("\n", "")], defaults.MAX_TRACEBACK_LENGTH)
            _natural(seen)
        _check_texts([*self._iterations, *self._overflow])
        for number in self._iterations.values():
            _natural(number)
        for kind, method, name, seen, oldest_s in self._cut_off:
            _check(kind in CUT_OFF_KINDS and _is_time(oldest_s))
            _check_texts([method, name])
            _natural(seen)

    def merge_into(self, table: StatsTable, keys: list[EndpointKey]) -> None:
        for number, buckets in self._heavy:
            table.endpoint(keys[number]).duration.merge(Histogram(buckets))
        for number, failed, status, requests in self._statuses:
            stats = table.endpoint(keys[number])
            counts = stats.failures_by if failed else stats.successes
            counts[status] = counts.get(status, 0) + requests
            stats.failures += requests if failed else 0
        for number, phase, high, low, buckets in self._phases:
            stats = table.endpoint(keys[number])
            detailed = TimingStats()
            detailed.histograms[phase] = Histogram(buckets, (high << VALUE_BITS) + low)
            if stats.timings is None:
                stats.timings = TimingStats()
            stats.timings.merge(detailed)
        for number, trace_id, seconds, time_s in self._exemplars:
            table.endpoint(keys[number]).add_exemplar(Exemplar(trace_id, seconds, time_s))
        for method, name, message, seen, first_s, last_s in self._errors:
            table.count_error(ErrorKey(method, name, message), ErrorStats(seen, first_s, last_s))
        for message, traceback, seen in self._exceptions:
            table.count_exception(TaskException(message, traceback, seen))
        for user_class, finished in self._iterations.items():
            table.iterations[user_class] = table.iterations.get(user_class, 0) + finished
        for kind, method, name, seen, oldest_s in self._cut_off:
            table.count_cut_off(CutOffKey(kind, method, name), CutOff(seen, oldest_s))
        for name in self._overflow:
            table.note_overflow(name)
        for number, column, high in self._wide:
            _add_to_column(table.endpoint(keys[number]), column, high << VALUE_BITS)
        for number, requests in self._untimed:
            table.endpoint(keys[number]).untimed += requests
        for worker, reason, requests in self._lost:
            table.count_lost(worker, reason, requests)


def _add_to_column(stats: EndpointStats, column: int, value: int) -> None:
    if column == BYTES:
        stats.response_bytes += value
    elif column == SUM_NS:
        stats.duration.sum_ns += value
    elif column == SUCCESSES:
        stats.successes[OK] = stats.successes.get(OK, 0) + value
    else:
        if stats.timings is None:
            stats.timings = TimingStats()
        which, phase = divmod(column - TIMINGS, len(PHASES))
        (stats.timings.counts, stats.timings.sums_ns)[which][phase] += value


def _check(fine: bool) -> None:
    if not fine:
        raise Malformed("statistics that make no sense")


def _check_texts(texts: Collection[Any], longest: int = defaults.MAX_NAME_LENGTH) -> None:
    """Whether they are what a recorder lets in."""
    _check(set(map(type, texts)) <= {str} and max(map(len, texts), default=0) <= longest and is_clean("".join(texts)))


def _check_buckets(buckets: Any) -> None:
    _check(type(buckets) is dict and set(map(type, chain(buckets, buckets.values()))) <= {int})
    if buckets:
        _check(min(buckets) >= FIRST_BUCKET and max(buckets) <= LAST_BUCKET and min(buckets.values()) > 0)


def _natural(value: Any) -> int:
    _check(type(value) is int and value >= 0)
    return cast(int, value)


def _is_time(value: Any) -> bool:
    return type(value) is float and math.isfinite(value)

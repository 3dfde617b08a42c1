"""Deltas, laid out as in layout.py, checked and added up."""

import math
import operator
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection
from itertools import chain
from typing import Any, cast

from obswarm import defaults
from obswarm.cluster.wire.bounds import MOST_PROCESSES, NotBelieved, RunBounds
from obswarm.cluster.wire.stats_codec.layout import (
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
from obswarm.cluster.wire.unpacking import Unreadable, unpack
from obswarm.sanitize import is_clean
from obswarm.stats import (
    CUT_OFF_KINDS,
    NO_STATUS,
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
from obswarm.stats.endpoint import STATUS_CLASSES
from obswarm.stats.histogram import FIRST_BUCKET, LAST_BUCKET

_LANE_BITS = 64
_FOLD_AFTER = 256
"""Deltas: so many values of `VALUE_BITS` can be added without one running over into its neighbour."""

_MOST_ITEMS = 2**31 - 1
_MOST_OVERFLOW_NAMES = 16
_LATEST_S = 1e11
"""The year 5138, for clocks that go wrong."""

_CONTAINERS = [dict if index == 10 else list for index in range(4, PARTS)]
"""Iterations are the one part behind the columns that is a map."""

_ENDPOINT_BITS = (2**32 - BUCKETS).to_bytes(4, "little")
"""Of a number in light."""

_STATUSES = frozenset(STATUS_CLASSES.values()) | {NO_STATUS}
_TOO_MANY = "it reports more than it can have done"
_NOT_CONSISTENT = "its requests by endpoint, by status and by duration are not the same number"


class Malformed(ValueError):
    """What was received is not what this version sends."""


class DeltaSum:
    """Deltas that have come in, added up by the time of `take`. With `bounds`, what they hold has to be within them.

    `add` raises Malformed, and then has counted nothing of that delta.
    """

    def __init__(self, bounds: RunBounds | None = None) -> None:
        self._groups: dict[bytes, _Group] = {}
        self._sum = StatsTable(sys.maxsize)
        self._bounds = bounds
        self.deltas = 0

    def add(self, packed: bytes, most_requests: float = math.inf) -> int:
        """Count a delta, of which no number of requests can be above `most_requests`. Gives how many are in it."""
        try:
            parts = unpack(packed, _MOST_ITEMS if self._bounds is None else self._bounds.most_items)
            _check(type(parts) is list and len(parts) == PARTS and type(parts[0]) is bytes)
            group = self._groups.get(parts[0])
            if group is None:
                group = _Group(parts[0], sys.maxsize if self._bounds is None else self._bounds.max_endpoints)
            rest = _Rest(parts, len(group.keys), self._bounds, most_requests)
            requests = group.add(parts[1], parts[2], parts[3], rest)
        except Malformed:
            raise
        except NotBelieved as error:
            raise Malformed(str(error)) from None
        except Unreadable as error:
            raise Malformed(f"its statistics cannot be read: {error}") from None
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            raise Malformed(f"its statistics cannot be read ({type(error).__name__})") from None
        self._groups[parts[0]] = group
        self.deltas += 1
        rest.merge_into(self._sum, group.keys)
        if group.deltas == _FOLD_AFTER:
            group.fold_into(self._sum)
        return requests

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

    def __init__(self, names: bytes, max_endpoints: int) -> None:
        texts = unpack(names, _MOST_ITEMS if max_endpoints == sys.maxsize else 4 * max_endpoints + 10)
        _check(type(texts) is list and len(texts) % 2 == 0)
        _check_texts(texts)
        self.keys = [EndpointKey(*key) for key in zip(texts[::2], texts[1::2], strict=True)]
        _check(len(set(self.keys)) == len(self.keys))
        _check(len(self.keys) <= max_endpoints, f"it reports more than {max_endpoints:,} endpoints")
        self._lanes = [(number * BUCKETS).to_bytes(4, "little") for number in range(len(self.keys))]
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

    def add(self, integers: bytes, seconds: bytes, light: bytes, rest: "_Rest") -> int:
        count = len(self.keys)
        _check(type(integers) is bytes and len(integers) == self._size)
        lanes = int.from_bytes(integers, "little")
        _check(not lanes & self._must_be_empty)
        times = from_little_endian("d", seconds)
        _check(len(times) == 2 * count)
        longest_s = max(times, default=NOTHING)
        # Not a number is neither below nor above anything, so that it has to be looked for.
        _check(
            math.isfinite(sum(times)) and min(times, default=0.0) >= NOTHING and longest_s <= defaults.MAX_DURATION_S
        )
        _check(all(map(operator.le, times[:count], times[count:])))
        keys = from_little_endian("I", light)
        successes = from_little_endian("Q", integers[SUCCESSES * count * 8 : (SUCCESSES + 1) * count * 8])
        sums_ns = from_little_endian("Q", integers[SUM_NS * count * 8 : (SUM_NS + 1) * count * 8])
        self._check_light(light, len(keys), rest.in_light(successes))
        timed = len(keys) + rest.in_heavy
        _check(timed + rest.untimed <= rest.most, _TOO_MANY)
        if rest.from_worker:
            # Sums of whole runs, which a master has written itself, have no limit.
            most_ns = timed * (max(longest_s, 0.0) * 1e9 * (1 + 1e-9) + 1)
            _check(sum(sums_ns) + rest.wide_sum_ns <= most_ns, "its sum of durations is more than the longest allows")
            rest.check_wide(timed + rest.untimed)
        self._integers += lanes
        self._seconds.append(times)
        self._light.update(keys)
        self.deltas += 1
        return timed + rest.untimed

    def _check_light(self, light: bytes, lanes: int, expected: list[int]) -> None:
        """Whether so many of the numbers as expected are of each endpoint, the first one's first: as one comparison of
        long numbers, since there is a number for each request."""
        _check(sum(expected) == lanes and min(expected, default=0) >= 0, _NOT_CONSISTENT)
        endpoints = int.from_bytes(light, "little") & int.from_bytes(_ENDPOINT_BITS * lanes, "little")
        should_be = b"".join(map(operator.mul, self._lanes, expected))
        _check(endpoints == int.from_bytes(should_be, "little"), _NOT_CONSISTENT)

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
            # Looking for buckets that are too high in every delta would cost as much as counting them does.
            index = min(bucket + FIRST_BUCKET, LAST_BUCKET)
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
    """What of a delta does not stand in columns, checked."""

    def __init__(self, parts: list[Any], count: int, bounds: RunBounds | None, most: float) -> None:
        _check(list(map(type, parts[4:])) == _CONTAINERS)
        self._heavy, self._statuses, self._phases, self._exemplars = parts[4:8]
        self._errors, self._exceptions, self._iterations, self._cut_off, self._overflow = parts[8:13]
        self._wide, self._untimed, self._lost, self._late = parts[13:]
        self.most = most
        self.from_worker = bounds is not None
        self.in_heavy = self.untimed = self.wide_sum_ns = 0
        self._other: defaultdict[int, int] = defaultdict(int)
        """By endpoint: requests that are not successes with 2xx, less those that do not stand in light."""
        self._check_requests(count)
        self._check_details(count)
        self._check_named()
        if bounds is not None:
            self._check_bounds(bounds)

    def _check_requests(self, count: int) -> None:
        for number, buckets in self._heavy:
            _check(_natural(number) < count)
            _check_buckets(buckets, self.most)
            requests = sum(buckets.values())
            self.in_heavy += requests
            self._other[number] -= requests
        for number, failed, status, requests in self._statuses:
            _check(_natural(number) < count and type(failed) is bool)
            _check(status in _STATUSES, "it reports a status that does not exist")
            self._other[number] += _natural(requests, self.most)
        for number, requests in self._untimed:
            _check(_natural(number) < count)
            self.untimed += _natural(requests, self.most)
            self._other[number] -= requests
        for number, failed, status, requests in self._late:
            _check(_natural(number) < count and type(failed) is bool and status in _STATUSES)
            _natural(requests, self.most)
        for number, column, high in self._wide:
            _check(_natural(number) < count and _natural(column) < COLUMNS and _natural(high) < 2**64)
            if column == SUCCESSES:
                self._other[number] += high << VALUE_BITS
            elif column == SUM_NS:
                self.wide_sum_ns += high << VALUE_BITS

    def _check_details(self, count: int) -> None:
        for number, phase, high, low, buckets in self._phases:
            _check(_natural(number) < count and phase in PHASES)
            _check(_natural(high) < 2**64 and _natural(low) <= LOW)
            _check_buckets(buckets, self.most)
        for number, trace_id, seconds, time_s in self._exemplars:
            _check(_natural(number) < count and _is_time(seconds, defaults.MAX_DURATION_S) and _is_time(time_s))
            _check_texts([trace_id])
        for number in self._iterations.values():
            _natural(number, self.most)
        for _, _, requests in self._lost:
            _natural(requests)

    def _check_named(self) -> None:
        for method, name, message, seen, first_s, last_s, example in self._errors:
            _check_texts([method, name, message])
            _check_texts([example], defaults.MAX_EXAMPLE_LENGTH)
            _natural(seen, self.most)
            _check(_is_time(first_s) and _is_time(last_s) and first_s <= last_s)
        for message, traceback, seen in self._exceptions:
            _check_texts([message])
            _check(type(traceback) is str)
            _check_texts([traceback.replace("\n", "")], defaults.MAX_TRACEBACK_LENGTH)
            _natural(seen, self.most)
        for kind, method, name, seen, oldest_s in self._cut_off:
            _check(kind in CUT_OFF_KINDS and _is_time(oldest_s))
            _check_texts([method, name])
            _natural(seen, self.most)
        for worker, reason, _ in self._lost:
            _check_texts([worker, reason])
        _check_texts([*self._iterations, *self._overflow])

    def _check_bounds(self, bounds: RunBounds) -> None:
        bounds.check_classes(self._iterations)
        # One more than the limit is for those beyond it.
        most = bounds.max_errors + len(CUT_OFF_KINDS)
        kinds = {"errors": self._errors, "exceptions": self._exceptions, "tasks that were cut off": self._cut_off}
        for what, rows in kinds.items():
            _check(len(rows) <= most, f"it reports {len(rows):,} different {what}")
        _check(len(self._lost) <= bounds.max_errors + MOST_PROCESSES, "it reports too many losses")
        _check(len(self._overflow) <= _MOST_OVERFLOW_NAMES, "it reports too many names beyond the limit")

    def in_light(self, successes: "array[int]") -> list[int]:
        """How many requests of each endpoint have to stand in light."""
        expected = successes.tolist()
        for number, requests in self._other.items():
            expected[number] += requests
        return expected

    def check_wide(self, requests: int) -> None:
        """Whether no integer is more than that many requests can come to."""
        for _, _, high in self._wide:
            _check(high << VALUE_BITS <= requests * (defaults.MAX_RESPONSE_BYTES + 1), "its sums cannot be so large")

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
        for method, name, message, seen, first_s, last_s, example in self._errors:
            table.count_error(ErrorKey(method, name, message), ErrorStats(seen, first_s, last_s, example))
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
        for number, failed, status, requests in self._late:
            late = table.endpoint(keys[number]).late
            late[failed, status] = late.get((failed, status), 0) + requests
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


def _check(fine: bool, what: str = "its statistics make no sense") -> None:
    if not fine:
        raise Malformed(what)


def _check_texts(texts: Collection[Any], longest: int = defaults.MAX_NAME_LENGTH) -> None:
    """Whether they are what a recorder lets in."""
    _check(set(map(type, texts)) <= {str} and max(map(len, texts), default=0) <= longest and is_clean("".join(texts)))


def _check_buckets(buckets: Any, most: float) -> None:
    _check(type(buckets) is dict and set(map(type, chain(buckets, buckets.values()))) <= {int})
    if buckets:
        _check(min(buckets) >= FIRST_BUCKET and max(buckets) <= LAST_BUCKET)
        _check(min(buckets.values()) > 0)
        _check(max(buckets.values()) <= most, _TOO_MANY)


def _natural(value: Any, most: float = math.inf) -> int:
    _check(type(value) is int and value >= 0)
    _check(value <= most, _TOO_MANY)
    return cast(int, value)


def _is_time(value: Any, most: float = _LATEST_S) -> bool:
    return type(value) is float and 0 <= value <= most

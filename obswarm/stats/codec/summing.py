"""Validate deltas with the layout of layout.py, and add them up."""

import math
import operator
import sys
from array import array
from collections import Counter
from collections.abc import Mapping

from obswarm import defaults
from obswarm.bounded_msgpack import Unreadable, unpack
from obswarm.stats.checks import TOO_MANY, Malformed, check, check_texts
from obswarm.stats.codec.bounds import OutOfBounds, TableBounds
from obswarm.stats.codec.layout import (
    BUCKETS,
    BYTES,
    COLUMNS,
    NOTHING,
    OK,
    PARTS,
    SUCCESSES,
    SUM_NS,
    TIMINGS,
    VALUE_BITS,
    from_little_endian,
)
from obswarm.stats.codec.sparse import NOT_CONSISTENT, SparseParts
from obswarm.stats.histogram import FIRST_BUCKET, LAST_BUCKET, Histogram
from obswarm.stats.keys import EndpointKey
from obswarm.stats.table import StatsTable
from obswarm.stats.timings import PHASES, TimingStats

_LANE_BITS = 64
_FOLD_AFTER = 2 ** (_LANE_BITS - VALUE_BITS)
"""Number of deltas whose values of `VALUE_BITS` can be added without an overflow into the next lane."""

_MOST_ITEMS = 2**31 - 1
_ENDPOINT_BITS = (2**32 - BUCKETS).to_bytes(4, "little")
"""Bits of a number in light that hold the endpoint."""

_USUAL_REQUESTS = 8_192
_USUAL_MASK = int.from_bytes(_ENDPOINT_BITS * _USUAL_REQUESTS, "little")
"""The endpoint bits of that many numbers in light."""

_BUCKET_BITS = BUCKETS.bit_length() - 1
_HIGHEST_BUCKET = LAST_BUCKET - FIRST_BUCKET


class DeltaSum:
    """The sum of received deltas. With `bounds`, each delta is checked against them.

    `add` raises Malformed for an invalid delta, and counts nothing of it then.
    """

    def __init__(self, bounds: TableBounds | None = None) -> None:
        self._groups: dict[bytes, _Group] = {}
        self._sum = StatsTable(sys.maxsize)
        self._bounds = bounds
        self.deltas = 0

    def add(self, packed: bytes, max_requests: float = math.inf) -> int:
        """Add a delta with at most `max_requests` requests. Returns its number of requests."""
        try:
            parts = unpack(packed, _MOST_ITEMS if self._bounds is None else self._bounds.max_items)
            check(type(parts) is list and len(parts) == PARTS and type(parts[0]) is bytes)
            group = self._groups.get(parts[0])
            if group is None:
                group = _Group(parts[0], sys.maxsize if self._bounds is None else self._bounds.max_endpoints)
            sparse = SparseParts(parts, len(group.keys), self._bounds, max_requests)
            requests = group.add(parts[1], parts[2], parts[3], sparse)
        except Malformed:
            raise
        except OutOfBounds as error:
            raise Malformed(str(error)) from None
        except Unreadable as error:
            raise Malformed(f"its statistics cannot be read: {error}") from None
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            raise Malformed(f"its statistics cannot be read ({type(error).__name__})") from None
        self._groups[parts[0]] = group
        self.deltas += 1
        sparse.merge_into(self._sum, group.keys)
        if group.deltas == _FOLD_AFTER:
            group.fold_into(self._sum)
        return requests

    def take(self, max_endpoints: int) -> StatsTable:
        """Return the sum of the deltas since the last call, as a table with this limit."""
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
    """The sum of deltas with the same endpoints.

    Integers are added as one long number of 64-bit lanes: the empty top bits of each lane prevent an overflow into the
    next one, and the addition runs in C.
    """

    def __init__(self, names: bytes, max_endpoints: int) -> None:
        texts = unpack(names, _MOST_ITEMS if max_endpoints == sys.maxsize else 4 * max_endpoints + 10)
        check(type(texts) is list and len(texts) % 3 == 0)
        check_texts(texts)
        self.keys = [EndpointKey(*key) for key in zip(texts[::3], texts[1::3], texts[2::3], strict=True)]
        check(len(set(self.keys)) == len(self.keys))
        check(len(self.keys) <= max_endpoints, f"it reports more than {max_endpoints:,} endpoints")
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

    def add(self, integers: bytes, seconds: bytes, light: bytes, sparse: "SparseParts") -> int:
        count = len(self.keys)
        check(type(integers) is bytes and len(integers) == self._size)
        lanes = int.from_bytes(integers, "little")
        check(not lanes & self._must_be_empty)
        times = from_little_endian("d", seconds)
        check(len(times) == 2 * count)
        longest_s = max(times, default=NOTHING)
        # min() and max() do not find NaN; the sum does.
        check(math.isfinite(sum(times)) and min(times, default=0.0) >= NOTHING and longest_s <= defaults.MAX_DURATION_S)
        check(all(map(operator.le, times[:count], times[count:])))
        keys = from_little_endian("I", light)
        successes = from_little_endian("Q", integers[SUCCESSES * count * 8 : (SUCCESSES + 1) * count * 8])
        sums_ns = from_little_endian("Q", integers[SUM_NS * count * 8 : (SUM_NS + 1) * count * 8])
        self._check_light(light, len(keys), sparse.in_light(successes))
        timed = len(keys) + sparse.in_heavy
        check(timed + sparse.untimed <= sparse.max_requests, TOO_MANY)
        if sparse.from_worker:
            # Sums of whole runs, which a master has written, have no limit.
            max_ns = timed * (max(longest_s, 0.0) * 1e9 * (1 + 1e-9) + 1)
            check(sum(sums_ns) + sparse.wide_sum_ns <= max_ns, "its sum of durations is more than the longest allows")
            sparse.check_wide(timed + sparse.untimed)
        self._integers += lanes
        self._seconds.append(times)
        self._light.update(keys)
        self.deltas += 1
        return timed + sparse.untimed

    def _check_light(self, light: bytes, lanes: int, expected: list[int]) -> None:
        """Check that light has the expected number of requests of each endpoint, in the order of endpoints. It is one
        comparison of long numbers, since light has a number for each request."""
        check(sum(expected) == lanes and min(expected, default=0) >= 0, NOT_CONSISTENT)
        endpoints = int.from_bytes(light, "little") & _endpoint_mask(lanes)
        should_be = b"".join(map(operator.mul, self._lanes, expected))
        check(endpoints == int.from_bytes(should_be, "little"), NOT_CONSISTENT)

    def fold_into(self, table: StatsTable) -> None:
        """Add the sum to the table, and reset it."""
        count = len(self.keys)
        if not self.deltas or not count:
            return
        values = from_little_endian("Q", self._integers.to_bytes(self._size, "little"))
        columns = [values[start : start + count] for start in range(0, COLUMNS * count, count)]
        edges = list(zip(*self._seconds, strict=True))
        buckets: list[dict[int, int]] = [{} for _ in self.keys]
        for where, requests in self._light.items():
            buckets[where >> _BUCKET_BITS][where & BUCKETS - 1] = requests
        for number, key in enumerate(self.keys):
            stats = table.endpoint(key)
            stats.duration.merge(_histogram(buckets[number], columns[SUM_NS][number]))
            stats.response_bytes += columns[BYTES][number]
            successes = columns[SUCCESSES][number]
            if successes:
                stats.successes[OK] = stats.successes.get(OK, 0) + successes
            shortest: float | None = min(edges[number])
            if shortest is not None and shortest < 0:
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


def _endpoint_mask(requests: int) -> int:
    """Return the endpoint bits of at least that many numbers in light."""
    return _USUAL_MASK if requests <= _USUAL_REQUESTS else int.from_bytes(_ENDPOINT_BITS * requests, "little")


def _histogram(light: Mapping[int, int], sum_ns: int) -> Histogram:
    """Return a histogram of the requests by bucket in light. Buckets that are too high count as the last one: to check
    each delta for them would cost as much as counting."""
    if light and max(light) > _HIGHEST_BUCKET:
        clamped: Counter[int] = Counter()
        for bucket, requests in light.items():
            clamped[min(bucket, _HIGHEST_BUCKET)] += requests
        light = clamped
    return Histogram({bucket + FIRST_BUCKET: requests for bucket, requests in light.items()}, sum_ns)

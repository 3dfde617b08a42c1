"""Codec of requests in flight. They are a state, not a delta: the newest one replaces the one before.

A MessagePack array of columns, which is cheap to read for a master with a thousand workers:

- names: method, name, method, name …
- counts: number of requests in flight of each endpoint
- oldest: age in seconds of the oldest request of each endpoint
- nanoseconds: for each endpoint, the sum of the ages of requests without a response
- ages: one 32-bit number for each request without a response: endpoint · 1024 + index of its histogram bucket, counted
  from the first bucket
"""

import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

import msgpack

from obswarm import defaults
from obswarm.bounded_msgpack import unpack
from obswarm.sanitize import is_clean
from obswarm.stats import OTHER, EndpointKey, Histogram, InFlight
from obswarm.stats.checks import Malformed, check
from obswarm.stats.codec.layout import BUCKETS, from_little_endian, to_little_endian
from obswarm.stats.histogram import FIRST_BUCKET, LAST_BUCKET

_MOST_ROWS = 100_000
_MOST_S = 1e9
_MOST_AGES = 2**22
_MOST_REQUESTS = 2**32
_MOST_NS = 2**63

_check = partial(check, reason="its requests in flight are invalid")


class Columns(NamedTuple):
    """The columns of a message, validated."""

    keys: tuple[tuple[str, str, str], ...] = ()
    counts: tuple[int, ...] = ()
    oldest_s: tuple[float, ...] = ()
    sums_ns: tuple[int, ...] = ()
    ages: Iterable[int] = ()


NOTHING = Columns()


def pack_in_flight(in_flight: Mapping[EndpointKey, InFlight]) -> bytes:
    """Return the packed columns; no bytes when there are no requests in flight."""
    if not in_flight:
        return b""
    ages = array("I")
    for row, each in enumerate(in_flight.values()):
        for index, number in each.ages.buckets.items():
            ages.extend((row * BUCKETS + index - FIRST_BUCKET,) * number)
    packed: bytes = msgpack.packb(
        [
            [text for key in in_flight for text in key],
            [each.count for each in in_flight.values()],
            [float(each.oldest_s) for each in in_flight.values()],
            [min(each.ages.sum_ns, _MOST_NS) for each in in_flight.values()],
            to_little_endian(ages),
        ]
    )
    return packed


def unpack_in_flight(packed: bytes) -> dict[EndpointKey, InFlight]:
    """Return the requests in flight of one process. Raises Malformed."""
    return merge_columns([unpack_columns(packed)], sys.maxsize)


def unpack_columns(packed: bytes, max_endpoints: int = _MOST_ROWS) -> Columns:
    """Return the validated columns. Raises Malformed for data that `pack_in_flight` does not produce within the
    limit."""
    if not packed:
        return NOTHING
    try:
        max_rows = min(max_endpoints, _MOST_ROWS)
        names, counts, oldest, sums, raw = unpack(packed, 6 * max_rows + 10)
        _check({type(names), type(counts), type(oldest), type(sums)} == {list} and type(raw) is bytes)
        _check(len(raw) <= 4 * _MOST_AGES)
        ages = from_little_endian("I", raw)
        rows = len(counts)
        _check(0 < rows <= max_rows and len(names) == 3 * rows and len(oldest) == rows and len(sums) == rows)
        _check(set(map(type, names)) == {str} and max(map(len, names)) <= defaults.MAX_NAME_LENGTH)
        _check(is_clean("".join(names)))
        _check(set(map(type, counts)) == {int} and min(counts) > 0 and max(counts) <= _MOST_REQUESTS)
        _check(set(map(type, sums)) == {int} and min(sums) >= 0 and max(sums) <= _MOST_NS)
        _check(set(map(type, oldest)) == {float} and min(oldest) >= 0 and max(oldest) <= _MOST_S)
        _check(len(ages) <= sum(counts) and max(ages, default=0) // BUCKETS < rows)
        keys = tuple(zip(names[::3], names[1::3], names[2::3], strict=True))
        return Columns(keys, tuple(counts), tuple(oldest), tuple(sums), ages)
    except Malformed:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise Malformed(f"its requests in flight cannot be read ({type(error).__name__})") from None


def merge_columns(parts: Iterable[Columns], max_endpoints: int) -> dict[EndpointKey, InFlight]:
    """Return the requests in flight of several processes together; endpoints beyond the limit count as `(other)`."""
    numbers: dict[tuple[str, str, str], int] = {}
    counts: list[int] = []
    oldest: list[float] = []
    sums: list[int] = []
    buckets: list[dict[int, int]] = []

    def number_of(key: tuple[str, str, str]) -> int:
        found = numbers.get(key)
        if found is None:
            if key != OTHER and len(numbers) >= max_endpoints - (OTHER not in numbers):
                return number_of(OTHER)
            found = numbers[key] = len(numbers)
            counts.append(0)
            oldest.append(0.0)
            sums.append(0)
            buckets.append({})
        return found

    for part in parts:
        rows = [number_of(key) for key in part.keys]
        for row, count, oldest_s, sum_ns in zip(rows, part.counts, part.oldest_s, part.sums_ns, strict=True):
            counts[row] += count
            sums[row] += sum_ns
            if oldest_s > oldest[row]:
                oldest[row] = oldest_s
        for age, number in Counter(part.ages).items():
            mine = buckets[rows[age // BUCKETS]]
            index = min(age % BUCKETS + FIRST_BUCKET, LAST_BUCKET)
            mine[index] = mine.get(index, 0) + number
    return {
        EndpointKey(*key): InFlight(counts[row], oldest[row], Histogram(buckets[row], sums[row]))
        for key, row in numbers.items()
    }

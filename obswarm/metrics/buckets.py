"""One recorded histogram in Prometheus' two shapes: classic buckets, and native ones. Pure functions."""

import math
from bisect import bisect_left
from collections.abc import Mapping
from typing import NamedTuple

from obswarm.stats import Histogram

CLASSIC_BOUNDS_S = (
    *(0.001, 0.0025, 0.005, 0.0075),
    *(0.01, 0.025, 0.05, 0.075),
    *(0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5),
    *(10.0, 30.0, 60.0),
)
"""Upper bounds of the classic buckets in seconds; +Inf comes after them."""

SCHEMA = 5
MOST_NATIVE_BUCKETS = 160
"""Prometheus' own client's limit; one decade of latency takes 106 buckets at schema 5."""

_LOWEST_SCHEMA = -4

ZERO_THRESHOLD = 2.0**-128
"""Nothing is ever below it; a native histogram has to have one."""


def _split(bound_s: float) -> tuple[int, float]:
    """The schema-5 bucket that a classic bound lies in, and the share of it that is below the bound."""
    position = math.log2(bound_s) * 2**SCHEMA
    index = math.ceil(position)
    return index, position - (index - 1)


_BOUNDS = [_split(bound) for bound in CLASSIC_BOUNDS_S]


def classic_counts(histogram: Histogram) -> list[int]:
    """Cumulative counts for CLASSIC_BOUNDS_S; the count for +Inf is the histogram's own.

    All recorded buckets below a bound count in full. The one bucket that a bound lies in (2.2 % wide) is split in
    proportion, on its logarithmic scale, and rounded to a whole number: without bias when durations are spread evenly
    over it, and off by no more than what is in it. As each recorded bucket only grows, so does every result.
    """
    indexes = sorted(histogram.buckets)
    sums = [0]
    for index in indexes:
        sums.append(sums[-1] + histogram.buckets[index])
    counts = []
    for index, share in _BOUNDS:
        at = bisect_left(indexes, index)
        below = sums[at]
        if at < len(indexes) and indexes[at] == index:
            below += int(histogram.buckets[index] * share + 0.5)
        counts.append(below)
    return counts


class NativeBuckets(NamedTuple):
    """`spans` are (offset to the end of the one before, number of buckets), `deltas` the differences of neighbouring
    counts, as the native histogram format has it."""

    schema: int
    spans: tuple[tuple[int, int], ...]
    deltas: tuple[int, ...]


def native_buckets(histogram: Histogram, most: int = MOST_NATIVE_BUCKETS) -> NativeBuckets:
    """The buckets as recorded; where there are more than `most`, neighbours are joined until there are not, which
    lowers the schema by one each time."""
    schema, buckets = SCHEMA, histogram.buckets
    while len(buckets) > most and schema > _LOWEST_SCHEMA:
        buckets = _joined(buckets)
        schema -= 1
    spans: list[tuple[int, int]] = []
    deltas: list[int] = []
    end, count = 0, 0
    for index in sorted(buckets):
        if spans and index == end:
            offset, length = spans[-1]
            spans[-1] = (offset, length + 1)
        else:
            spans.append((index - end, 1))
        end = index + 1
        deltas.append(buckets[index] - count)
        count = buckets[index]
    return NativeBuckets(schema, tuple(spans), tuple(deltas))


def _joined(buckets: Mapping[int, int]) -> dict[int, int]:
    joined: dict[int, int] = {}
    for index, count in buckets.items():
        # Bucket i of a schema is the lower or the upper half of bucket ceil(i / 2) of the next lower one.
        half = -(-index // 2)
        joined[half] = joined.get(half, 0) + count
    return joined

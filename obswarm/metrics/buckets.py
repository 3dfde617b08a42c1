"""Convert a recorded histogram to Prometheus' classic buckets and to its native histogram. Pure functions."""

import math
from bisect import bisect_left
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from obswarm.stats import Histogram
from obswarm.stats.custom import FIRST_BUCKET as LOWEST_BUCKET

CLASSIC_BOUNDS_S = (
    *(0.001, 0.0025, 0.005, 0.0075),
    *(0.01, 0.025, 0.05, 0.075),
    *(0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5),
    *(10.0, 30.0, 60.0),
)
"""Upper bounds of the classic buckets in seconds, without +Inf."""

CUSTOM_BOUNDS = (0.0, *(digit * 10.0**exponent for exponent in range(-3, 9) for digit in (1, 2, 5)), 1e9)
"""The same of a load test's own histograms, whose unit and range are unknown."""

SCHEMA = 5
MAX_NATIVE_BUCKETS = 160
"""The limit of Prometheus' own client library; one decade of latency takes 106 buckets at schema 5."""

_LOWEST_SCHEMA = -4

ZERO_THRESHOLD = 2.0**-128
"""Required in a native histogram; no duration is ever below it."""


@lru_cache(maxsize=4)
def _splits(bounds: tuple[float, ...]) -> list[tuple[int, float]]:
    return [_split(bound) for bound in bounds]


def _split(bound: float) -> tuple[int, float]:
    """Return (index of the schema-5 bucket that contains a classic bound, share of that bucket below the bound)."""
    if not bound:
        # Of a load test's own histograms, the lowest bucket is 0.
        return LOWEST_BUCKET, 1.0
    position = math.log2(bound) * 2**SCHEMA
    index = math.ceil(position)
    return index, position - (index - 1)


@lru_cache(maxsize=4)
def bound_texts(bounds: tuple[float, ...]) -> tuple[str, ...]:
    """Return the values of the label `le` for these bounds and +Inf."""
    from prometheus_client.utils import floatToGoString

    return (*(floatToGoString(bound) for bound in bounds), "+Inf")


def classic_counts(histogram: Histogram, bounds: tuple[float, ...] = CLASSIC_BOUNDS_S) -> list[int]:
    """Return the cumulative counts for these bounds; the count for +Inf is `histogram.count`.

    Recorded buckets below a bound count in full. The one bucket that contains the bound (2.2 % wide) is split in
    proportion on its logarithmic scale and rounded to an integer: unbiased if durations are spread evenly over the
    bucket, and wrong by at most the bucket's count. Recorded buckets only grow, so the results never decrease.
    """
    indexes = sorted(histogram.buckets)
    sums = [0]
    for index in indexes:
        sums.append(sums[-1] + histogram.buckets[index])
    counts = []
    for index, share in _splits(bounds):
        at = bisect_left(indexes, index)
        below = sums[at]
        if at < len(indexes) and indexes[at] == index:
            below += int(histogram.buckets[index] * share + 0.5)
        counts.append(below)
    return counts


class NativeBuckets(NamedTuple):
    """The buckets of a native histogram, as its format encodes them: `spans` are (offset from the end of the previous
    span, number of buckets), `deltas` the differences between the counts of neighbouring buckets."""

    schema: int
    spans: tuple[tuple[int, int], ...]
    deltas: tuple[int, ...]


def native_buckets(histogram: Histogram, max_buckets: int = MAX_NATIVE_BUCKETS) -> NativeBuckets:
    """Return the recorded buckets. While there are more than `max_buckets`, merge neighbours, which lowers the schema
    by one each time."""
    schema, buckets = SCHEMA, histogram.buckets
    while len(buckets) > max_buckets and schema > _LOWEST_SCHEMA:
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

"""Quantiles of classic histograms: bucketQuantile in Prometheus' promql/quantile.go."""

import math
import sys
from bisect import bisect_left

from obswarm.targets.evaluate.syntax import NAME
from obswarm.targets.evaluate.values import Key, Value, Vector, key_of, vector_of, without
from obswarm.targets.exposition import number_of
from obswarm.targets.source import Sample

_BOUND = "le"
_SAME = 1e-12
"""Counts that differ by less than this share of their sum are equal: the difference is a rounding error."""


def histogram_quantile(q: Value, buckets: Value) -> Vector:
    """Evaluate histogram_quantile, interpolating linearly. Buckets whose `le` is not a number are ignored."""
    assert isinstance(q, float)
    groups: dict[Key, list[tuple[float, float]]] = {}
    for sample in vector_of(buckets):
        bound = number_of(sample.labels.get(_BOUND, ""))
        if bound is not None and not math.isnan(bound):
            rest = key_of(without(sample.labels, (NAME, _BOUND)))
            groups.setdefault(rest, []).append((bound, sample.value))
    return [Sample(dict(labels), bucket_quantile(q, each)) for labels, each in groups.items()]


def bucket_quantile(q: float, buckets: list[tuple[float, float]]) -> float:
    """Return the quantile of buckets (upper bound, cumulative count), in any order.

    The last finite bound if the quantile is above it; NaN without a +Inf bucket, or without observations.
    """
    if math.isnan(q):
        return math.nan
    if not 0 <= q <= 1:
        return math.copysign(math.inf, q)
    bounds, counts = _merged(sorted(buckets, key=lambda bucket: bucket[0]))
    if bounds[-1] != math.inf or len(bounds) < 2:
        return math.nan
    counts = _rising(counts)
    total = counts[-1]
    if total == 0:
        return math.nan
    rank = q * total
    # NaN counts are below every rank.
    place = bisect_left(range(len(counts) - 1), True, key=lambda number: counts[number] >= rank)
    if place == len(bounds) - 1:
        return bounds[-2]
    if place == 0 and bounds[0] <= 0:
        return bounds[0]
    lower, below = (bounds[place - 1], counts[place - 1]) if place else (0.0, 0.0)
    inside = counts[place] - below
    share = (rank - below) / inside if inside else math.nan
    return lower + (bounds[place] - lower) * share


def _merged(buckets: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Merge buckets with equal bounds, such as "1" and "1.0"."""
    bounds: list[float] = []
    counts: list[float] = []
    for bound, count in buckets:
        if bounds and bounds[-1] == bound:
            counts[-1] += count
        else:
            bounds.append(bound)
            counts.append(count)
    return bounds, counts


def _rising(counts: list[float]) -> list[float]:
    """Make counts monotonic: one below its predecessor (a scrape during an update, rounding) is raised to it."""
    before = counts[0]
    found = [before]
    for count in counts[1:]:
        if not (count < before or _almost_equal(count, before)):
            before = count
        found.append(before)
    return found


def _almost_equal(a: float, b: float) -> bool:
    if a == b or (math.isnan(a) and math.isnan(b)):
        return True
    total = min(abs(a) + abs(b), sys.float_info.max)
    if a == 0 or b == 0 or total < sys.float_info.min:
        return abs(a - b) < _SAME * sys.float_info.min
    return abs(a - b) / total < _SAME

"""Test whether two runs differ: the bootstrap over blocks of time.

Consecutive seconds of a run are correlated, and requests within a second even more. Blocks of several seconds are
nearly independent. Resampling blocks with replacement gives the standard error of a measure of the whole run (Künsch
1989, "The jackknife and the bootstrap for general stationary observations"). If both runs had the same load over time,
they are resampled with the same choice of blocks, so that a ramp that both have does not count as noise.
"""

import random
import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from math import exp, isfinite, log, log1p, sqrt
from statistics import NormalDist, fmean, stdev

from obswarm.stats.histogram import BUCKETS_PER_DOUBLING, FIRST_BUCKET
from obswarm.units import format_duration

RESAMPLES = 500
SHORTEST_S = 20
CONFIDENCE = 0.98
SEED = 20_260_101
"""Fixed, so that comparing the same runs twice gives the same result."""

_MOST_BLOCKS = 30
_FEWEST_BLOCKS = 10
_BLOCK_S = 5
_LONGEST_MEMORY = 0.9
_LANE_BITS = 64
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Block:
    """The measurements of some consecutive seconds of a run.

    `lanes` is the histogram of durations with 64 bits for each bucket, so that adding histograms is one addition;
    `intended` that of durations from the intended start, 0 for none.
    """

    seconds: float
    requests: int
    failures: int
    lanes: int
    intended: int = 0


def lanes_of(buckets: Mapping[int, int]) -> int:
    """Return the buckets of a histogram as one number with a lane of 64 bits for each."""
    return sum(count << (index - FIRST_BUCKET) * _LANE_BITS for index, count in buckets.items())


class Lanes:
    """A histogram in lanes. `offset` is the number of empty lanes that were removed below the lowest bucket."""

    def __init__(self, lanes: int, offset: int = 0) -> None:
        self._offset = offset
        self._counts: array[int] = array("Q")
        self._counts.frombytes(lanes.to_bytes(-(-lanes.bit_length() // _LANE_BITS) * _LANE_BITS // 8, "little"))
        if sys.byteorder == "big":
            self._counts.byteswap()
        self._sums = list(accumulate(self._counts))

    def quantile(self, q: float) -> float | None:
        """Return a quantile in seconds, None without requests.

        It is interpolated geometrically within its bucket, so that it is continuous.
        """
        sums, counts = self._sums, self._counts
        if not sums:
            return None
        rank = max(1.0, q * sums[-1])
        position = bisect_left(sums, rank)
        inside = (rank - (sums[position] - counts[position])) / counts[position]
        index = FIRST_BUCKET + self._offset + position - 1 + inside
        return float(2.0 ** (index / BUCKETS_PER_DOUBLING))


class Aggregate:
    """The sum of blocks; `offset` as in Lanes."""

    def __init__(self, blocks: Sequence[Block], offset: int = 0) -> None:
        self.seconds = sum(block.seconds for block in blocks)
        self.requests = sum(block.requests for block in blocks)
        self.failures = sum(block.failures for block in blocks)
        self.durations = Lanes(sum(block.lanes for block in blocks), offset)
        self.intended = Lanes(sum(block.intended for block in blocks), offset)


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of a run.

    Measures with `is_ratio` are compared by their relative change, others by their difference. Changes below `least`
    are never significant. `lower_is_better` is None if neither is.
    """

    name: str
    of: Callable[[Aggregate], float | None]
    lower_is_better: bool | None
    least: float
    is_ratio: bool = True


def _throughput(whole: Aggregate) -> float | None:
    return whole.requests / whole.seconds if whole.seconds and whole.requests else None


def _error_ratio(whole: Aggregate) -> float | None:
    return whole.failures / whole.requests if whole.requests else None


def _quantile(q: float) -> Callable[[Aggregate], float | None]:
    return lambda whole: whole.durations.quantile(q)


def _intended_quantile(q: float) -> Callable[[Aggregate], float | None]:
    return lambda whole: whole.intended.quantile(q)


MEASURES = (
    Measure("throughput", _throughput, False, 0.02),
    Measure("error ratio", _error_ratio, True, 0.001, is_ratio=False),
    Measure("p50", _quantile(0.50), True, 0.02),
    Measure("p95", _quantile(0.95), True, 0.02),
    Measure("p99", _quantile(0.99), True, 0.02),
)
INTENDED_MEASURES = (
    Measure("intended p50", _intended_quantile(0.50), True, 0.02),
    Measure("intended p95", _intended_quantile(0.95), True, 0.02),
    Measure("intended p99", _intended_quantile(0.99), True, 0.02),
)
"""Measures of runs whose requests have an intended start."""


@dataclass(frozen=True, slots=True)
class Change:
    """The change of a measure between two runs; `base` or `run` is None if that run does not have the measure.

    `change` is relative for ratios (0.1 is +10 %), else a difference. Its confidence interval is `low` to `high`. `p`
    is the probability of a change of at least this size if the runs do not differ.
    """

    measure: Measure
    base: float | None
    run: float | None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    p: float = 1.0


def block_count(seconds: int) -> int:
    """Return the number of blocks for a number of seconds. Raises ValueError if they are fewer than SHORTEST_S."""
    if seconds < SHORTEST_S:
        raise ValueError(
            f"{format_duration(seconds)} is too short to tell a difference from chance; at least"
            f" {format_duration(SHORTEST_S)} are needed"
        )
    return min(_MOST_BLOCKS, max(_FEWEST_BLOCKS, seconds // _BLOCK_S))


def cut(seconds: Sequence[Block], blocks: int) -> list[Block]:
    """Join seconds into `blocks` blocks of nearly the same length."""
    return [_sum(seconds[begin:end]) for begin, end in spans(len(seconds), blocks)]


def spans(count: int, blocks: int) -> list[tuple[int, int]]:
    """Return (begin, end) of each block, as indexes of seconds."""
    return list(pairwise(round(number * count / blocks) for number in range(blocks + 1)))


def _sum(blocks: Sequence[Block]) -> Block:
    return Block(
        sum(each.seconds for each in blocks),
        sum(each.requests for each in blocks),
        sum(each.failures for each in blocks),
        sum(each.lanes for each in blocks),
        sum(each.intended for each in blocks),
    )


def changes(
    base: Sequence[Block],
    run: Sequence[Block],
    *,
    paired: bool,
    measures: Sequence[Measure] = MEASURES,
    resamples: int = RESAMPLES,
) -> list[Change]:
    """Return the change of each measure.

    `paired` says that block i of both runs had the same load; both have the same number of blocks then. With fewer
    `resamples` than half of RESAMPLES, changes have no confidence interval.
    """
    chance = random.Random(SEED)
    base, run, offset = _narrowed(base, run)
    wholes = _values(Aggregate(base, offset), measures), _values(Aggregate(run, offset), measures)
    sampled: list[list[float]] = [[] for _ in measures]
    for _ in range(resamples):
        chosen = chance.choices(range(len(base)), k=len(base))
        others = chosen if paired else chance.choices(range(len(run)), k=len(run))
        before = _values(Aggregate([base[number] for number in chosen], offset), measures)
        after = _values(Aggregate([run[number] for number in others], offset), measures)
        for found, measure, one, other in zip(sampled, measures, before, after, strict=True):
            distance = _distance(measure, one, other)
            if distance is not None:
                found.append(distance)
    freedom = min(len(base), len(run)) - 1
    return [
        _change(measure, one, other, found, freedom)
        for measure, one, other, found in zip(measures, *wholes, sampled, strict=True)
    ]


def _narrowed(base: Sequence[Block], run: Sequence[Block]) -> tuple[list[Block], list[Block], int]:
    """Return the blocks without the empty lanes below the lowest bucket, and the number of those lanes."""
    everything = sum(block.lanes + block.intended for block in (*base, *run))
    offset = max(0, (everything & -everything).bit_length() - 1) // _LANE_BITS
    shift = offset * _LANE_BITS
    before, after = (
        [replace(block, lanes=block.lanes >> shift, intended=block.intended >> shift) for block in blocks]
        for blocks in (base, run)
    )
    return before, after, offset


def _values(whole: Aggregate, measures: Sequence[Measure]) -> list[float | None]:
    return [measure.of(whole) for measure in measures]


def _distance(measure: Measure, base: float | None, run: float | None) -> float | None:
    """Return the change on a scale on which errors are symmetric: the logarithm for ratios."""
    if base is None or run is None:
        return None
    if not measure.is_ratio:
        return run - base
    return log(run / base) if base > 0 and run > 0 else None


def _change(measure: Measure, base: float | None, run: float | None, sampled: Sequence[float], freedom: int) -> Change:
    distance = _distance(measure, base, run)
    if distance is None:
        return Change(measure, base, run)
    back = (lambda value: exp(value) - 1) if measure.is_ratio else (lambda value: value)
    if len(sampled) < RESAMPLES / 2:
        return Change(measure, base, run, back(distance))
    error = stdev(sampled)
    half = student_quantile((1 + CONFIDENCE) / 2, freedom) * error
    p = student_p(abs(distance) / error, freedom) if error else float(distance == 0)
    return Change(measure, base, run, back(distance), back(distance - half), back(distance + half), p)


def mean_change(name: str, base: Sequence[float], run: Sequence[float], *, least: float) -> Change:
    """Return the change of a metric with one value for each block, such as a target's, by Welch's test on the means.

    Metrics that are means over minutes themselves (a load average) are correlated from block to block. Their standard
    error is corrected by the first autocorrelation.
    """
    measure = Measure(name, _throughput, None, least)
    if len(base) < 2 or len(run) < 2:
        return Change(measure, fmean(base) if base else None, fmean(run) if run else None)
    before, after = fmean(base), fmean(run)
    error = sqrt(_error_of_mean(base) ** 2 + _error_of_mean(run) ** 2)
    scale = abs(before) or abs(after) or 1.0
    half = student_quantile((1 + CONFIDENCE) / 2, min(len(base), len(run)) - 1) * error
    difference = after - before
    p = student_p(abs(difference) / error, min(len(base), len(run)) - 1) if error else float(difference == 0)
    return Change(
        measure, before, after, difference / scale, (difference - half) / scale, (difference + half) / scale, p
    )


def _error_of_mean(values: Sequence[float]) -> float:
    """Return the standard error of the mean with the effective sample size (Bayley and Hammersley 1946)."""
    mean, error = fmean(values), stdev(values) / sqrt(len(values))
    squares = sum((value - mean) ** 2 for value in values)
    if not squares:
        return 0.0
    together = sum((one - mean) * (other - mean) for one, other in pairwise(values)) / squares
    memory = min(max(together, 0.0), _LONGEST_MEMORY)
    return error * sqrt((1 + memory) / (1 - memory))


def student_p(t: float, freedom: int) -> float:
    """Return the two-sided p-value of Student's t distribution, by Wallace's normal approximation (1959, Annals of
    Mathematical Statistics 30)."""
    if not isfinite(t):
        return 0.0
    z = (8 * freedom + 1) / (8 * freedom + 3) * sqrt(freedom * log1p(t * t / freedom))
    return 2 * _NORMAL.cdf(-z)


def student_quantile(q: float, freedom: int) -> float:
    """Return a quantile of Student's t distribution, for q above 0.5, by the same approximation."""
    z = _NORMAL.inv_cdf(q) * (8 * freedom + 3) / (8 * freedom + 1)
    return sqrt(freedom * (exp(z * z / freedom) - 1))


def significant(found: Sequence[Change], alpha: float = 1 - CONFIDENCE) -> list[bool]:
    """Return which changes are significant, with a family-wise error rate of at most alpha.

    By Holm's method (1979, Scandinavian Journal of Statistics 6). Changes below `least` of their measure are not.
    """
    order = sorted(range(len(found)), key=lambda number: found[number].p)
    verdicts = [False] * len(found)
    for rank, number in enumerate(order):
        if found[number].p > alpha / (len(found) - rank):
            break
        change = found[number].change
        verdicts[number] = change is not None and abs(change) >= found[number].measure.least
    return verdicts

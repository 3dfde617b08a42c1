"""Find the moments at which a series changes, each with an interval. Pure functions.

Change points: PELT, the exact minimum of the sum of squares around the mean of each segment plus a penalty for each
segment (Killick, Fearnhead and Eckley 2012, "Optimal detection of changepoints with a linear computational cost", JASA
107). The penalty is that of the modified Bayesian information criterion, about 3 log n for each change, times the
variance of the noise, which is estimated from differences of neighbours and enlarged by their autocorrelation.

Moment: the posterior probability of each step being the first one of the change, with a flat prior (Smith 1975, "A
Bayesian approach to inference about a change-point in a sequence of random variables", Biometrika 62), for a level that
is constant, then changes at once or linearly over some seconds, then is constant again. So the beginning of a slow
change is found, not its middle.
"""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import median

MAX_BINS = 120
"""Values in which change points are sought; longer series are averaged."""

CREDIBLE = 0.9
"""Probability that a moment is in its interval."""

_NORMAL_MAD = 0.6745
_CORRELATED = 0.8
"""Largest autocorrelation of noise that is assumed."""
_HALF = 7
_MEDIAN_BIAS = 0.08
"""Bias of the autocorrelation around a running median of 15, which is too low by this."""
_MIN_NOISE = 0.02
"""Smallest noise, as a share of the range of the values: counts and rounded values have none."""
_RAMPS = (1, 2, 5, 10, 15, 20, 30, 45, 60)
"""Durations of a change that are tried, in steps."""


@dataclass(frozen=True, slots=True)
class Onset:
    """The moment at which a change begins, in seconds since the start of the run, and the interval that contains it
    with probability CREDIBLE. `settled_s` is the moment from which the new level is known to hold: later than `time_s`
    for a slow change."""

    time_s: float
    low_s: float
    high_s: float
    settled_s: float

    def before(self, other: "Onset") -> bool:
        """Return whether it is surely earlier."""
        return self.high_s < other.low_s


@dataclass(frozen=True, slots=True)
class Segment:
    """Steps from `begin` to `end` (exclusive) with a constant level."""

    begin: int
    end: int
    level: float


def filled(values: Sequence[float]) -> "array[float]":
    """Return the values with the last known one in place of NaN; those before the first are equal to it."""
    if all(map(math.isfinite, values)):
        return array("d", values)
    known = next((value for value in values if math.isfinite(value)), math.nan)
    found = array("d")
    for value in values:
        if math.isfinite(value):
            known = value
        found.append(known)
    return found


def despiked(values: Sequence[float]) -> "array[float]":
    """Return the running median of three: without single outliers, and with steps where they were."""
    if len(values) < 3:
        return array("d", values)
    found = array("d", [values[0]])
    found.extend(
        (a if a > c else c if c < b else b) if b > a else (a if a < c else c if c > b else b)
        for a, b, c in zip(values, values[1:], values[2:], strict=False)
    )
    found.append(values[-1])
    return found


def noise_of(values: Sequence[float]) -> float:
    """Return the standard deviation of the noise, from the median absolute difference of neighbours. Autocorrelated
    noise counts by its effect on means, its long-run standard deviation."""
    if len(values) < 4:
        return 0.0
    differences = sorted(abs(after - before) for before, after in pairwise(values))
    spread = differences[len(differences) // 2] / _NORMAL_MAD / math.sqrt(2)
    if not spread:
        # Most neighbours are equal: rounded values.
        spread = sum(differences) / len(differences)
    memory = _autocorrelation(values)
    # Neighbours of correlated noise differ less than its values do, and its means vary more.
    spread *= math.sqrt(1 + memory) / (1 - memory)
    ordered = sorted(values)
    cut = len(ordered) // 50
    return max(spread, _MIN_NOISE * (ordered[-1 - cut] - ordered[cut]))


def _autocorrelation(values: Sequence[float]) -> float:
    rest = [value - median(values[max(0, at - _HALF) : at + _HALF + 1]) for at, value in enumerate(values)]
    # The running median follows the noise, too.
    return _correlation_of_neighbours(rest, _MEDIAN_BIAS)


def _correlation_of_neighbours(rest: Sequence[float], bias: float = 0.0) -> float:
    squares = sum(each * each for each in rest)
    if not squares:
        return 0.0
    together = sum(one * other for one, other in pairwise(rest)) / squares
    return min(max(together + bias, 0.0), _CORRELATED)


def change_points(values: Sequence[float], noise: float) -> list[Segment]:
    """Divide a series of finite values into segments of constant level, by PELT."""
    count = len(values)
    if not count:
        return []
    penalty = 3 * math.log(max(count, 2)) * noise * noise
    center = values[0]
    sums = [0.0, *accumulate(value - center for value in values)]
    squares = [0.0, *accumulate((value - center) ** 2 for value in values)]
    best = [-penalty]
    origin = [0]
    candidates = [0]
    for end in range(1, count + 1):
        total, square = sums[end], squares[end]
        costs = [
            best[begin] + square - squares[begin] - (total - sums[begin]) ** 2 / (end - begin) for begin in candidates
        ]
        lowest = min(costs)
        origin.append(candidates[costs.index(lowest)])
        lowest += penalty
        best.append(lowest)
        candidates = [begin for begin, cost in zip(candidates, costs, strict=True) if cost <= lowest]
        candidates.append(end)
    segments: list[Segment] = []
    end = count
    while end:
        begin = origin[end]
        segments.append(Segment(begin, end, center + (sums[end] - sums[begin]) / (end - begin)))
        end = begin
    return segments[::-1]


def binned(values: Sequence[float], size: int) -> list[float]:
    """Return the mean of each `size` consecutive values."""
    if size == 1:
        return list(values)
    return [
        sum(values[begin : begin + size]) / len(values[begin : begin + size]) for begin in range(0, len(values), size)
    ]


def segments_of(values: Sequence[float], noise: float | None = None) -> list[Segment]:
    """Return the segments of a series, which may have gaps and outliers; positions are those of its values. The noise
    is estimated from them if it is not given."""
    known = filled(values)
    if not known or math.isnan(known[0]):
        return []
    size = -(-len(known) // MAX_BINS)
    # The noise is that of the values before they are smoothed.
    if noise is None:
        noise = noise_of(binned(known, size))
    return [
        Segment(each.begin * size, min(each.end * size, len(known)), each.level)
        for each in change_points(binned(despiked(known), size), noise)
    ]


def moment_of(values: Sequence[float], times_s: Sequence[float], begin: int, near: int, end: int) -> Onset:
    """Return when the change near position `near` began, with its interval.

    Only the values from `begin`, the change before it, to `end` are used. Values may have gaps.
    """
    part = filled(values)[begin:end]
    times = times_s[begin:end]
    count = len(part)
    if count < 4:
        at = times[min(max(near - begin, 0), count - 1)]
        return Onset(at, times[0], times[-1], at)
    floor = max(_MIN_NOISE * (max(part) - min(part)), 1e-12) ** 2 * count
    fits = _Fits(part)
    rest, ramp_at = [math.inf] * count, [1] * count
    for ramp in _RAMPS:
        for start in range(1, count - 1):
            found = fits.unexplained(start, ramp) + floor
            if found < rest[start]:
                rest[start], ramp_at[start] = found, ramp
    best = rest.index(min(rest))
    # The noise is what the best fit leaves: the change itself is no correlation.
    memory = _correlation_of_neighbours(fits.residuals(best, ramp_at[best]))
    weight = (count - 3) / 2 * (1 - memory) / (1 + memory)
    logs = [-weight * math.log(each) for each in rest]
    top = max(logs)
    likely = [math.exp(each - top) for each in logs]
    whole = sum(likely)
    low = high = best
    inside = likely[best]
    while inside < CREDIBLE * whole:
        before = likely[low - 1] if low > 0 else -1.0
        after = likely[high + 1] if high + 1 < count else -1.0
        if before >= after:
            low -= 1
            inside += before
        else:
            high += 1
            inside += after
    # The change came after the step before, and not later than the first one that has it.
    settled_s = max(times[best], times[min(max(near - begin, 0), count - 1)])
    return Onset(times[best], times[max(low - 1, 0)], times[high], settled_s)


class _Fits:
    """Sums of squares around a level that changes, in constant time for each moment and duration of the change."""

    def __init__(self, part: Sequence[float]) -> None:
        self._count = len(part)
        self._part = part
        center = sum(part) / len(part)
        moved = [each - center for each in part]
        self._sums = [0.0, *accumulate(moved)]
        self._weighted = [0.0, *accumulate(at * each for at, each in enumerate(moved))]
        self._square = sum(each * each for each in moved)

    def unexplained(self, start: int, ramp: int) -> float:
        """Return the sum of squares if the level changes linearly over `ramp` steps from position `start` on; 0 and 1
        are a change at once. The rest of a ramp that goes beyond the end is not seen."""
        count, sums = self._count, self._sums
        ramp = max(ramp, 1)
        end = min(start + ramp, count)
        steps = end - start
        # Sums of x, x² and x·y, where x is 0 before the change, 1/ramp, 2/ramp … during it, and 1 afterwards.
        x = steps * (steps + 1) / 2 / ramp + (count - end)
        xx = steps * (steps + 1) * (2 * steps + 1) / 6 / ramp**2 + (count - end)
        xy = (self._weighted[end] - self._weighted[start] - (start - 1) * (sums[end] - sums[start])) / ramp
        xy += sums[count] - sums[end]
        spread = xx - x * x / count
        return max(self._square - xy * xy / spread, 0.0) if spread > 0 else self._square

    def residuals(self, start: int, ramp: int) -> list[float]:
        """Return what the fit of such a change leaves."""
        shape = [min(max(at - start + 1, 0) / max(ramp, 1), 1.0) for at in range(self._count)]
        mean_x, mean_y = sum(shape) / self._count, sum(self._part) / self._count
        spread = sum((x - mean_x) ** 2 for x in shape)
        slope = (
            sum((x - mean_x) * (y - mean_y) for x, y in zip(shape, self._part, strict=True)) / spread if spread else 0.0
        )
        return [y - mean_y - slope * (x - mean_x) for x, y in zip(shape, self._part, strict=True)]

"""Departures of a series from the values that are expected at the present load. Pure functions.

The part that follows the load is removed: two straight lines are fitted by least squares to the values before the run
broke, one over the requests per second and one over the target of the load (users, or iterations per second). A
departure upwards is above both lines, one downwards below the level before the run broke. Rates and means over a window
are compared with the load of the same window.
"""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean, median

from obswarm.analysis.explain.onset import Onset, Segment, filled, noise_of, segments_of
from obswarm.analysis.explain.symptom import around, onset_at
from obswarm.analysis.explain.timeline import Timeline, Values

_REFERENCE_SHARE = 0.7
"""Share of the time before the first symptom that is taken for healthy: causes come before symptoms."""
_MIN_REFERENCE = 8
_SLOPE_ERRORS = 2.0
"""Standard errors by which the slope of a line has to be above 0."""
_VARYING_LOAD = 0.15
"""Coefficient of variation of a load from which a line through it means something."""
_DEVIATIONS = 4.0
_LEAST_CHANGE = 0.3
"""Smallest departure, as a share of the expected value."""
_SCALE_OF_RANGE = 0.005
"""Share of the largest departure that counts as noise if there is none: a queue that was always empty."""
_LASTING_S = 3.0
_AFTER_S = 20.0
_MAX_LAG_S = 15.0
MAX_COARSE = 180
_POINTS = 180
"""Values of which correlations are calculated; longer series are averaged."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A change of a series that the load does not explain.

    `before` and `after` are medians of the values in up to 30 s before and after the onset, `expected` is the value
    that the load alone would have given after it; `ratio` is after / expected, with a part for the noise in both, and
    below 1 for a departure downwards. `correlation` is that of the departure with the latency without the load's effect
    on it, at the lag at which it is strongest: the series is earlier by `lag_s` seconds then, later if negative.
    """

    onset: Onset
    before: float
    after: float
    expected: float
    ratio: float
    correlation: float
    lag_s: float


@dataclass(frozen=True, slots=True)
class _Line:
    """The values that a load gives: a line through the mean of both, or, if the load hardly varied, proportional beyond
    it, since nothing is known of their line then."""

    load: float
    value: float
    slope: float
    is_proportional: bool = False

    def at(self, load: float) -> float:
        if self.is_proportional:
            return self.value * max(1.0, load / self.load)
        return self.value + self.slope * (load - self.load)


def latest_s(symptom: Onset) -> float:
    """Return the moment after which what begins does not explain the symptom; later if that came slowly."""
    return symptom.settled_s + _AFTER_S + 2 * (symptom.settled_s - symptom.time_s)


class Reference:
    """The healthy part of a run, and its load: what series are compared with.

    Departures are sought in at most MAX_COARSE steps, and dated in all of them.
    """

    def __init__(self, timeline: Timeline, broken: Onset) -> None:
        """`broken` is the beginning of the first symptom."""
        self.timeline = timeline
        healthy = sum(1 for time_s in timeline.times_s if time_s < broken.low_s)
        self.steps = round(healthy * _REFERENCE_SHARE)
        if self.steps < _MIN_REFERENCE:
            # The moment may be too uncertain, or early: what is probably healthy has to do.
            self.steps = min(sum(1 for time_s in timeline.times_s if time_s < broken.time_s), _MIN_REFERENCE)
        self._size = max(1, min(-(-len(timeline) // MAX_COARSE), self.steps // _MIN_REFERENCE))
        self._coarse_steps = self.steps // self._size
        self._last = sum(1 for time_s in timeline.times_s if time_s < latest_s(broken))
        self._loads: dict[float, tuple[tuple[Values, Values], tuple[Values, Values]]] = {}
        latency = array("d", (math.log(value) if value > 0 else math.nan for value in timeline.p95_s))
        self._latency = ranks(_means(filled(self.residual(latency, 0.0) if self.is_usable else latency), self._points))

    @property
    def is_usable(self) -> bool:
        """Whether it is long enough to compare with."""
        return self.steps >= _MIN_REFERENCE

    @property
    def _points(self) -> int:
        return max(1, -(-len(self.timeline) // _POINTS))

    def expected(self, values: Sequence[float], window_s: float) -> Values:
        """Return what the load alone would have given: the higher one of the lines of requests and of the load."""
        known = filled(values)
        loads, coarse = self._loads_of(window_s)
        lines = self._lines(_means(known, self._size), coarse)
        return array("d", (max(lines[0].at(x), lines[1].at(y)) for x, y in zip(*loads, strict=True)))

    def residual(self, values: Sequence[float], window_s: float) -> Values:
        """Return the values without the effect of the load; NaN where they have none."""
        expected = self.expected(values, window_s)
        return array("d", (value - course for value, course in zip(values, expected, strict=True)))

    def _lines(self, values: Sequence[float], loads: tuple[Values, Values]) -> tuple[_Line, _Line]:
        one, other = loads
        return _line(values, one, self._coarse_steps), _line(values, other, self._coarse_steps)

    def _loads_of(self, window_s: float) -> tuple[tuple[Values, Values], tuple[Values, Values]]:
        """Return the requests and the load, means over the window; both in all steps, and in coarse ones."""
        if window_s not in self._loads:
            steps = max(1, round(window_s / self.timeline.step_s))
            # A single second of requests varies by chance; the line would be too flat.
            smooth = max(steps, min(5, self.steps // 4))
            fine = _trailing(self.timeline.requests, smooth), _trailing(self.timeline.load, steps)
            coarse = array("d", _means(fine[0], self._size)), array("d", _means(fine[1], self._size))
            self._loads[window_s] = fine, coarse
        return self._loads[window_s]

    def departure_of(self, values: Sequence[float], window_s: float, *, downwards: bool) -> Departure | None:
        """Return the first lasting departure of a series, None if it follows the load."""
        known = filled(values)
        if not known or math.isnan(known[0]) or not self.is_usable:
            return None
        found = self._coarse_departure(_means(known, self._size), window_s, downwards)
        if found is None:
            return None
        position, segments, noise, base, scale = found
        sign = -1.0 if downwards else 1.0
        expected = (
            array("d", [fmean(known[: self.steps])] * len(known)) if downwards else self.expected(known, window_s)
        )
        rest = [sign * (value - course) for value, course in zip(known, expected, strict=True)]
        bent = [math.asinh((value - base) / scale) for value in rest]
        size = self._size
        fine = [Segment(each.begin * size, min(each.end * size, len(known)), each.level) for each in segments]
        onset = onset_at(self.timeline, bent, fine, position)
        departure = self._departure(known, values, expected, rest, noise, onset)
        # What departs for a moment may be on the other side in most of the time after it.
        return departure if (departure.ratio < 1) == downwards else None

    def _coarse_departure(
        self, values: Sequence[float], window_s: float, downwards: bool
    ) -> tuple[int, list[Segment], float, float, float] | None:
        """Return the number of the first segment that departs, the segments, the noise, the level of comparison and the
        scale of the residuals."""
        steps = self._coarse_steps
        if downwards:
            mean = fmean(values[:steps])
            expected: Sequence[float] = [mean] * len(values)
            rest = [mean - value for value in values]
        else:
            (one, other), (requests, users) = (
                self._lines(values, self._loads_of(window_s)[1]),
                self._loads_of(window_s)[1],
            )
            expected = [max(one.at(x), other.at(y)) for x, y in zip(requests, users, strict=True)]
            rest = [value - course for value, course in zip(values, expected, strict=True)]
        base = median(rest[:steps])
        lowest = min(map(abs, expected))
        highest = max(rest)
        if highest - base <= max(_LEAST_CHANGE * lowest, 0.0) or highest <= base:
            return None
        noise = noise_of(rest[:steps])
        if highest - base <= _DEVIATIONS / 2 * noise:
            return None
        scale = max(2 * noise, _SCALE_OF_RANGE * (highest - base), 1e-12)
        # Linear within the noise, logarithmic beyond: the beginning of a queue counts as much as its length later.
        segments = segments_of([math.asinh((value - base) / scale) for value in rest])
        step_s = self.timeline.step_s * self._size
        for position, segment in enumerate(segments):
            if segment.begin * self._size >= self._last:
                return None
            middle = (segment.begin + min(segment.end, segment.begin + 30)) // 2
            least = max(
                _DEVIATIONS * noise / math.sqrt(min(segment.end - segment.begin, 4)),
                _LEAST_CHANGE * abs(expected[middle]),
            )
            limit = math.asinh(least / scale)
            is_long = (segment.end - segment.begin) * step_s >= _LASTING_S
            goes_on = position + 1 < len(segments) and segments[position + 1].level > limit
            if segment.level > limit and (is_long or goes_on):
                return position, segments, noise, base, scale
        return None

    def _departure(
        self,
        known: Sequence[float],
        values: Sequence[float],
        expected: Sequence[float],
        rest: Sequence[float],
        noise: float,
        onset: Onset,
    ) -> Departure:
        times_s = self.timeline.times_s
        before, after = around(times_s, values, onset)
        before, after = (
            (one if math.isfinite(one) else other)
            for one, other in zip((before, after), around(times_s, known, onset), strict=True)
        )
        course = around(times_s, expected, onset)[1]
        # Without that, 0 would be infinitely less than anything.
        least = max(2 * noise, 1e-9)
        correlation, lag_s = self._correlation(rest)
        return Departure(
            onset, before, after, course, (max(after, 0) + least) / (max(course, 0) + least), correlation, lag_s
        )

    def _correlation(self, rest: Sequence[float]) -> tuple[float, float]:
        """Return the strongest correlation with the latency, and the seconds by which the series is earlier then."""
        size = self._points
        one, other = ranks(_means(rest, size)), self._latency
        most = min(round(_MAX_LAG_S / self.timeline.step_s / size), len(one) - 1)
        best = 0.0, 0
        for lag in sorted(range(-most, most + 1), key=abs):
            early, late = (one[: len(one) - lag], other[lag:]) if lag >= 0 else (one[-lag:], other[:lag])
            found = pearson(early, late)
            if abs(found) > abs(best[0]) + 0.01:
                best = found, lag
        return best[0], best[1] * size * self.timeline.step_s


def _line(values: Sequence[float], load: Sequence[float], steps: int) -> _Line:
    """Return the line of the load through the first steps."""
    xs, ys = load[:steps], values[:steps]
    mean_x, mean_y = fmean(xs), fmean(ys)
    squares = sum((x - mean_x) ** 2 for x in xs)
    if mean_x <= 0 or squares / steps < (_VARYING_LOAD * mean_x) ** 2:
        return _Line(mean_x, mean_y, 0.0, is_proportional=mean_x > 0 and mean_y > 0)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / squares
    rest = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in zip(xs, ys, strict=True))
    # A slope by chance would explain everything at ten times the load.
    is_certain = slope > _SLOPE_ERRORS * math.sqrt(rest / max(steps - 2, 1) / squares)
    return _Line(mean_x, mean_y, slope if is_certain else 0.0)


def _trailing(values: Sequence[float], steps: int) -> Values:
    """Return the mean of each value and those before it, `steps` in all; before the start, the load was 0, and rates of
    the targets know that."""
    sums = [0.0, *accumulate(filled(values))]
    return array("d", ((sums[end] - sums[max(0, end - steps)]) / steps for end in range(1, len(sums))))


def _means(values: Sequence[float], size: int) -> list[float]:
    if size == 1:
        return list(values)
    return [sum(part) / len(part) for begin in range(0, len(values), size) for part in [values[begin : begin + size]]]


def ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, equal ones their mean rank, so that correlations do not depend on a few large ones
    (Spearman)."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    begin = 0
    while begin < len(order):
        end = begin
        while end < len(order) and values[order[end]] == values[order[begin]]:
            end += 1
        for place in order[begin:end]:
            found[place] = (begin + end - 1) / 2
        begin = end
    return found


def pearson(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the correlation of two series; 0 if one of them is constant, or they are too short for one."""
    if len(one) < _MIN_REFERENCE:
        return 0.0
    mean_x, mean_y = fmean(one), fmean(other)
    xx = sum((x - mean_x) ** 2 for x in one)
    yy = sum((y - mean_y) ** 2 for y in other)
    if not xx or not yy:
        return 0.0
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(one, other, strict=True)) / math.sqrt(xx * yy)

"""Functions of range vectors, https://prometheus.io/docs/prometheus/latest/querying/functions/.

The formulas of rate, increase and delta are those of extrapolatedRate in Prometheus' promql/functions.go.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from obswarm.targets.evaluate.values import (
    deviation_of,
    largest,
    mean_of,
    quantile_of,
    smallest,
    total_of,
    variance_of,
)
from obswarm.targets.series import Points

_CLOSE = 1.1
"""In mean sample distances: a range whose ends are within this distance of the samples is fully extrapolated."""


@dataclass(frozen=True, slots=True)
class Window:
    """The samples of a series in (start_s, end_s], at least one. `now_s` is the evaluation time; `end_s` is `now_s`
    minus the offset."""

    points: Points
    start_s: float
    end_s: float
    now_s: float

    @property
    def values(self) -> list[float]:
        return [value for _, value in self.points]


def _extrapolated(window: Window, is_counter: bool, is_rate: bool) -> float | None:
    points = window.points
    if len(points) < 2:
        return None
    (first_s, first), (last_s, last) = points[0], points[-1]
    change = last - first
    if is_counter:
        for before, after in pairwise(window.values):
            if after < before:
                # A counter that decreased was reset in between.
                change += before
    sampled_s = last_s - first_s
    mean_distance_s = sampled_s / (len(points) - 1)
    to_start_s, to_end_s = first_s - window.start_s, window.end_s - last_s
    if to_start_s >= mean_distance_s * _CLOSE:
        to_start_s = mean_distance_s / 2
    if is_counter and change > 0 and first >= 0:
        # A counter cannot be negative: do not extrapolate beyond the time at which it would have been 0.
        to_start_s = min(to_start_s, sampled_s * (first / change))
    if to_end_s >= mean_distance_s * _CLOSE:
        to_end_s = mean_distance_s / 2
    factor = (sampled_s + to_start_s + to_end_s) / sampled_s
    return change * (factor / (window.end_s - window.start_s) if is_rate else factor)


def _between_the_last_two(window: Window, is_rate: bool) -> float | None:
    if len(window.points) < 2:
        return None
    (before_s, before), (last_s, last) = window.points[-2:]
    change = last if is_rate and last < before else last - before
    return change / (last_s - before_s) if is_rate else change


def _line(points: Points, at_s: float) -> tuple[float, float]:
    """Return (slope, value at `at_s`) of the least-squares line."""
    values = [value for _, value in points]
    if all(value == values[0] for value in values):
        return (math.nan, math.nan) if math.isinf(values[0]) else (0.0, values[0])
    times = [time_s - at_s for time_s, _ in points]
    count, total_time, total_value = len(points), total_of(times), total_of(values)
    covariance = total_of(t * v for t, v in zip(times, values, strict=True)) - total_time * total_value / count
    variance = total_of(t * t for t in times) - total_time * total_time / count
    slope = covariance / variance
    return slope, total_value / count - slope * total_time / count


def _deriv(window: Window) -> float | None:
    return _line(window.points, window.points[0][0])[0] if len(window.points) > 1 else None


def _predict_linear(window: Window, ahead_s: float) -> float | None:
    if len(window.points) < 2:
        return None
    slope, value = _line(window.points, window.now_s)
    return slope * ahead_s + value


def _changes(window: Window) -> float:
    changed = (a != b and not (math.isnan(a) and math.isnan(b)) for a, b in pairwise(window.values))
    return float(sum(changed))


RANGE_FUNCTIONS: dict[str, Callable[..., float | None]] = {
    "rate": lambda window: _extrapolated(window, True, True),
    "increase": lambda window: _extrapolated(window, True, False),
    "delta": lambda window: _extrapolated(window, False, False),
    "irate": lambda window: _between_the_last_two(window, True),
    "idelta": lambda window: _between_the_last_two(window, False),
    "deriv": _deriv,
    "predict_linear": _predict_linear,
    "changes": _changes,
    "resets": lambda window: float(sum(after < before for before, after in pairwise(window.values))),
    "avg_over_time": lambda window: mean_of(window.values),
    "count_over_time": lambda window: float(len(window.points)),
    "last_over_time": lambda window: window.points[-1][1],
    "max_over_time": lambda window: largest(window.values),
    "min_over_time": lambda window: smallest(window.values),
    "present_over_time": lambda _: 1.0,
    "quantile_over_time": lambda window, q: quantile_of(q, window.values),
    "stddev_over_time": lambda window: deviation_of(window.values),
    "stdvar_over_time": lambda window: variance_of(window.values),
    "sum_over_time": lambda window: total_of(window.values),
}
"""Name → function of a window and the other arguments; it returns None for too few samples."""

KEEPS_NAME = frozenset({"last_over_time"})
"""Functions that return a value of the metric itself, and keep the metric name."""

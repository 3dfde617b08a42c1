"""RateCurve: a rate of iterations over time, and its integral. A pure function of the time."""

import bisect
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from obswarm.api import RateStage


class RateOverTime(Protocol):
    """The rate of iterations of a user class over the time of a plan; times in seconds from its start."""

    @property
    def duration_s(self) -> float | None:
        """Time of the end; None without one."""

    def is_over(self, elapsed_s: float) -> bool:
        """Whether it has ended."""

    def step(self, elapsed_s: float) -> int:
        """Return the number, from 0, of the part of the plan at a time."""

    def is_level(self, elapsed_s: float) -> bool:
        """Whether the rate does not change at a time."""

    def goal(self, elapsed_s: float) -> float:
        """Return the rate at the end of the part of the plan at a time."""

    def at(self, elapsed_s: float) -> float:
        """Return the rate at a time, in iterations per second."""

    def integral(self, elapsed_s: float) -> float:
        """Return the iterations that are due from the start to a time."""


class RateCurve:
    """Straight lines between points: (seconds from the start, iterations per second). Where two points have the same
    time, the rate jumps. The curve ends with its last point; one of a single point is constant and has no end.

    Raises ValueError for times that decrease or rates below 0.
    """

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        if not points or any(later < earlier for (earlier, _), (later, _) in pairwise(points)):
            raise ValueError("the times of a curve increase")
        if not all(math.isfinite(time_s) and math.isfinite(rate) and rate >= 0 for time_s, rate in points):
            raise ValueError("the rates of a curve are 0 or more")
        self._times = [time_s for time_s, _ in points]
        self._rates = [rate for _, rate in points]
        self._sums = [0.0]
        for (earlier, before), (later, after) in pairwise(points):
            self._sums.append(self._sums[-1] + (later - earlier) * (before + after) / 2)

    @staticmethod
    def of(stages: Sequence[RateStage]) -> "RateCurve":
        """Return the curve of stages, which begins at 0 iterations per second. One of infinite duration is constant."""
        if len(stages) == 1 and math.isinf(stages[0].duration_s):
            return RateCurve([(0.0, stages[0].rate)])
        points = [(0.0, 0.0)]
        for stage in stages:
            points.append((points[-1][0] + stage.duration_s, stage.rate))
        return RateCurve(points)

    @property
    def duration_s(self) -> float | None:
        """Time of the end in seconds; None without one."""
        return None if len(self._times) == 1 else self._times[-1]

    @property
    def highest(self) -> float:
        """The highest rate, in iterations per second."""
        return max(self._rates)

    def is_over(self, elapsed_s: float) -> bool:
        """Whether the curve has ended."""
        return len(self._times) > 1 and elapsed_s >= self._times[-1]

    def step(self, elapsed_s: float) -> int:
        """Return the number, from 0, of the straight line at a time."""
        return max(0, min(bisect.bisect_right(self._times, elapsed_s), len(self._times) - 1) - 1)

    def is_level(self, elapsed_s: float) -> bool:
        """Whether the rate does not change at a time."""
        step = self.step(elapsed_s)
        return step + 1 >= len(self._rates) or self._rates[step] == self._rates[step + 1]

    def goal(self, elapsed_s: float) -> float:
        """Return the rate at the end of the straight line at a time."""
        return self._rates[min(self.step(elapsed_s) + 1, len(self._rates) - 1)]

    def at(self, elapsed_s: float) -> float:
        """Return the rate at a time, in iterations per second; 0 after the end."""
        if len(self._times) == 1:
            return self._rates[0]
        if self.is_over(elapsed_s):
            return 0.0
        step = self.step(elapsed_s)
        return self._between(step, max(elapsed_s, self._times[step]))

    def _between(self, step: int, time_s: float) -> float:
        began, ends = self._times[step], self._times[step + 1]
        share = (time_s - began) / (ends - began) if ends > began else 0.0
        return self._rates[step] + share * (self._rates[step + 1] - self._rates[step])

    def integral(self, elapsed_s: float) -> float:
        """Return the iterations that are due from the start to a time."""
        if len(self._times) == 1:
            return self._rates[0] * max(0.0, elapsed_s)
        if elapsed_s >= self._times[-1]:
            return self._sums[-1]
        step = self.step(elapsed_s)
        time_s = max(elapsed_s, self._times[step])
        return self._sums[step] + (time_s - self._times[step]) * (self._rates[step] + self._between(step, time_s)) / 2

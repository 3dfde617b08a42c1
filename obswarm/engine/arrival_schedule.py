"""ArrivalSchedule: when iterations are to start, from a rate that changes. A pure function of the clock."""

import math
import random
from collections.abc import Callable

Gaps = Callable[[], float]
"""Returns the next distance between two starts, as a multiple of the mean distance at the present rate."""

_ROUNDING = 0.01
"""Part of the mean distance of two starts."""
_GOLDEN = (math.sqrt(5) - 1) / 2


def gaps_of(arrivals: str, seed: int | None, name: str, index: int) -> tuple[float, Gaps]:
    """Return the first distance and the function for all others. `name` is that of the user class, `index` the number
    of the process in its run.

    "constant": equal distances. Processes are shifted against each other by multiples of the golden ratio, which keeps
    the starts of any number of them apart; the first one starts at once. "poisson": distances with an exponential
    distribution. The starts are a Poisson process, also if the rate changes (time is stretched by the rate), and those
    of several processes together are one, too, whose rate is the sum. Its numbers depend on seed, class and process.
    """
    if arrivals == "poisson":
        source = random.Random(None if seed is None else f"{seed}/{name}/{index}")

        def exponential() -> float:
            return source.expovariate(1.0)

        return exponential(), exponential
    return index * _GOLDEN % 1.0, _one


def _one() -> float:
    return 1.0


class ArrivalSchedule:
    """The starts of the iterations of one user class in one process: one whenever the integral of the rate has grown by
    a distance of `gaps`. Each start is computed from the one before, not from the moment at which anybody looks, so
    nothing drifts."""

    def __init__(self, now: float, first: float, gaps: Gaps) -> None:
        self._since = now
        self._left = first
        self._gaps = gaps
        self.rate = 0.0
        self.end_s = math.inf
        """No start is due from this time on. It may be changed as long as it lies ahead."""

    def set_rate(self, rate: float, now: float) -> list[float]:
        """Change the rate, in iterations per second. Returns the starts that were due before, as `take_due` does."""
        due = self.take_due(now)
        if now > self._since:
            self._left -= (now - self._since) * self.rate
            self._since = now
        self.rate = rate
        return due

    def take_due(self, now: float) -> list[float]:
        """Return the times of the starts until now that were not returned before, the earliest first."""
        due: list[float] = []
        rate = self.rate
        if not rate:
            return due
        since, left = self._since, self._left
        # A start at the end itself, apart from rounding, would be one more than the integral of the rate.
        end_s = self.end_s - _ROUNDING / rate
        while (start := since + max(0.0, left) / rate) <= now and start < end_s:
            due.append(start)
            since, left = start, self._gaps()
        self._since, self._left = since, left
        return due

    def next_s(self) -> float:
        """Return the time of the next start; infinity if none is due."""
        if not self.rate:
            return math.inf
        start = self._since + max(0.0, self._left) / self.rate
        return start if start < self.end_s - _ROUNDING / self.rate else math.inf

"""Search for the highest load that meets requirements: which load to try next, and whether one meets them. Pure.

The load doubles until it is too high; then the interval between the highest load that met the requirements and the
lowest that did not is halved. Whether a load meets a requirement is decided by the bootstrap over blocks of time, as in
comparisons (obswarm.analysis.change).
"""

import random
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TypeVar

from obswarm.analysis.change import SEED

RESAMPLES = 200
LIMIT_CONFIDENCE = 0.95
_GROWTH = 2
_LEAST_RATE = 0.01
"""Share of the first rate at which the search for a lower one is given up."""

Block = TypeVar("Block")


class Verdict(StrEnum):
    MET = "met"
    NOT_MET = "not met"
    UNDECIDED = "undecided"


def judge(
    blocks: Sequence[Block], value_of: Callable[[Sequence[Block]], float | None], holds: Callable[[float], bool]
) -> Verdict:
    """Return whether a condition holds for the value of these blocks, in at least the share LIMIT_CONFIDENCE of samples
    with replacement on the better of two sides; no value does not meet it."""
    if not blocks:
        return Verdict.UNDECIDED
    chance = random.Random(SEED)
    met = 0
    for _ in range(RESAMPLES):
        value = value_of(chance.choices(blocks, k=len(blocks)))
        met += value is not None and holds(value)
    share = met / RESAMPLES
    tail = (1 - LIMIT_CONFIDENCE) / 2
    if share >= 1 - tail:
        return Verdict.MET
    return Verdict.NOT_MET if share <= tail else Verdict.UNDECIDED


class LimitSearch:
    """Which load to try next: a number of users, or a rate of iterations. `precision` is the relative width of the
    interval at which it ends."""

    def __init__(self, start: float, most: float, precision: float, *, is_rate: bool = False) -> None:
        """Raises ValueError unless 0 < start <= most and 0 < precision < 1, and a number of users is whole."""
        is_whole = is_rate or start == int(start)
        if not 0 < start <= most or not 0 < precision < 1 or not is_whole:
            raise ValueError(f"no search from {start} to {most} with the precision {precision}")
        self._most = most
        self._precision = precision
        self._is_rate = is_rate
        self._least = start * _LEAST_RATE if is_rate else 1
        self.met: float | None = None
        """Highest load that meets the requirements, as far as is known."""
        self.not_met: float | None = None
        """Lowest load that does not."""
        self.load: float | None = start
        """The load to try; None when the search is over."""

    def decide(self, is_met: bool) -> None:
        """Note whether the present load meets the requirements, and choose the next one."""
        assert self.load is not None, "the search is over"
        if is_met:
            self.met = self.load
        else:
            self.not_met = self.load
        self.load = self._next()

    def stop(self) -> None:
        """End the search early."""
        self.load = None

    def _next(self) -> float | None:
        if self.not_met is None:
            assert self.met is not None
            return min(self._most, self.met * _GROWTH) if self.met < self._most else None
        low = self.met or 0
        width = self.not_met - low
        if width <= max(0 if self._is_rate else 1, self._precision * self.not_met):
            return None
        if self.met is None and self.not_met <= self._least:
            return None
        return float(f"{low + width / 2:.6g}") if self._is_rate else low + width // 2

"""For how long a guard has had values to go by: a pure function of their times."""

import math
from collections import deque

from obswarm.stats import SEEN_OVER_S, WELL_SEEN


class DataCoverage:
    """A value counts from its time on until the next question. What lies between a question without an answer and the
    next value is missing; so is a time without any question that takes `stale_after_s` (0: none is too long).

    Times are seconds on one clock, rising.
    """

    def __init__(self, stale_after_s: float) -> None:
        self._stale_after_s = stale_after_s
        self.reason = ""
        """Why a value was missing last."""
        self._began_s: float | None = None
        self._seen_s = -math.inf
        self._first_s = math.inf
        self._missing_from_s: float | None = None
        self._gaps: deque[tuple[float, float]] = deque()
        """(from, to) of those that `ratio` needs."""
        self._gaps_s = 0.0
        self._watched_before_s = 0.0

    def restore(self, watched_s: float, missing_s: float, reason: str) -> None:
        """What another process had seen before."""
        self._watched_before_s, self._gaps_s, self.reason = watched_s, missing_s, reason

    def begin(self, time_s: float) -> None:
        """Count from here on, if that has not begun."""
        if self._began_s is None:
            self._began_s = time_s

    @property
    def nothing_yet(self) -> bool:
        """Whether there has not been any value."""
        return self._seen_s == -math.inf

    @property
    def is_missing(self) -> bool:
        """Whether the last question had no answer."""
        return self._missing_from_s is not None

    def miss(self, time_s: float, reason: str) -> None:
        """There was no value at that time."""
        self.reason = reason
        if self._missing_from_s is None:
            self._missing_from_s = self._began_s if self.nothing_yet else time_s

    def see(self, time_s: float) -> float:
        """There was one at that time; gives the seconds before it that are missing."""
        from_s = self._missing_from_s
        if from_s is None and 0 < self._stale_after_s <= time_s - self._seen_s:
            from_s = self._began_s if self.nothing_yet else self._seen_s
        self._seen_s, self._missing_from_s = time_s, None
        self._first_s = min(self._first_s, time_s)
        if from_s is None or from_s >= time_s:
            return 0.0
        self._gaps.append((from_s, time_s))
        self._gaps_s += time_s - from_s
        while self._gaps[0][1] < time_s - SEEN_OVER_S:
            self._gaps.popleft()
        return time_s - from_s

    def missing_now_s(self, now: float) -> float | None:
        """For how long there has been no value; None when the last one still counts."""
        from_s = self._missing_now_from_s(now)
        return None if from_s is None else now - from_s

    def _missing_now_from_s(self, now: float) -> float | None:
        if self._missing_from_s is not None:
            return self._missing_from_s
        if self.nothing_yet:
            return self._began_s
        return self._seen_s if 0 < self._stale_after_s <= now - self._seen_s else None

    def missing_s(self, now: float) -> float:
        """Seconds without a value since the begin."""
        return self._gaps_s + (self.missing_now_s(now) or 0.0)

    def watched_s(self, now: float) -> float:
        """Seconds since the begin, and those of the process before."""
        return self._watched_before_s + (now - self._began_s if self._began_s is not None else 0.0)

    def is_lacking(self, now: float) -> bool:
        """Whether values are missing in too much of the last 20 s, all of them after the first value: until then there
        was nothing to see yet."""
        ratio = self.ratio(now) if now - self._first_s >= SEEN_OVER_S else None
        return ratio is not None and ratio < WELL_SEEN

    def ratio(self, now: float) -> float | None:
        """Which share of the last 20 s, or of the time since the begin, was seen; None at the begin."""
        if self._began_s is None or now <= self._began_s:
            return None
        begin_s = max(self._began_s, now - SEEN_OVER_S)
        open_from_s = self._missing_now_from_s(now)
        gaps = [*self._gaps, *([(open_from_s, now)] if open_from_s is not None else [])]
        missing_s = sum(max(0.0, to_s - max(from_s, begin_s)) for from_s, to_s in gaps)
        return 1.0 - missing_s / (now - begin_s)

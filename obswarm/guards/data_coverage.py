"""Measure for how long a guard has had values. Pure, with times as arguments."""

import math
from collections import deque

from obswarm.record import DATA_RATIO_OVER_S, MIN_DATA_RATIO


class DataCoverage:
    """The share of time that values cover.

    A value covers the time until the next query. Not covered is the time from a query without a value to the next
    value, and gaps of at least `stale_after_s` between values (0: gaps are covered). Times are in seconds, of one
    clock, in ascending order.
    """

    def __init__(self, stale_after_s: float) -> None:
        self._stale_after_s = stale_after_s
        self.reason = ""
        """Reason of the last missing value."""
        self._began_s: float | None = None
        self._last_value_s = -math.inf
        self._first_value_s = math.inf
        self._missing_from_s: float | None = None
        self._gaps: deque[tuple[float, float]] = deque()
        """(from, to) of the gaps that `ratio` needs."""
        self._gaps_s = 0.0
        self._watched_before_s = 0.0

    def restore(self, watched_s: float, missing_s: float, reason: str) -> None:
        """Continue the counts of an earlier process."""
        self._watched_before_s, self._gaps_s, self.reason = watched_s, missing_s, reason

    def begin(self, time_s: float) -> None:
        """Start counting at `time_s`, unless it has started."""
        if self._began_s is None:
            self._began_s = time_s

    @property
    def has_no_value_yet(self) -> bool:
        """Whether there has been no value so far."""
        return self._last_value_s == -math.inf

    @property
    def is_missing(self) -> bool:
        """Whether the last query had no value."""
        return self._missing_from_s is not None

    def record_missing(self, time_s: float, reason: str) -> None:
        """Record that there was no value, for a reason."""
        self.reason = reason
        if self._missing_from_s is None:
            self._missing_from_s = self._began_s if self.has_no_value_yet else time_s

    def record_value(self, time_s: float) -> float:
        """Record that there was a value. Returns the length of the gap before it in seconds."""
        from_s = self._missing_from_s
        if from_s is None and 0 < self._stale_after_s <= time_s - self._last_value_s:
            from_s = self._began_s if self.has_no_value_yet else self._last_value_s
        self._last_value_s, self._missing_from_s = time_s, None
        self._first_value_s = min(self._first_value_s, time_s)
        if from_s is None or from_s >= time_s:
            return 0.0
        self._gaps.append((from_s, time_s))
        self._gaps_s += time_s - from_s
        while self._gaps[0][1] < time_s - DATA_RATIO_OVER_S:
            self._gaps.popleft()
        return time_s - from_s

    def missing_now_s(self, now: float) -> float | None:
        """Return for how many seconds there has been no value, None while the last value covers the time."""
        from_s = self._missing_now_from_s(now)
        return None if from_s is None else now - from_s

    def _missing_now_from_s(self, now: float) -> float | None:
        if self._missing_from_s is not None:
            return self._missing_from_s
        if self.has_no_value_yet:
            return self._began_s
        return self._last_value_s if 0 < self._stale_after_s <= now - self._last_value_s else None

    def missing_s(self, now: float) -> float:
        """Return the seconds without a value since the start."""
        return self._gaps_s + (self.missing_now_s(now) or 0.0)

    def watched_s(self, now: float) -> float:
        """Return the seconds since the start, those of an earlier process included."""
        return self._watched_before_s + (now - self._began_s if self._began_s is not None else 0.0)

    def is_insufficient(self, now: float) -> bool:
        """Return whether too large a share of the last 20 s is not covered; False until 20 s after the first value."""
        ratio = self.ratio(now) if now - self._first_value_s >= DATA_RATIO_OVER_S else None
        return ratio is not None and ratio < MIN_DATA_RATIO

    def ratio(self, now: float) -> float | None:
        """Return the covered share of the last 20 s or of the time since the start, if shorter; None at the start."""
        if self._began_s is None or now <= self._began_s:
            return None
        begin_s = max(self._began_s, now - DATA_RATIO_OVER_S)
        open_from_s = self._missing_now_from_s(now)
        gaps = [*self._gaps, *([(open_from_s, now)] if open_from_s is not None else [])]
        missing_s = sum(max(0.0, to_s - max(from_s, begin_s)) for from_s, to_s in gaps)
        return 1.0 - missing_s / (now - begin_s)

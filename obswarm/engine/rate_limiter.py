"""Rate limiter for starting users evenly in time, also after a delay of the event loop. A pure function of the
clock."""

import math
from collections import deque

_BURST_S = 0.005
_CATCH_UP = 1.2
_SHORTEST_WAIT_S = 0.0005
_IDLE_S = 0.05
_WINDOW_S = 1.0
_SLACK_S = 1e-9
"""Tolerance for rounding errors."""


class RateLimiter:
    """Limits the number of users that may be started (or stopped) now, so that there are no bursts.

    Within any second, at most `rate` users (rounded up) pass; when the rate changes, each user counts as the part of
    its own rate. Within shorter times it is a token bucket: in any window of w seconds at most rate · (1.2 · w + 5 ms),
    so that the event loop catches up slowly after a delay. Bursts of new users would cause latencies that are not the
    target's. Another `burst_s` than 5 ms is for generators that spread users themselves.
    """

    def __init__(self, now: float, burst_s: float = _BURST_S) -> None:
        self._burst_s = burst_s
        self._last = now
        self._rate = 1.0
        self._tokens = 1.0
        self._passed: deque[tuple[float, float]] = deque()
        """Users of the last second: their time, and for how many seconds they suffice at the rate of that time."""
        self._used_s = 0.0

    def allowed(self, now: float, rate: float) -> int:
        """Return how many users may pass now."""
        self._tokens += (now - self._last) * rate * _CATCH_UP
        self._tokens = min(self._tokens, max(1.0, rate * self._burst_s))
        self._last, self._rate = now, rate
        while self._passed and self._passed[0][0] <= now - _WINDOW_S + _SLACK_S:
            self._used_s -= self._passed.popleft()[1]
        if not self._passed:
            self._used_s = 0.0
        return min(int(self._tokens), max(0, math.ceil((_WINDOW_S - self._used_s) * rate - _SLACK_S * rate)))

    def take(self, users: int) -> None:
        """Note that this number of users has passed."""
        self._tokens -= users
        if users:
            seconds = users / self._rate
            self._passed.append((self._last, seconds))
            self._used_s += seconds

    def wait(self, missing: float, rate: float) -> float:
        """Return the seconds until the next call is useful; `missing` is the distance of the position to the next
        user."""
        until_token = max(0.0, 1.0 - self._tokens) / (rate * _CATCH_UP)
        until_due = max(0.0, missing) / rate
        until_room = 0.0
        if self._passed and self._used_s >= _WINDOW_S - _SLACK_S:
            until_room = self._passed[0][0] + _WINDOW_S - self._last
        return min(_IDLE_S, max(_SHORTEST_WAIT_S, until_token, until_due, until_room))


def step_towards(assigned_users: int, position: float) -> int:
    """Return the number of users to add (or, if negative, to remove) to reach the position: its floor on the way up,
    its ceiling on the way down."""
    if position >= assigned_users:
        return math.floor(position + 1e-9) - assigned_users
    return math.ceil(position - 1e-9) - assigned_users

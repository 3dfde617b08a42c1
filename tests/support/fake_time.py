"""Time that passes only when a test says so, for greenlets as well: whoever sleeps is woken when its time has come."""

import heapq
from itertools import count

import gevent
import pytest
from gevent.event import Event

_TURNS = 5
"""Of the loop: what one greenlet sets off in another one has happened then."""


class FakeTime:
    """In place of `clock.monotonic`, `clock.wall` and `gevent.sleep` of whatever is called through these modules."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.wall_offset_s = 1_800_000_000.0
        self._sleepers: list[tuple[float, int, Event]] = []
        self._numbers = count()
        self._let_others = gevent.sleep
        patch.setattr("obswarm.clock.monotonic", self.monotonic)
        patch.setattr("obswarm.clock.wall", self.wall)
        patch.setattr(gevent, "sleep", self.sleep)

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.wall_offset_s

    def sleep(self, seconds: float = 0.0) -> None:
        woken = Event()
        heapq.heappush(self._sleepers, (self.now + max(0.0, seconds), next(self._numbers), woken))
        woken.wait()

    def advance(self, seconds: float) -> None:
        """Let time pass: sleepers wake in their order, and do what they do then."""
        end = self.now + seconds
        self._turn()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, woken = heapq.heappop(self._sleepers)
            self.now = max(self.now, at)
            woken.set()
            self._turn()
        self.now = end

    def _turn(self) -> None:
        for _ in range(_TURNS):
            self._let_others(0)

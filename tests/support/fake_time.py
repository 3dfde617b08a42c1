"""Time that passes only when a test says so, for greenlets as well: whoever sleeps is woken when its time has come."""

import heapq
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import gevent
import pytest
from gevent.event import Event

from obswarm.killed import Supervised

_TURNS = 5
"""Of the loop: what one greenlet sets off in another one has happened then."""


class FakeTime:
    """In place of `clock.monotonic`, `clock.wall`, `gevent.sleep` and time limits of `gevent.wait`, of whatever is called
    through these modules, and of the delay of supervised greenlets that start later."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.wall_offset_s = 1_800_000_000.0
        self._sleepers: list[tuple[float, int, Event]] = []
        self._numbers = count()
        self._let_others = gevent.sleep
        patch.setattr("obswarm.clock.monotonic", self.monotonic)
        patch.setattr("obswarm.clock.wall", self.wall)
        self._wait = gevent.wait
        patch.setattr(gevent, "sleep", self.sleep)
        patch.setattr(gevent, "wait", self.wait)
        patch.setattr(Supervised, "spawn_later", self.spawn_later)

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.wall_offset_s

    def sleep(self, seconds: float = 0.0) -> None:
        self._after(seconds).wait()

    def wait(self, objects: Sequence[Any], timeout: float | None = None, count: int | None = None) -> list[Any]:
        """As gevent.wait, for one of the objects."""
        if timeout is None:
            return list(self._wait(objects, count=count))
        over = self._after(timeout)
        return [each for each in self._wait([*objects, over], count=1) if each is not over]

    def spawn_later(self, seconds: float, function: Callable[..., Any], *arguments: Any) -> Supervised:
        def wait_and_call() -> Any:
            self.sleep(seconds)
            return function(*arguments)

        started: Supervised = Supervised.spawn(wait_and_call)
        return started

    def _after(self, seconds: float) -> Event:
        """An event that is set when so much time has passed."""
        woken = Event()
        heapq.heappush(self._sleepers, (self.now + max(0.0, seconds), next(self._numbers), woken))
        return woken

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

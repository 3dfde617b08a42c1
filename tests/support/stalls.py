"""What a busy machine adds to the time that a test measures."""

import math
import os
import time
from pathlib import Path
from typing import NamedTuple, Self

from gevent import monkey

_start_thread = monkey.get_original("_thread", "start_new_thread")
_sleep = monkey.get_original("time", "sleep")
_TICK_S = 0.02
_USUAL_S = 0.05
"""So much later than asked for a thread wakes up where others want its CPU, too: that is no stall."""

_MOST_SLOWDOWN = 4.0
"""A bound that is multiplied by more than that says nothing any more."""

_LOAD = Path("/proc/loadavg")


class _Tick(NamedTuple):
    time_s: float
    late_s: float
    running: int


class StallMeter:
    """While a `with` block lasts, measures for how long the machine stands still, and how many programs want a CPU.

    A thread of the system does so, beside the greenlets of the test: what blocks those is no stall. All methods can be
    asked about a part of the time, as wall times, so that a stall elsewhere excuses nothing.

    >>> with StallMeter() as stalls:
    ...     took_s = stop()
    >>> assert took_s < stalls.allowed_s(2.0)
    """

    def __init__(self) -> None:
        self._ticks: list[_Tick] = []
        self._is_over = False

    def __enter__(self) -> Self:
        _start_thread(self._measure, ())
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True

    def stalled_s(self, since_s: float = -math.inf, until_s: float = math.inf) -> float:
        """For how long the thread did not run although it was due; all stalls of 50 ms or more together."""
        return sum(tick.late_s for tick in self._between(since_s, until_s) if tick.late_s > _USUAL_S)

    def slowdown(self, since_s: float = -math.inf, until_s: float = math.inf) -> float:
        """How many times as long as on an idle machine a program takes that shares the CPUs with the others; not more
        than four times, so that a bound keeps a meaning on any machine."""
        running = [tick.running for tick in self._between(since_s, until_s)]
        found = sum(running) / len(running) / len(os.sched_getaffinity(0)) if running else 1.0
        return min(max(1.0, found), _MOST_SLOWDOWN)

    def allowed_s(self, bound_s: float, since_s: float = -math.inf, until_s: float = math.inf) -> float:
        """What something may take here that takes at most `bound_s` on an idle machine."""
        return bound_s * self.slowdown(since_s, until_s) + self.stalled_s(since_s, until_s)

    def _between(self, since_s: float, until_s: float) -> list[_Tick]:
        """Ticks that were due or came in that time."""
        return [tick for tick in self._ticks if since_s <= tick.time_s and tick.time_s - tick.late_s <= until_s]

    def _measure(self) -> None:
        before_s = time.monotonic()
        while not self._is_over:
            _sleep(_TICK_S)
            now_s = time.monotonic()
            self._ticks.append(_Tick(time.time(), max(0.0, now_s - before_s - _TICK_S), self._running()))
            before_s = now_s

    @staticmethod
    def _running() -> int:
        """Threads that run or wait for a CPU now, without the one that asks."""
        try:
            return int(_LOAD.read_text().split()[3].partition("/")[0]) - 1
        except OSError:
            return 0

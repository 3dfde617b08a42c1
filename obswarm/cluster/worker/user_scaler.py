"""Brings the users of a worker from what they are to what the master wants, evenly at the rate that it gives. Never
sleeps."""

from collections.abc import Mapping

from obswarm.cluster.master.balancer import Users
from obswarm.engine import RateLimiter
from obswarm.engine.executor import Spawner

_IDLE_S = 0.25
_SLOWEST_RATE = 0.01
_ENDS_WITHIN_S = 0.2
"""Users that are to end: what comes with one assignment is spread over about the time until the next one."""


class UserScaler:
    """`step(now)` starts and stops the users that are due and returns seconds after which it wants to be called again.

    Users that end by themselves are not replaced, so it counts those that it placed.
    """

    def __init__(self, user_classes: list[str], pool: Spawner) -> None:
        self.placed: Users = dict.fromkeys(user_classes, 0)
        self.settled = 0
        """The last assignment that has been carried out."""
        self._pool = pool
        self._wanted: Users = dict(self.placed)
        self._number = 0
        self._starts: RateLimiter | None = None
        self._ends: RateLimiter | None = None
        self._rate = self._end_rate = 1.0

    def assign(self, number: int, users: Mapping[str, int], rate: float, now: float) -> None:
        """Head for that, starting so many users per second at most. Classes that it does not know are left out."""
        if number <= self._number:
            # Of another master, which numbers its own.
            self.settled = 0
        self._number = number
        self._wanted = {name: users.get(name, 0) for name in self.placed}
        self._rate = max(rate, _SLOWEST_RATE)
        self._end_rate = max(self._rate, sum(self._distances(-1).values()) / _ENDS_WITHIN_S)
        if self._starts is None:
            self._starts, self._ends = RateLimiter(now), RateLimiter(now)
        if self._wanted == self.placed:
            self.settled = number

    def forget(self) -> None:
        """All users were ended by somebody else."""
        self.placed = dict.fromkeys(self.placed, 0)
        self._wanted = dict(self.placed)

    def step(self, now: float) -> float:
        if self._starts is None or self._ends is None or self._wanted == self.placed:
            self.settled = self._number
            return _IDLE_S
        delay = min(
            self._towards(1, self._starts, self._rate, now),
            self._towards(-1, self._ends, self._end_rate, now),
        )
        if self._wanted == self.placed:
            self.settled = self._number
        return delay

    def _distances(self, direction: int) -> dict[str, int]:
        """Users to be started (1) or ended (-1), by class."""
        distances = {name: (wanted - self.placed[name]) * direction for name, wanted in self._wanted.items()}
        return {name: distance for name, distance in distances.items() if distance > 0}

    def _towards(self, direction: int, pace: RateLimiter, rate: float, now: float) -> float:
        """Start or end what is due; gives seconds."""
        left = self._distances(direction)
        if not left:
            return _IDLE_S
        allowed = pace.allowed(now, rate)
        moves = 0
        while left and moves < allowed:
            # One of each class in turn, so that none is late as a whole.
            for name in list(left):
                if moves < allowed:
                    self._move(name, direction > 0)
                    moves += 1
                    left[name] -= 1
                    if not left[name]:
                        del left[name]
        pace.take(moves)
        return pace.wait(0.0, rate) if left else _IDLE_S

    def _move(self, name: str, up: bool) -> None:
        if up:
            self.placed[name] += 1
            self._pool.spawn(name)
        else:
            self.placed[name] -= 1
            self._pool.retire(name)

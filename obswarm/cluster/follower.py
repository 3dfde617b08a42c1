"""Brings the users of a worker from what they are to what the master wants, evenly at the rate that it gives. Never
sleeps."""

from collections.abc import Mapping

from obswarm.cluster.dispatch import Users
from obswarm.engine import Pace
from obswarm.engine.executor import Crowd

_IDLE_S = 0.25
_SLOWEST_RATE = 0.01


class Follower:
    """`step(now)` starts and stops the users that are due and returns seconds after which it wants to be called again.

    Users that end by themselves are not replaced, so it counts those that it placed.
    """

    def __init__(self, user_classes: list[str], crowd: Crowd) -> None:
        self.placed: Users = dict.fromkeys(user_classes, 0)
        self.settled = 0
        """The last assignment that has been carried out."""
        self._crowd = crowd
        self._wanted: Users = dict(self.placed)
        self._number = 0
        self._pace: Pace | None = None
        self._rate = 1.0

    def assign(self, number: int, users: Mapping[str, int], rate: float, now: float) -> None:
        """Head for that, at so many users per second. Classes that it does not know are left out."""
        self._number = number
        self._wanted = {name: users.get(name, 0) for name in self.placed}
        self._rate = max(rate, _SLOWEST_RATE)
        if self._pace is None:
            self._pace = Pace(now)
        if self._wanted == self.placed:
            self.settled = number

    def forget(self) -> None:
        """All users were ended by somebody else."""
        self.placed = dict.fromkeys(self.placed, 0)
        self._wanted = dict(self.placed)

    def step(self, now: float) -> float:
        if self._pace is None or self._wanted == self.placed:
            self.settled = self._number
            return _IDLE_S
        allowed = self._pace.allowed(now, self._rate)
        moves = 0
        while moves < allowed:
            before = moves
            # One of each class in turn, so that none is late as a whole.
            for name, wanted in self._wanted.items():
                if moves < allowed and wanted != self.placed[name]:
                    self._move(name, wanted > self.placed[name])
                    moves += 1
            if moves == before:
                break
        self._pace.take(moves)
        if self._wanted == self.placed:
            self.settled = self._number
            return _IDLE_S
        return self._pace.wait(0.0, self._rate)

    def _move(self, name: str, up: bool) -> None:
        if up:
            self.placed[name] += 1
            self._crowd.spawn(name)
        else:
            self.placed[name] -= 1
            self._crowd.retire(name)

"""UserScaler: starts and stops the users of a worker as assigned by its master, evenly at the assigned rate. A pure
function of the clock."""

from collections.abc import Mapping

from obswarm.engine.executor import Assignment
from obswarm.engine.rate_limiter import RateLimiter

_IDLE_S = 0.25
_SLOWEST_RATE = 0.01
_ENDS_WITHIN_S = 0.2
"""The users to be ended by an assignment are spread over about the time until the next one."""


class UserScaler:
    """Returns the users that are due by now with `step(now)`, as an executor does.

    Users that end by themselves are not replaced; `assigned` includes them.
    """

    def __init__(self, user_classes: list[str]) -> None:
        self.assigned = dict.fromkeys(user_classes, 0)
        """Users by class that are due by now."""
        self.settled = 0
        """Number of the last assignment that has been carried out."""
        self._wanted = dict(self.assigned)
        self._rates: Mapping[str, float] = {}
        self._max_users: Mapping[str, int] = {}
        self._rates_end: Mapping[str, float] = {}
        self._rates_begin: Mapping[str, float] = {}
        self._number = 0
        self._starts: RateLimiter | None = None
        self._ends: RateLimiter | None = None
        self._rate = self._end_rate = 1.0

    @property
    def wanted(self) -> dict[str, int]:
        """Users by class of the last assignment."""
        return dict(self._wanted)

    def assign(self, number: int, assignment: Assignment, now: float) -> None:
        """Set the target to these users, to be started at the spawn rate; unknown classes are ignored. Rates of
        iterations apply at once; users of their classes that were assigned by number end then."""
        if number <= self._number:
            # Another master has its own numbers.
            self.settled = 0
        self._number = number
        self._wanted = {name: assignment.users.get(name, 0) for name in self.assigned}
        self._rates, self._max_users = assignment.rates, assignment.max_users
        self._rates_end, self._rates_begin = assignment.ends, assignment.begins
        self.assigned.update({name: 0 for name in self.assigned if name in self._rates})
        self._rate = max(assignment.spawn_rate, _SLOWEST_RATE)
        self._end_rate = max(self._rate, sum(self._distances(-1).values()) / _ENDS_WITHIN_S)
        if self._starts is None:
            self._starts, self._ends = RateLimiter(now), RateLimiter(now)
        if self._wanted == self.assigned:
            self.settled = number

    def forget(self) -> None:
        """Note that all users were stopped by other means."""
        self.assigned = dict.fromkeys(self.assigned, 0)
        self._wanted = dict(self.assigned)
        self._rates, self._max_users, self._rates_end = {}, {}, {}

    def step(self, now: float) -> Assignment:
        """Return the current assignment."""
        wait_s = _IDLE_S
        if self._starts is not None and self._ends is not None and self._wanted != self.assigned:
            wait_s = min(
                self._towards(1, self._starts, self._rate, now),
                self._towards(-1, self._ends, self._end_rate, now),
            )
        if self._wanted == self.assigned:
            self.settled = self._number
        users, rates = dict(self.assigned), self._rates
        return Assignment(
            users,
            self._rate,
            wait_s,
            rates=rates,
            max_users=self._max_users,
            ends=self._rates_end,
            begins=self._rates_begin,
        )

    def _distances(self, direction: int) -> dict[str, int]:
        """Return the users to be started (1) or ended (-1), by class."""
        distances = {name: (wanted - self.assigned[name]) * direction for name, wanted in self._wanted.items()}
        return {name: distance for name, distance in distances.items() if distance > 0}

    def _towards(self, direction: int, limiter: RateLimiter, rate: float, now: float) -> float:
        """Start or end the users that are due; returns the seconds until the next one is."""
        left = self._distances(direction)
        if not left:
            return _IDLE_S
        allowed = limiter.allowed(now, rate)
        moves = 0
        while left and moves < allowed:
            # One of each class in turn, so that none is late as a whole.
            for name in list(left):
                if moves < allowed:
                    self.assigned[name] += direction
                    moves += 1
                    left[name] -= 1
                    if not left[name]:
                        del left[name]
        limiter.take(moves)
        return limiter.wait(0.0, rate) if left else _IDLE_S

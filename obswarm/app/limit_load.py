"""The load of a search for the limit: the number of users, or the rate of iterations, that the search tries."""

import bisect
from dataclasses import replace

from obswarm.analysis import LimitSearch
from obswarm.engine import LoadTarget, Ramp

_MOVE_S = 2.0
"""A change of the load takes at most this long, if no spawn rate was given."""


class SearchSchedule:
    """The load schedule of a search for a number of users. `most` is the number of users for which there have to be
    open files, None if it is unknown; `rate` the spawn rate in users per second, None for a suitable one."""

    stands_still = True
    duration_s: float | None = None

    def __init__(self, search: LimitSearch, most: int | None, rate: float | None) -> None:
        self._search = search
        self._rate = rate
        self.most_users = most
        self._users: int | None = None
        self._step = -1
        self._ramp = Ramp(0, 1.0)

    def at(self, elapsed_s: float, assigned_users: int) -> LoadTarget | None:
        if self._search.load is None:
            return None
        users = int(self._search.load)
        if users != self._users:
            rate = self._rate or max(1.0, abs(users - assigned_users) / _MOVE_S)
            self._users, self._ramp = users, Ramp(users, rate)
            self._step += 1
        target = self._ramp.at(elapsed_s, assigned_users)
        return None if target is None else replace(target, step=self._step)

    def may_want_more(self, elapsed_s: float, assigned_users: int) -> bool:
        return self._search.load is not None

    def is_over(self, elapsed_s: float) -> bool:
        return self._search.load is None


class SearchRate:
    """The rate of a user class in a search for a rate: `share` of the load that is tried; a RateOverTime. It jumps when
    the search chooses another load."""

    duration_s: float | None = None

    def __init__(self, search: LimitSearch, share: float) -> None:
        self._search = search
        self._share = share
        self._since = [0.0]
        self._rates = [0.0]
        self._sums = [0.0]

    def _follow(self, elapsed_s: float) -> None:
        """Note the rate of the present load, from this time on."""
        rate = (self._search.load or 0.0) * self._share
        if rate != self._rates[-1] and elapsed_s >= self._since[-1]:
            self._sums.append(self.integral(elapsed_s, follows=False))
            self._since.append(elapsed_s)
            self._rates.append(rate)

    def integral(self, elapsed_s: float, follows: bool = True) -> float:
        if follows:
            self._follow(elapsed_s)
        number = max(0, bisect.bisect_right(self._since, elapsed_s) - 1)
        return self._sums[number] + self._rates[number] * max(0.0, elapsed_s - self._since[number])

    def at(self, elapsed_s: float) -> float:
        self._follow(elapsed_s)
        return self._rates[max(0, bisect.bisect_right(self._since, elapsed_s) - 1)]

    def goal(self, elapsed_s: float) -> float:
        return self.at(elapsed_s)

    def step(self, elapsed_s: float) -> int:
        return max(0, len(self._rates) - 2)

    def is_level(self, elapsed_s: float) -> bool:
        return True

    def is_over(self, elapsed_s: float) -> bool:
        return self._search.load is None

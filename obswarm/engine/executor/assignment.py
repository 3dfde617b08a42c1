"""Assignment: the load that an executor wants at one moment."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

_SAME_END_S = 0.05


@dataclass(frozen=True, slots=True)
class Assignment:
    """The load of each user class from now on: either a number of users, or a rate of iterations, for which a generator
    starts as many users as necessary.

    `users` are by class, `rates` in iterations per second by class. `spawn_rate` is in users per second: a generator
    that spreads users by itself starts no more than that. The executor's next step is due after `wait_s` seconds.
    `settled`: the load reaches its target with this assignment. Raises ValueError for a rate that is negative,
    infinite or not a number, and for a class with both users and a rate. `max_users` is the maximum number of users
    for the iterations of a class with a rate, `ends` the time of the monotonic clock from which on no iteration of a
    class is due, whatever its rate; a class without one has no known end. The rate of a class in `evenly` is divided
    among processes in equal parts, whatever their capacity.
    """

    users: Mapping[str, int]
    spawn_rate: float
    wait_s: float = 0.0
    settled: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)
    max_users: Mapping[str, int] = field(default_factory=dict)
    ends: Mapping[str, float] = field(default_factory=dict)
    begins: Mapping[str, float] = field(default_factory=dict)
    """Time of the monotonic clock, by class, at which the first rate of a class began: a little before, if the first
    step was late."""
    evenly: Collection[str] = ()

    def __post_init__(self) -> None:
        for name, rate in self.rates.items():
            if not (math.isfinite(rate) and rate >= 0):
                raise ValueError(f"the class {name} has a rate of {rate:g} iterations per second")
            if self.users.get(name):
                raise ValueError(f"the class {name} has both a number of users and a rate of iterations")

    @property
    def user_count(self) -> int:
        """Number of users, of the classes that have one."""
        return sum(self.users.values())

    @property
    def has_rates(self) -> bool:
        """Whether a class has a rate of iterations."""
        return any(self.rates.values())

    def is_same_load(self, other: "Assignment") -> bool:
        """Whether another assignment has the same users, rates, limits and ends."""
        has_same_numbers = self.users == other.users and self.max_users == other.max_users
        return has_same_numbers and self.rates == other.rates and are_same_ends(self.ends, other.ends)

    def ending_by(self, end: float) -> "Assignment":
        """Return this assignment with no iteration due from `end` on, if that is earlier than its own ends."""
        return replace(self, ends={name: min(end, self.ends.get(name, math.inf)) for name in self.rates})


def are_same_ends(ends: Mapping[str, float], others: Mapping[str, float]) -> bool:
    """Whether ends are the same, apart from rounding and the time that a message takes."""
    return ends.keys() == others.keys() and all(abs(end - others[name]) < _SAME_END_S for name, end in ends.items())

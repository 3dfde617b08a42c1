"""Assignment: the load that an executor wants at one moment."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Assignment:
    """The load of each user class from now on: either a number of users, or a rate of iterations, which a generator
    keeps with as many users as that takes.

    `users` are by class, `rates` in iterations per second by class. `spawn_rate` is in users per second: a generator
    that places users by itself starts no more than that. The executor wants to be asked again after `wait_s` seconds.
    `settled` is true when this assignment has brought the load to where it was heading. Raises ValueError for a rate
    that is negative, infinite or not a number, and for a class with both users and a rate.
    """

    users: Mapping[str, int]
    spawn_rate: float
    wait_s: float = 0.0
    settled: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, rate in self.rates.items():
            if not (math.isfinite(rate) and rate >= 0):
                raise ValueError(f"the class {name} has a rate of {rate:g} iterations per second")
            if self.users.get(name):
                raise ValueError(f"the class {name} has both a number of users and a rate of iterations")

    @property
    def user_count(self) -> int:
        """Users of the classes that have a number of them."""
        return sum(self.users.values())

    @property
    def has_rates(self) -> bool:
        """Whether there are iterations at a rate, however many users there are at a moment."""
        return any(self.rates.values())

    def is_same_load(self, other: "Assignment") -> bool:
        """Whether another assignment has the same users and rates."""
        return self.users == other.users and self.rates == other.rates

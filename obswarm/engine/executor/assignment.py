"""Assignment: the load that an executor wants at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Assignment:
    """How many users of each class a generator has to run from now on.

    `spawn_rate` is in users per second: a generator that places users by itself starts no more than that. The executor
    wants to be asked again after `wait_s` seconds. `settled` is true when this assignment has brought the load to where
    it was heading.
    """

    users: Mapping[str, int]
    spawn_rate: float
    wait_s: float = 0.0
    settled: bool = False

    @property
    def user_count(self) -> int:
        return sum(self.users.values())

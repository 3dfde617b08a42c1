"""Distribution of users over workers: pure functions of the wanted users, the workers' weights and their users."""

from collections.abc import Mapping
from dataclasses import dataclass

from obswarm.engine import apportion, apportion_rate

Users = dict[str, int]
Rates = dict[str, float]
"""Iterations per second by class."""


def distribute(
    wanted: Mapping[str, int], weights: Mapping[str, float], present: Mapping[str, Mapping[str, int]] | None = None
) -> dict[str, Users]:
    """Users by class for each worker: the classes' numbers exactly, the workers' shares by weight to less than 1 user,
    and each class spread over the workers in the same proportion. Workers without weight get none.

    The rarest classes are dealt first, each by the room that the workers have left; the last one fills it.
    """
    result: dict[str, Users] = {worker: dict.fromkeys(wanted, 0) for worker in weights}
    workers = [worker for worker, weight in weights.items() if weight > 0]
    if not workers:
        return result
    present = present or {}
    before = [sum(present.get(worker, {}).values()) for worker in workers]
    room = apportion(sum(wanted.values()), [weights[worker] for worker in workers], before)
    for user_class, number in sorted(wanted.items(), key=lambda item: (item[1], item[0])):
        if not number:
            continue
        has = [present.get(worker, {}).get(user_class, 0) for worker in workers]
        shares = apportion(number, room, has)
        for i, share in enumerate(shares):
            result[workers[i]][user_class] = share
            room[i] -= share
    return result


def distribute_rates(
    wanted: Mapping[str, float],
    weights: Mapping[str, float],
    max_users: Mapping[str, int] | None = None,
    present: Mapping[str, Mapping[str, int]] | None = None,
) -> tuple[dict[str, Rates], dict[str, Users]]:
    """Rates of iterations by class for each worker, in proportion to the weights, and the maximum numbers of users for
    them. The rates of a class sum up to its rate exactly, its maximum numbers to its maximum. `present` are the maximum
    numbers until now, which do not change because of rounding.

    A worker that may have no users of a class, because there are more workers than users, has no rate of it either.
    """
    rates: dict[str, Rates] = {worker: {} for worker in weights}
    limits: dict[str, Users] = {worker: {} for worker in weights}
    if not any(weights.values()):
        return rates, limits
    for user_class, rate in wanted.items():
        parts = list(weights.values())
        most = (max_users or {}).get(user_class)
        if most is not None:
            has = [(present or {}).get(worker, {}).get(user_class, 0) for worker in weights]
            users = apportion(most, parts, has)
            parts = [part if number else 0.0 for part, number in zip(parts, users, strict=True)]
            for worker, number in zip(weights, users, strict=True):
                limits[worker][user_class] = number
        for worker, part in zip(weights, apportion_rate(rate, parts), strict=True):
            rates[worker][user_class] = part
    return rates, limits


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """The load of a worker, as last reported."""

    cpu_ratio: float
    strained_s: int


class Balance:
    """Weights of workers: by capacity or equal; reduced for workers that are too slow while others have room.

    `update` is called once per interval.
    """

    def __init__(self, by_capacity: bool) -> None:
        self._by_capacity = by_capacity
        self._factor: dict[str, float] = {}
        self._rest: dict[str, int] = {}

    def weights(self, capacities: Mapping[str, float]) -> dict[str, float]:
        """Return the weights by worker; workers of unknown capacity get the average of the others."""
        if not self._by_capacity:
            return dict.fromkeys(capacities, 1.0)
        measured = [capacity for capacity in capacities.values() if capacity > 0]
        average = sum(measured) / len(measured) if measured else 1.0
        return {
            worker: (capacity or average) * self._factor.get(worker, 1.0) for worker, capacity in capacities.items()
        }

    def update(self, loads: Mapping[str, WorkerLoad]) -> list[str]:
        """Take over the loads of the last interval; returns the workers whose weight was reduced."""
        if not self._by_capacity:
            return []
        for worker in list(self._rest):
            self._rest[worker] -= 1
            if self._rest[worker] <= 0:
                del self._rest[worker]
        has_room = [worker for worker, load in loads.items() if not load.strained_s and load.cpu_ratio < _ROOM_RATIO]
        if not has_room:
            return []
        reduced = [
            worker for worker, load in loads.items() if load.strained_s >= _STRAINED_S and worker not in self._rest
        ]
        for worker in reduced:
            self._factor[worker] = max(_LEAST_FACTOR, self._factor.get(worker, 1.0) * _LESS)
            # Moving users takes effect only after some intervals.
            self._rest[worker] = _SETTLE_INTERVALS
        return reduced

    def forget(self, worker: str) -> None:
        self._factor.pop(worker, None)
        self._rest.pop(worker, None)


_ROOM_RATIO = 0.75
_STRAINED_S = 2
_LESS = 0.75
_LEAST_FACTOR = 0.01
_SETTLE_INTERVALS = 3

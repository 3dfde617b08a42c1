"""Who gets which users: pure functions of what is wanted, what each worker can do, and what it has already."""

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


def distribute_rates(wanted: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, Rates]:
    """Rates of iterations by class for each worker, in proportion to the weights; those of a class sum up to its rate
    exactly."""
    result: dict[str, Rates] = {worker: {} for worker in weights}
    if not any(weights.values()):
        return result
    for user_class, rate in wanted.items():
        for worker, part in zip(weights, apportion_rate(rate, list(weights.values())), strict=True):
            result[worker][user_class] = part
    return result


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """What a worker said of itself last."""

    cpu_ratio: float
    strained_s: int


class Balance:
    """Takes weight from workers that are too slow for what they have, while others have room.

    `weights` starts from capacities (or equal numbers) and says who gets how much; `update` is called once an interval.
    """

    def __init__(self, by_capacity: bool) -> None:
        self._by_capacity = by_capacity
        self._factor: dict[str, float] = {}
        self._rest: dict[str, int] = {}

    def weights(self, capacities: Mapping[str, float]) -> dict[str, float]:
        """By worker; those that could not measure themselves count as the average of the others."""
        if not self._by_capacity:
            return dict.fromkeys(capacities, 1.0)
        measured = [capacity for capacity in capacities.values() if capacity > 0]
        average = sum(measured) / len(measured) if measured else 1.0
        return {
            worker: (capacity or average) * self._factor.get(worker, 1.0) for worker, capacity in capacities.items()
        }

    def update(self, loads: Mapping[str, WorkerLoad]) -> list[str]:
        """Note the last interval; gives the workers whose weight was reduced."""
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
            # What moving users brings shows only after a while.
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

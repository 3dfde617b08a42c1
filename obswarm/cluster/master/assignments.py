"""Division of an assignment among workers: users, the rate at which they start, rates of iterations."""

from collections.abc import Iterable, Mapping, Sequence

from obswarm.cluster.master.balancer import Balance, Users, distribute, distribute_rates
from obswarm.cluster.master.worker_state import WorkerState
from obswarm.cluster.wire.messages import Assign
from obswarm.engine import Assignment, RateLimiter, spread

_BURST_S = 0.4
"""Of users that are given out in one step; workers spread them."""
_MOVES = 0.9
"""Of the spawn rate, for users that move: messages take their time, now more and now less, and still no second may have
more starts than the rate."""
_BEHIND_S = 0.25
"""What is later than that is not only late: users have to move."""
_BASE = 0.1
"""Of the rate while users move, for workers that have none of them to start."""
_SAME_RATE = (0.8, 1.25)

_Place = tuple[str, str]
"""A worker's incarnation and a user class."""


class Assignments:
    """Gives an assignment out to workers, by their weights in `balance`. `number` is that of the last assignment.

    However many users have to get to other workers (one has come, or gone, or is too slow), no more of them are given
    out within a second than the spawn rate allows, those that are new included. The rates that workers are told sum up
    to the spawn rate, so that they keep to it as well when messages come late. Rates of iterations are divided at once:
    the executor gives their course over time.
    """

    def __init__(self, balance: Balance) -> None:
        self.balance = balance
        self.number = 0
        self.pending = 0
        """Users that workers should have already, and have not been told to start yet."""
        self._limiter: RateLimiter | None = None
        self._wanted = 0
        self._growth = 0
        """Of the pending users those that are new in the run."""
        self._moving = False

    def give_out(
        self, ready: Sequence[WorkerState], assignment: Assignment, now: float
    ) -> list[tuple[WorkerState, Assign]]:
        """Make the next step on the way to the assignment, whose spawn rate is that of all workers; to be called again
        in a moment as long as some users are `pending`.

        Returns what to tell the workers whose users or rates have changed.
        """
        wanted, rate = assignment.users, assignment.spawn_rate
        self.number += 1
        if self._limiter is None:
            self._limiter = RateLimiter(now, _BURST_S)
        total = sum(wanted.values())
        self._growth += max(0, total - self._wanted)
        self._wanted = total
        if not ready:
            self.pending = 0
            return []
        by_incarnation = {worker.incarnation: worker for worker in ready}
        weights = self.balance.weights({incarnation: worker.capacity for incarnation, worker in by_incarnation.items()})
        present = {incarnation: worker.assigned or worker.users for incarnation, worker in by_incarnation.items()}
        given, missing = self._step(distribute(wanted, weights, present), present, wanted, rate, now)
        rates = distribute_rates(assignment.rates, weights)
        messages = []
        for incarnation, share in self._rates(missing, weights, rate).items():
            worker, users = by_incarnation[incarnation], given[incarnation]
            same_rate = worker.rate > 0 and _SAME_RATE[0] <= share / worker.rate <= _SAME_RATE[1]
            is_same = users == worker.assigned and rates[incarnation] == worker.assigned_rates
            if is_same and worker.assign_number and same_rate:
                continue
            worker.assigned, worker.assigned_rates = users, rates[incarnation]
            worker.assign_number = self.number
            worker.rate = share
            messages.append((worker, Assign(self.number, users, share, rates[incarnation])))
        return messages

    def _step(
        self,
        goal: Mapping[str, Users],
        present: Mapping[str, Mapping[str, int]],
        wanted: Mapping[str, int],
        rate: float,
        now: float,
    ) -> tuple[dict[str, Users], dict[str, int]]:
        """Users by worker after this step, and how many each worker had to start before it."""
        assert self._limiter is not None
        changes = {
            (worker, name): goal[worker].get(name, 0) - has.get(name, 0)
            for worker, has in present.items()
            for name in {**goal[worker], **has}
        }
        gaps = {place: change for place, change in changes.items() if change > 0}
        missing = _by_worker(gaps)
        there = _by_class({(worker, name): number for worker, has in present.items() for name, number in has.items()})
        deficits = {name: max(0, number - there.get(name, 0)) for name, number in wanted.items()}
        self._growth = min(self._growth, sum(deficits.values()))
        new = min(self._growth, self._limiter.allowed(now, rate))
        self._limiter.take(new)
        self._growth -= new
        moving = min(sum(gaps.values()) - new, self._limiter.allowed(now, rate * _MOVES))
        self._limiter.take(moving)
        starts = dict.fromkeys(gaps, 0)
        # Users that are missing come before those that only change places.
        for name, number in spread(new + moving, deficits).items():
            for place, more in spread(number, _of_class(name, gaps)).items():
                starts[place] += more
        rest = {place: gap - starts[place] for place, gap in gaps.items()}
        for place, more in spread(new + moving - sum(starts.values()), rest).items():
            starts[place] += more
        given = {worker: dict(goal[worker]) for worker in goal}
        for (worker, name), number in starts.items():
            given[worker][name] = present[worker].get(name, 0) + number
        started = _by_class(starts)
        for name in {name for _, name in changes}:
            surplus = {place: -change for place, change in _of_class(name, changes).items() if change < 0}
            ends = there.get(name, 0) + started.get(name, 0) - wanted.get(name, 0)
            for (worker, _), number in spread(ends, surplus).items():
                given[worker][name] = present[worker][name] - number
        self.pending = sum(gaps.values()) - sum(starts.values())
        late = self.pending - self._growth
        self._moving = late > 0 and (self._moving or late > max(2.0, rate * _BEHIND_S))
        return given, missing

    def _rates(self, missing: Mapping[str, int], weights: Mapping[str, float], rate: float) -> dict[str, float]:
        """Users per second for each worker: by its weight, or while users move mostly by what it has to start."""
        whole, to_start = sum(weights.values()), sum(missing.values())
        shares = {worker: rate * weight / whole for worker, weight in weights.items()}
        if not self._moving or not to_start:
            return shares
        return {
            worker: _BASE * share + (1 - _BASE) * rate * missing.get(worker, 0) / to_start
            for worker, share in shares.items()
        }


def _of_class(name: str, numbers: Mapping[_Place, int]) -> dict[_Place, int]:
    return {place: number for place, number in numbers.items() if place[1] == name}


def _by_class(numbers: Mapping[_Place, int]) -> dict[str, int]:
    return _summed((name, number) for (_, name), number in numbers.items())


def _by_worker(numbers: Mapping[_Place, int]) -> dict[str, int]:
    return _summed((worker, number) for (worker, _), number in numbers.items())


def _summed(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for key, number in pairs:
        sums[key] = sums.get(key, 0) + number
    return sums

"""Division of an assignment among workers: users, the rate at which they start, rates of iterations."""

from collections.abc import Iterable, Mapping, Sequence

from obswarm.cluster.master.balancer import Balance, Rates, Users, distribute, distribute_rates
from obswarm.cluster.master.worker_state import WorkerState
from obswarm.cluster.wire.messages import Assign
from obswarm.engine import Assignment, RateLimiter, are_same_ends, spread

_BURST_S = 0.4
"""Seconds of the spawn rate that one step may assign; workers spread them evenly."""
_MOVES = 0.9
"""Share of the spawn rate for moved users: messages are delayed by varying times, and no second may have more starts
than the rate allows."""
_BEHIND_S = 0.25
"""Seconds of delay at the spawn rate from which on users count as moving between workers."""
_BASE = 0.1
"""Share of the rate for workers without moved users, while users move."""
_SAME_RATE = (0.8, 1.25)

_Place = tuple[str, str]
"""A worker's incarnation and a user class."""


class Assignments:
    """Divides an assignment among workers, by their weights in `balance`. `number` is that of the last assignment.

    However many users have to be moved (when a worker joins, leaves or is too slow), no more users per second are
    assigned than the spawn rate allows, including new ones. The spawn rates of the workers add up to the spawn rate, so
    they keep to it also when messages are delayed. Rates of iterations are divided at once: the executor ramps them.
    """

    def __init__(self, balance: Balance) -> None:
        self.balance = balance
        self.number = 0
        self.pending = 0
        """Users that are wanted now, and not yet assigned because of the spawn rate."""
        self._limiter: RateLimiter | None = None
        self._wanted = 0
        self._growth = 0
        """The pending users that are new in the run, instead of moved."""
        self._moving = False

    def assign(
        self, ready: Sequence[WorkerState], assignment: Assignment, now: float
    ) -> list[tuple[WorkerState, Assign]]:
        """Make the next step towards the assignment, whose spawn rate is that of all workers together. Has to be called
        again soon while users are `pending`.

        Returns the messages to workers whose users or rates have changed.
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
        limits_before = {incarnation: worker.assigned_limits for incarnation, worker in by_incarnation.items()}
        rates, limits = self._divided_rates(assignment, by_incarnation, weights, limits_before)
        ends, evenly = dict(assignment.ends), tuple(assignment.evenly)
        late_s = {name: max(0.0, now - begin) for name, begin in assignment.begins.items()}
        lasts_s = {name: max(0.0, end - now) for name, end in ends.items()}
        messages = []
        for incarnation, share in self._rates(missing, weights, rate).items():
            worker, users = by_incarnation[incarnation], given[incarnation]
            same_rate = worker.rate > 0 and _SAME_RATE[0] <= share / worker.rate <= _SAME_RATE[1]
            has_same_rates = (rates[incarnation], limits[incarnation]) == (
                worker.assigned_rates,
                worker.assigned_limits,
            )
            is_same = users == worker.assigned and has_same_rates and are_same_ends(ends, worker.assigned_ends)
            if is_same and worker.assign_number and same_rate:
                continue
            worker.assigned = users
            worker.assigned_rates, worker.assigned_limits = rates[incarnation], limits[incarnation]
            worker.assigned_ends = ends
            worker.assign_number = self.number
            worker.rate = share
            messages.append(
                (
                    worker,
                    Assign(self.number, users, share, rates[incarnation], limits[incarnation], lasts_s, late_s, evenly),
                )
            )
        return messages

    @staticmethod
    def _divided_rates(
        assignment: Assignment,
        by_incarnation: Mapping[str, WorkerState],
        weights: Mapping[str, float],
        limits_before: Mapping[str, Users],
    ) -> tuple[dict[str, Rates], dict[str, Users]]:
        """Return rates and maximum numbers of users by worker: of classes in `evenly` in equal parts for each process,
        of all others by the weights."""
        even = {name: rate for name, rate in assignment.rates.items() if name in assignment.evenly}
        others = {name: rate for name, rate in assignment.rates.items() if name not in even}
        rates, limits = distribute_rates(others, weights, assignment.max_users, limits_before)
        if even:
            processes = {incarnation: float(worker.processes) for incarnation, worker in by_incarnation.items()}
            more_rates, more_limits = distribute_rates(even, processes, assignment.max_users, limits_before)
            rates = {incarnation: {**own, **more_rates[incarnation]} for incarnation, own in rates.items()}
            limits = {incarnation: {**own, **more_limits[incarnation]} for incarnation, own in limits.items()}
        return rates, limits

    def _step(
        self,
        goal: Mapping[str, Users],
        present: Mapping[str, Mapping[str, int]],
        wanted: Mapping[str, int],
        rate: float,
        now: float,
    ) -> tuple[dict[str, Users], dict[str, int]]:
        """Return the users by worker after this step, and the number that each worker had to start before it."""
        assert self._limiter is not None
        changes = {
            (worker, name): goal[worker].get(name, 0) - has.get(name, 0)
            for worker, has in present.items()
            for name in {**goal[worker], **has}
        }
        gaps = {place: change for place, change in changes.items() if change > 0}
        missing = _by_worker(gaps)
        present_users = _by_class(
            {(worker, name): number for worker, has in present.items() for name, number in has.items()}
        )
        deficits = {name: max(0, number - present_users.get(name, 0)) for name, number in wanted.items()}
        self._growth = min(self._growth, sum(deficits.values()))
        new = min(self._growth, self._limiter.allowed(now, rate))
        self._limiter.take(new)
        self._growth -= new
        moving = min(sum(gaps.values()) - new, self._limiter.allowed(now, rate * _MOVES))
        self._limiter.take(moving)
        starts = dict.fromkeys(gaps, 0)
        # Missing users come before moved ones.
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
            ends = present_users.get(name, 0) + started.get(name, 0) - wanted.get(name, 0)
            for (worker, _), number in spread(ends, surplus).items():
                given[worker][name] = present[worker][name] - number
        self.pending = sum(gaps.values()) - sum(starts.values())
        late = self.pending - self._growth
        self._moving = late > 0 and (self._moving or late > max(2.0, rate * _BEHIND_S))
        return given, missing

    def _rates(self, missing: Mapping[str, int], weights: Mapping[str, float], rate: float) -> dict[str, float]:
        """Return the spawn rate of each worker: by its weight, or, while users move, mostly by its users to start."""
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

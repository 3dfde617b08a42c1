"""Limits of the values that a worker may report, and of the load that it may be assigned.

A faulty or malicious worker could report values that no machine reaches, which would corrupt the result of all others.
No correct worker comes near these limits.
"""

from collections.abc import Iterable, Mapping

from obswarm import defaults
from obswarm.cluster.wire.messages import Assign, Ready, Report
from obswarm.engine import Assignment
from obswarm.sanitize import clean_text, is_clean
from obswarm.stats import UserStep
from obswarm.stats.codec.bounds import MOST_PROCESSES, OutOfBounds, TableBounds

_MOST_USERS = 100_000_000
_MOST_CPUS = 100_000
_MOST_CAPACITY = 1e11
"""Requests per second."""

_MOST_CORES_OF_A_PROCESS = 10_000
_MOST_S = 10 * 365 * 86_400
_MOST_BYTES = 2**53
_MOST_NUMBER = 2**53
"""The highest sequence number of deltas, heartbeats and assignments."""

_MOST_REQUESTS_PER_S = 10_000_000
"""Limit for one process; the fastest client makes a hundredth of that."""

_AHEAD_S = 3_600.0
"""How long a worker may have been running before it registered with this master."""


class RunBounds(TableBounds):
    """Validates the messages of the workers of a run, and a worker its assignments. All checks raise OutOfBounds."""

    @staticmethod
    def of(max_endpoints: int, user_classes: Iterable[str]) -> "RunBounds":
        """Return the bounds for a run with user classes of these names."""
        return RunBounds(max_endpoints, user_classes=frozenset(map(clean_text, user_classes)))

    def check_users(self, users: Mapping[str, int]) -> None:
        """Check the number of users by class."""
        self.check_classes(users)
        number = sum(users.values())
        if number > _MOST_USERS:
            raise OutOfBounds(f"it has {number:,} users")

    def checked_steps(self, steps: list[UserStep]) -> list[UserStep]:
        """Return the changes in the number of users, once they are checked."""
        peak = max((max(step.peak, step.users) for step in steps), default=0)
        if peak > _MOST_USERS:
            raise OutOfBounds(f"it had {peak:,} users")
        return steps

    def checked_assignment(self, assign: Assign, now: float) -> Assignment:
        """Return the load that a message assigns, which arrived at `now` of the monotonic clock. Its rates have to be
        of classes that the run has, and no class may have both a number of users and a rate."""
        unknown = assign.rates.keys() - self.user_classes if self.user_classes is not None else set()
        if unknown:
            raise OutOfBounds(
                f"it has a rate of the class {clean_text(min(unknown), 80)}, which is not in the load test"
            )
        try:
            return Assignment(
                assign.users,
                assign.spawn_rate,
                rates=assign.rates,
                max_users=assign.max_users,
                ends={name: now + lasts_s for name, lasts_s in assign.lasts_s.items()},
                begins={name: now - late_s for name, late_s in assign.late_s.items()},
                evenly=assign.evenly,
            )
        except ValueError as error:
            raise OutOfBounds(clean_text(str(error))) from None

    def check_ready(self, ready: Ready) -> None:
        """Check capacity, CPUs, users and names of a worker that is about to be registered."""
        self.check_users(ready.users)
        _check("capacity", ready.capacity, _MOST_CAPACITY)
        _check("number of CPUs", ready.cpus, _MOST_CPUS)
        _check("number of the last delta", ready.acked, _MOST_NUMBER)
        if len(ready.nodes) > MOST_PROCESSES:
            raise OutOfBounds(f"it has {len(ready.nodes):,} processes")
        if not all(len(node) <= defaults.MAX_NAME_LENGTH and is_clean(node) for node in ready.nodes):
            raise OutOfBounds("the name of one of its processes is too long or contains control characters")

    def check_report(self, report: Report) -> None:
        """Check users, health and sequence numbers of a report; its delta is checked by the codec."""
        self.check_users(report.users)
        _check("CPU usage", report.cpu_ratio, _MOST_CORES_OF_A_PROCESS)
        _check("event-loop lag", report.loop_lag_s, _MOST_S)
        _check("memory", report.memory_bytes, _MOST_BYTES)
        _check("time over its limits", report.strained_s, _MOST_S)
        for number in (report.heartbeat, report.settled, report.last_sequence):
            _check("number of a message", number, _MOST_NUMBER)
        if report.sequence > report.last_sequence:
            raise OutOfBounds(f"its delta {report.sequence} comes after its last one, {report.last_sequence}")


def most_requests(processes: int, known_s: float) -> int:
    """Return the most requests that a worker can have made that registered `known_s` seconds ago."""
    return int(processes * _MOST_REQUESTS_PER_S * (known_s + _AHEAD_S))


def _check(what: str, value: float, most: float) -> None:
    if value > most:
        raise OutOfBounds(f"its {what} is {value:g}")

"""Concurrent users over time: the changes within one process between two reports, and the sum of many processes.
Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

SLOT_S = 0.01
"""Length of a time slot: users that run at different times within a slot count as concurrent."""

MOST_STEPS = 500
"""Largest number of changes between two reports; further ones are merged into the last."""


class UserStep(NamedTuple):
    """The slot that began `age_s` before the report: its maximum of users, and the users at its end."""

    age_s: float
    peak: int
    users: int


class UserTrack:
    """The number of running users of one process over time. Times are of any monotonic clock, in seconds."""

    def __init__(self) -> None:
        self.users = 0
        self.peak = 0
        self._slots: list[list[int]] = []

    def change(self, users: int, now: float) -> None:
        """Set the number of users from now on."""
        slot = int(now / SLOT_S)
        peak = max(self.users, users)
        if self._slots and (slot <= self._slots[-1][0] or len(self._slots) >= MOST_STEPS):
            last = self._slots[-1]
            last[1:] = max(last[1], peak), users
        else:
            self._slots.append([slot, peak, users])
        self.users = users
        self.peak = max(self.peak, users)

    def take(self, now: float) -> list[UserStep]:
        """Return the changes since the last call."""
        slots, self._slots = self._slots, []
        return [UserStep(max(0.0, now - slot * SLOT_S), peak, users) for slot, peak, users in slots]


class UserSum:
    """The number of running users of many processes together, and its maximum (`peak`).

    Changes are added up in order of time, up to the time until which all processes have reported. So users that move
    from one process to another are not counted twice, however late a report is.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._users: dict[str, int] = {}
        self._reported_s: dict[str, float] = {}
        self._steps: list[tuple[float, int, str, int]] = []
        """(time, order, process, users)."""
        self._order = 0

    def add(self, name: str, steps: Iterable[UserStep], users: int, now: float) -> None:
        """Add the report of a process: its changes, and its number of users now."""
        is_known = name in self._reported_s
        self._reported_s[name] = now
        changes = list(steps)
        for age_s, peak, left in changes:
            self._step(now - age_s, name, peak)
            if left != peak:
                self._step(now - age_s + SLOT_S, name, left)
        if not changes and not is_known:
            self._step(now, name, users)

    def leave(self, name: str, now: float) -> None:
        """Set the users of a process to 0, since it has left or is missing."""
        if self._reported_s.pop(name, None) is not None:
            self._step(now, name, 0)

    def _step(self, time_s: float, name: str, users: int) -> None:
        self._order += 1
        self._steps.append((time_s, self._order, name, users))

    def settle(self, now: float | None = None) -> Sequence[tuple[float, int]]:
        """Add up the changes until all have reported, or until `now`. Returns (time, users of all processes)."""
        until_s = now if now is not None else min(self._reported_s.values(), default=float("inf"))
        self._steps.sort()
        due = [step for step in self._steps if step[0] <= until_s]
        self._steps = self._steps[len(due) :]
        total, totals = sum(self._users.values()), []
        for time_s, _, name, users in due:
            total += users - self._users.get(name, 0)
            self._users[name] = users
            self.peak = max(self.peak, total)
            totals.append((time_s, total))
        return totals

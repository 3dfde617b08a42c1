"""How many users live when: what a process remembers of it between two reports, and the sum over many of them. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

SLOT_S = 0.01
"""Users that are there at different times of a slot count as there together."""

MOST_STEPS = 500
"""Between two reports; more are one with the last."""


class UserStep(NamedTuple):
    """In the slot that began `age_s` before the report: the most users, and how many there were at its end."""

    age_s: float
    most: int
    users: int


class UserTrack:
    """The living users of one process over time. Times are of any clock that does not go back."""

    def __init__(self) -> None:
        self.users = 0
        self.most = 0
        self._slots: list[list[int]] = []

    def change(self, users: int, now: float) -> None:
        """There are that many from now on."""
        slot = int(now / SLOT_S)
        most = max(self.users, users)
        if self._slots and (slot <= self._slots[-1][0] or len(self._slots) >= MOST_STEPS):
            last = self._slots[-1]
            last[1:] = max(last[1], most), users
        else:
            self._slots.append([slot, most, users])
        self.users = users
        self.most = max(self.most, users)

    def take(self, now: float) -> list[UserStep]:
        """The changes since the last call."""
        slots, self._slots = self._slots, []
        return [UserStep(max(0.0, now - slot * SLOT_S), most, users) for slot, most, users in slots]


class UserSum:
    """The living users of many processes, added up in the order of time, whenever each of them has told.

    A process that moves its users to another one is never counted with both, however late its report is: what has
    happened is added up as far as all have told.
    """

    def __init__(self) -> None:
        self.most = 0
        self._users: dict[str, int] = {}
        self._told_s: dict[str, float] = {}
        self._steps: list[tuple[float, int, str, int]] = []
        """(time, order, whose, users)."""
        self._order = 0

    def add(self, name: str, steps: Iterable[UserStep], users: int, now: float) -> None:
        """Take in the report of a process, which has that many users now."""
        is_known = name in self._told_s
        self._told_s[name] = now
        changes = list(steps)
        for age_s, most, left in changes:
            self._step(now - age_s, name, most)
            if left != most:
                self._step(now - age_s + SLOT_S, name, left)
        if not changes and not is_known:
            self._step(now, name, users)

    def leave(self, name: str, now: float) -> None:
        """A process is gone, or is not heard of, and its users with it."""
        if self._told_s.pop(name, None) is not None:
            self._step(now, name, 0)

    def _step(self, time_s: float, name: str, users: int) -> None:
        self._order += 1
        self._steps.append((time_s, self._order, name, users))

    def settle(self, now: float | None = None) -> Sequence[tuple[float, int]]:
        """Add up what has happened as far as all have told, or until a time; gives (time, users of all)."""
        until_s = now if now is not None else min(self._told_s.values(), default=float("inf"))
        self._steps.sort()
        due = [step for step in self._steps if step[0] <= until_s]
        self._steps = self._steps[len(due) :]
        total, totals = sum(self._users.values()), []
        for time_s, _, name, users in due:
            total += users - self._users.get(name, 0)
            self._users[name] = users
            self.most = max(self.most, total)
            totals.append((time_s, total))
        return totals

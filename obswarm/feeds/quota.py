"""Quota: a number of iterations that the processes of a fleet share. A pure value.

A process is granted some, and runs them. The statistics say how many it has ended, so a process that dies has lost
exactly the others, which are granted again.
"""

_PARTS = 2
"""A grant is at most this part of each process's share of the iterations that are left, so that none is late with many
of them in the end."""


class Quota:
    """`number` iterations, each granted to one process. Nodes are names of processes."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._granted: dict[str, int] = {}
        self._ended: dict[str, int] = {}
        self._leaving: set[str] = set()
        """Dead processes whose last statistics may still be under way within this process."""
        self._gone: set[str] = set()

    @property
    def ended(self) -> int:
        """Number of iterations that have ended and are in the statistics."""
        return sum(self._ended.values())

    @property
    def is_done(self) -> bool:
        return self.ended >= self.number

    @property
    def available(self) -> int:
        """Number of iterations that no process has."""
        lost_to = self._gone
        taken = sum(number for node, number in self._granted.items() if node not in lost_to)
        return max(0, self.number - taken - sum(self._ended.get(node, 0) for node in lost_to))

    def next_grant(self, node: str, wanted: int) -> tuple[int, int]:
        """Return the number of iterations that the process has been granted and may have ended until now, and how many
        it is to be granted of those that it wants; 0 if none is available."""
        has = self._ended.get(node, 0) if node in self._gone else self._granted.get(node, 0)
        holders = len(self._granted.keys() - self._gone | {node})
        available = self.available
        return has, min(max(1, wanted), max(1, available // (_PARTS * holders)), available)

    def grant(self, node: str, has: int, number: int) -> None:
        """Note the result of `next_grant`. A process that was thought to be dead has lost what it had before."""
        if not number:
            return
        self._leaving.discard(node)
        self._gone.discard(node)
        self._granted[node] = has + number

    def give_back(self, node: str, number: int) -> None:
        """Take iterations back that the process has not begun."""
        if node in self._granted:
            self._granted[node] -= min(number, self._granted[node])

    def note_ended(self, node: str, number: int) -> None:
        """Note how many iterations a process has ended so far."""
        self._ended[node] = max(number, self._ended.get(node, 0))

    def leave(self, node: str) -> None:
        """Note that a process is dead. `settle` makes what it has not ended available."""
        if node in self._granted and node not in self._gone:
            self._leaving.add(node)

    def settle(self) -> None:
        """Note that all statistics of dead processes are known."""
        self._gone |= self._leaving
        self._leaving.clear()

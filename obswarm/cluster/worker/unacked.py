"""Deltas of a worker that the master has not said to be safe. No I/O, no clock."""

from collections import deque

MOST_UNACKED = 8


class UnackedDeltas:
    """Numbers deltas from 1 and keeps each until it is acknowledged.

    While too many wait, no new one should be made: what is counted meanwhile is added up where it is counted, so that a
    master that is away for long costs no memory.
    """

    def __init__(self) -> None:
        self.last_sequence = 0
        self._waiting: deque[tuple[int, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= MOST_UNACKED

    @property
    def acked(self) -> int:
        """The last one that is safe."""
        return self.last_sequence - len(self._waiting)

    def put(self, delta: bytes) -> int:
        self.last_sequence += 1
        self._waiting.append((self.last_sequence, delta))
        return self.last_sequence

    def acknowledge(self, sequence: int) -> None:
        """Everything up to that number is safe."""
        while self._waiting and self._waiting[0][0] <= sequence:
            self._waiting.popleft()

    def waiting(self) -> list[tuple[int, bytes]]:
        """In the order in which they have to arrive."""
        return list(self._waiting)

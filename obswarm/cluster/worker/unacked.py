"""A worker's unacknowledged deltas. No I/O, no clock."""

from collections import deque

MOST_UNACKED = 8


class UnackedDeltas:
    """Numbers deltas from 1, and keeps each until it is acknowledged.

    While it is full, no new delta should be made: measurements are then summed in the recorder, so that memory is
    bounded while the master does not respond.
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
        """Number of the last acknowledged delta."""
        return self.last_sequence - len(self._waiting)

    def put(self, delta: bytes) -> int:
        self.last_sequence += 1
        self._waiting.append((self.last_sequence, delta))
        return self.last_sequence

    def acknowledge(self, sequence: int) -> None:
        """Remove all deltas up to a number."""
        while self._waiting and self._waiting[0][0] <= sequence:
            self._waiting.popleft()

    def waiting(self) -> list[tuple[int, bytes]]:
        """Return all deltas in the order in which they have to be sent."""
        return list(self._waiting)

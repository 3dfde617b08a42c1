"""Rates and percentiles over the last few intervals, for displays."""

from collections import deque

from obswarm.record import Snapshot
from obswarm.stats import TOTAL, EndpointKey, EndpointStats


class RecentIntervals:
    """The last intervals of all endpoints; displays smooth their values over them."""

    def __init__(self, keep: int = 5) -> None:
        self._snapshots: deque[Snapshot] = deque(maxlen=keep)

    def add(self, snapshot: Snapshot) -> None:
        self._snapshots.append(snapshot)

    @property
    def seconds(self) -> float:
        return sum(snapshot.interval_s for snapshot in self._snapshots)

    def total(self) -> EndpointStats:
        merged = EndpointStats(TOTAL)
        for snapshot in self._snapshots:
            merged.merge(snapshot.interval_total)
        return merged

    def endpoint(self, key: EndpointKey) -> EndpointStats:
        merged = EndpointStats(key)
        for snapshot in self._snapshots:
            recent = snapshot.interval.get(key)
            if recent is not None:
                merged.merge(recent)
        return merged

    @property
    def iterations_rate(self) -> float:
        """Finished iterations per second."""
        return self.rate(sum(snapshot.interval_iterations for snapshot in self._snapshots))

    @property
    def dropped(self) -> int:
        """Iterations that were planned and not started."""
        return sum(snapshot.interval_dropped for snapshot in self._snapshots)

    def rate(self, count: int) -> float:
        return count / self.seconds if self.seconds else 0.0

"""The recent past of scraped series, by metric name. No I/O; time is an argument."""

from collections import deque
from collections.abc import Iterable, Mapping

Labels = tuple[tuple[str, str], ...]

Points = list[tuple[float, float]]
"""(time, value), the oldest first."""

STALE_AFTER_S = 5.0
"""A series that was not in the scrapes of so long is gone. Prometheus waits five minutes; here scrapes are a second
apart."""


class SeriesStore:
    """Keeps what the queries that will be asked need, for `keep_s` seconds. `names` None keeps every metric."""

    def __init__(self, keep_s: float, names: frozenset[str] | None) -> None:
        self._keep_s = keep_s
        self._names = names
        self._series: dict[str, dict[Labels, deque[tuple[float, float]]]] = {}

    def add(self, name: str, labels: Mapping[str, str], time_s: float, value: float) -> None:
        if self._names is not None and name not in self._names:
            return
        key = tuple(sorted(labels.items()))
        points = self._series.setdefault(name, {}).setdefault(key, deque())
        points.append((time_s, value))
        while points[0][0] < time_s - self._keep_s:
            points.popleft()

    def range(
        self, name: str, now: float, seconds: float
    ) -> Iterable[tuple[dict[str, str], list[tuple[float, float]]]]:
        """(labels, [(time, value)…]) of each series that has points in (now - seconds, now]."""
        for key, points in self._series.get(name, {}).items():
            recent = [point for point in points if now - seconds < point[0] <= now]
            if recent:
                yield dict(key), recent

    def latest(self, name: str, now: float) -> Iterable[tuple[dict[str, str], float, float]]:
        """(labels, time, value) of each series that is there."""
        for labels, points in self.range(name, now, STALE_AFTER_S):
            yield labels, *points[-1]

    @property
    def metric_names(self) -> list[str]:
        return sorted(self._series)

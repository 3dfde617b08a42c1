"""The recent past of scraped series, by metric name. No I/O; time is an argument."""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from operator import itemgetter

Labels = tuple[tuple[str, str], ...]
"""Sorted by name."""

Points = list[tuple[float, float]]
"""(time in seconds, value), the oldest first."""

STALE_AFTER_S = 300.0
"""A series without a stale marker counts for so long after its last sample, as in Prometheus."""

_FORGET_EVERY_S = 10.0

Fits = Callable[[Mapping[str, str]], bool]
"""Whether a series is asked for, by its labels without the name."""


def _any(_: Mapping[str, str]) -> bool:
    return True


class SeriesStore:
    """Keeps what the queries that will be asked need, for `keep_s` seconds. `names` None keeps every metric."""

    def __init__(self, keep_s: float, names: frozenset[str] | None) -> None:
        self._keep_s = keep_s
        self._names = names
        self._series: dict[str, dict[Labels, deque[tuple[float, float | None]]]] = {}
        self._forgotten_s = 0.0

    def keeps(self, name: str) -> bool:
        return self._names is None or name in self._names

    def add(self, name: str, labels: Mapping[str, str], time_s: float, value: float) -> None:
        self.append(name, tuple(sorted(labels.items())), time_s, value)

    def append(self, name: str, labels: Labels, time_s: float, value: float | None) -> None:
        """Add a sample, or a stale marker where the value is None: from then on the series is gone until its next
        sample. What is not later than the series' last one is dropped."""
        if not self.keeps(name):
            return
        points = self._series.setdefault(name, {}).setdefault(labels, deque())
        if points and time_s <= points[-1][0]:
            return
        points.append((time_s, value))
        while points[0][0] < time_s - self._keep_s:
            points.popleft()

    def forget(self, now: float) -> None:
        """Remove the series whose last sample is older than what is kept."""
        if now < self._forgotten_s + _FORGET_EVERY_S:
            return
        self._forgotten_s = now
        for name, of_name in list(self._series.items()):
            for labels in [labels for labels, points in of_name.items() if points[-1][0] < now - self._keep_s]:
                del of_name[labels]
            if not of_name:
                del self._series[name]

    def range(
        self, name: str, now: float, seconds: float, fits: Fits = _any
    ) -> Iterable[tuple[dict[str, str], Points]]:
        """(labels, points) of each series that fits and has points in (now - seconds, now], without the stale markers
        among them."""
        for labels, points in self._fitting(name, fits):
            first, end = _place(points, now - seconds), _place(points, now)
            recent = [(time_s, value) for time_s, value in islice(points, first, end) if value is not None]
            if recent:
                yield labels, recent

    def latest(self, name: str, now: float, fits: Fits = _any) -> Iterable[tuple[dict[str, str], float, float]]:
        """(labels, time, value) of each series that fits and is there."""
        for labels, points in self._fitting(name, fits):
            end = _place(points, now)
            time_s, value = points[end - 1] if end else (now, None)
            if value is not None and time_s > now - STALE_AFTER_S:
                yield labels, time_s, value

    def _fitting(self, name: str, fits: Fits) -> Iterable[tuple[dict[str, str], deque[tuple[float, float | None]]]]:
        for key, points in self._series.get(name, {}).items():
            labels = dict(key)
            if fits(labels):
                yield labels, points

    @property
    def metric_names(self) -> list[str]:
        return sorted(self._series)


def _place(points: deque[tuple[float, float | None]], time_s: float) -> int:
    """How many of them are not later than that."""
    return bisect_right(points, time_s, key=itemgetter(0))

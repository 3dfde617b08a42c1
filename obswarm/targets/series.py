"""In-memory store of the recent samples of scraped series. No I/O; the time is an argument."""

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
"""Lookback delta: a series without a stale marker is current for this long after its last sample, as in Prometheus."""

_FORGET_EVERY_S = 10.0

LabelFilter = Callable[[Mapping[str, str]], bool]
"""Predicate on the labels of a series, without the name."""


def _any(_: Mapping[str, str]) -> bool:
    return True


class SeriesStore:
    """Store the samples of the last `keep_s` seconds, of the metrics `names` (None: of all)."""

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
        """Append a sample, or a stale marker if `value` is None: the series is then absent until its next sample.
        Samples not later than the last one of the series are dropped."""
        if not self.keeps(name):
            return
        points = self._series.setdefault(name, {}).setdefault(labels, deque())
        if points and time_s <= points[-1][0]:
            return
        points.append((time_s, value))
        while points[0][0] < time_s - self._keep_s:
            points.popleft()

    def forget(self, now: float) -> None:
        """Remove the series whose last sample is older than `keep_s`."""
        if now < self._forgotten_s + _FORGET_EVERY_S:
            return
        self._forgotten_s = now
        for name, of_name in list(self._series.items()):
            for labels in [labels for labels, points in of_name.items() if points[-1][0] < now - self._keep_s]:
                del of_name[labels]
            if not of_name:
                del self._series[name]

    def range(
        self, name: str, now: float, seconds: float, matches: LabelFilter = _any
    ) -> Iterable[tuple[dict[str, str], Points]]:
        """Return (labels, points) of each matching series with points in (now - seconds, now], without stale
        markers."""
        for labels, points in self._matching(name, matches):
            first, end = _position(points, now - seconds), _position(points, now)
            recent = [(time_s, value) for time_s, value in islice(points, first, end) if value is not None]
            if recent:
                yield labels, recent

    def latest(
        self, name: str, now: float, matches: LabelFilter = _any
    ) -> Iterable[tuple[dict[str, str], float, float]]:
        """Return (labels, time, value) of each matching series that is current."""
        for labels, points in self._matching(name, matches):
            end = _position(points, now)
            time_s, value = points[end - 1] if end else (now, None)
            if value is not None and time_s > now - STALE_AFTER_S:
                yield labels, time_s, value

    def _matching(
        self, name: str, matches: LabelFilter
    ) -> Iterable[tuple[dict[str, str], deque[tuple[float, float | None]]]]:
        for key, points in self._series.get(name, {}).items():
            labels = dict(key)
            if matches(labels):
                yield labels, points

    @property
    def metric_names(self) -> list[str]:
        return sorted(self._series)


def _position(points: deque[tuple[float, float | None]], time_s: float) -> int:
    """Return the number of points not later than `time_s`."""
    return bisect_right(points, time_s, key=itemgetter(0))

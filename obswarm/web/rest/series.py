"""The seconds of a run as columns, for charts: a bounded number of points, however long the run takes."""

import math
from array import array
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from obswarm.record import Snapshot
from obswarm.stats import Histogram, total_in_flight
from obswarm.stats.histogram import upper_bound
from obswarm.units import rounded
from obswarm.web.rest.documents import Band, Heat

MAX_POINTS = 3600
_BUCKETS_PER_BAND = 4
"""Histogram buckets in a band of the heatmap: eight bands per doubling."""

_RATES = ("rps", "failures_per_s", "iterations_per_s", "dropped_per_s", "response_bytes_per_s")
_QUANTILES: Mapping[str, float] = {"p50_s": 0.5, "p90_s": 0.9, "p95_s": 0.95, "p99_s": 0.99}
_LAST = ("users", "users_target", "in_flight", "iterations_per_s_target")
_MAXIMA = ("cpu_ratio",)
COLUMNS = (
    "users",
    "users_target",
    *_RATES[:2],
    *_QUANTILES,
    "in_flight",
    *_RATES[2:3],
    _LAST[3],
    *_RATES[3:],
    *_MAXIMA,
)
"""The columns of a series, each with a value for each point."""

_SHORTEST_S = 0.1
_WHOLE = ("users", "users_target", "in_flight")
"""Columns of whole numbers."""


def bands_of(histogram: Histogram) -> dict[int, int]:
    """Return the requests by band of durations."""
    bands: dict[int, int] = {}
    for index, count in histogram.buckets.items():
        band = -(-index // _BUCKETS_PER_BAND)
        bands[band] = bands.get(band, 0) + count
    return bands


class SecondSeries:
    """Columns of a run's seconds. When there are MAX_POINTS, each two become one: rates become their mean, users and
    requests in flight the later value, the CPU usage the higher one; percentiles are those of the durations of both
    together."""

    def __init__(self, most: int = MAX_POINTS) -> None:
        self._most = most
        self._times: array[float] = array("d")
        self._columns: dict[str, array[float]] = {name: array("d") for name in COLUMNS}
        self._durations: list[array[int]] = []
        """Indexes and counts of histogram buckets, in turn: a tenth of the memory of a Histogram."""
        self._seconds = 1
        self._rest: list[tuple[float, dict[str, float], Histogram]] = []
        """Seconds that do not make a whole point yet."""

    def __len__(self) -> int:
        return len(self._times)

    @property
    def step_s(self) -> float:
        """Seconds of a point."""
        return float(self._seconds)

    def add(self, snapshot: Snapshot) -> None:
        """Add the interval of a snapshot. One of milliseconds without requests, after a reset, is no second."""
        if snapshot.interval_s < _SHORTEST_S and not snapshot.interval_total.requests:
            return
        self._rest.append((snapshot.time_s, _values(snapshot), snapshot.interval_total.duration.copy()))
        if len(self._rest) < self._seconds:
            return
        self._append(self._rest)
        self._rest = []
        if len(self._times) >= self._most:
            self._halve()

    def _append(self, parts: Sequence[tuple[float, dict[str, float], Histogram]]) -> None:
        durations = parts[0][2]
        for _, _, other in parts[1:]:
            durations.merge(other)
        values = _merged([part for _, part, _ in parts])
        found = durations.quantiles(tuple(_QUANTILES.values())) or (math.nan,) * len(_QUANTILES)
        if len(parts) > 1:
            values.update(zip(_QUANTILES, found, strict=True))
        self._times.append(parts[-1][0])
        for name in COLUMNS:
            self._columns[name].append(values[name])
        self._durations.append(array("q", chain.from_iterable(durations.buckets.items())))

    def _halve(self) -> None:
        points = [
            (time_s, {name: column[at] for name, column in self._columns.items()}, self._histogram(at))
            for at, time_s in enumerate(self._times)
        ]
        if len(points) % 2:
            self._rest = [points.pop()]
        self._times = array("d")
        self._columns = {name: array("d") for name in COLUMNS}
        self._durations = []
        for at in range(0, len(points), 2):
            self._append(points[at : at + 2])
        self._seconds *= 2

    def _histogram(self, at: int) -> Histogram:
        packed = self._durations[at]
        return Histogram(dict(zip(packed[::2], packed[1::2], strict=True)))

    def since(self, time_s: float) -> tuple[list[float], dict[str, list[float | None]], Heat]:
        """Return the points after a wall time: their times, columns, and requests by band of durations."""
        first = next((at for at, each in enumerate(self._times) if each > time_s), len(self._times))
        bands = [bands_of(self._histogram(at)) for at in range(first, len(self._times))]
        known = [band for each in bands for band in each]
        low, high = min(known, default=0), max(known, default=-1)
        columns = {name: [_shown(name, each) for each in self._columns[name][first:]] for name in COLUMNS}
        heat = Heat(
            [float(f"{upper_bound(band * _BUCKETS_PER_BAND):.6g}") for band in range(low, high + 1)],
            [[(band - low, count) for band, count in sorted(each.items())] for each in bands],
        )
        return list(self._times[first:]), columns, heat


def point_of(snapshot: Snapshot) -> dict[str, Any]:
    """Return the point of a snapshot's interval: its time, a value of each column, and in `heat` the requests by band
    of durations, as pairs of the band's upper bound in seconds and the number."""
    values = _values(snapshot)
    heat = [
        (float(f"{upper_bound(band * _BUCKETS_PER_BAND):.6g}"), count)
        for band, count in sorted(bands_of(snapshot.interval_total.duration).items())
    ]
    return {"time_s": snapshot.time_s, **{name: _shown(name, values[name]) for name in COLUMNS}, "heat": heat}


def _shown(name: str, value: float) -> float | None:
    if math.isnan(value):
        return None
    return int(value) if name in _WHOLE else rounded(value)


def _values(snapshot: Snapshot) -> dict[str, float]:
    stats, seconds = snapshot.interval_total, snapshot.interval_s
    return {
        "users": snapshot.user_count,
        "users_target": snapshot.user_target,
        "rps": stats.requests / seconds,
        "failures_per_s": stats.failures / seconds,
        **dict(zip(_QUANTILES, stats.quantiles(tuple(_QUANTILES.values())) or (math.nan,) * 4, strict=True)),
        "in_flight": total_in_flight(snapshot.in_flight.values()).count,
        "iterations_per_s": snapshot.interval_iterations / seconds,
        "iterations_per_s_target": snapshot.rate_target if snapshot.is_open else math.nan,
        "dropped_per_s": snapshot.interval_dropped / seconds,
        "response_bytes_per_s": stats.response_bytes / seconds,
        "cpu_ratio": max((each.cpu_ratio for each in snapshot.workers), default=math.nan),
    }


def _merged(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    if len(parts) == 1:
        return dict(parts[0])
    merged = {name: sum(part[name] for part in parts) / len(parts) for name in _RATES}
    merged |= {name: parts[-1][name] for name in (*_LAST, *_QUANTILES)}
    for name in _MAXIMA:
        known = [part[name] for part in parts if not math.isnan(part[name])]
        merged[name] = max(known, default=math.nan)
    return merged


__all__ = ["COLUMNS", "MAX_POINTS", "Band", "SecondSeries", "bands_of", "point_of"]

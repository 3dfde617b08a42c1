"""A load test's own metrics over the seconds of a run, for charts: bounded numbers of series and points."""

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from msgspec import Struct

from obswarm.record import Snapshot
from obswarm.stats import CustomKey, CustomKind, CustomStats
from obswarm.units import rounded
from obswarm.web.rest.documents import TargetSamples

MAX_SERIES = 500
MAX_POINTS = 3600
_UNITS = {"s": "seconds", "seconds": "seconds", "bytes": "bytes", "ratio": "ratio"}
_RATES = {"bytes": "bytes_per_second"}


class CustomMetricRow(Struct):
    id: str
    name: str
    labels: str
    title: str
    unit: str


class CustomMetrics(Struct):
    run_id: str | None
    metrics: list[CustomMetricRow]


class _Statistic(NamedTuple):
    """What is shown of a kind of metric: of the statistics of an interval and its seconds, None without a value.
    `absent` is the value of an interval in which nothing was recorded."""

    name: str
    value: Callable[[CustomStats, float], float | None]
    absent: float | None = None
    is_rate: bool = False
    is_held: bool = False
    """Whether an interval in which nothing was recorded has the value of the one before."""


def _quantile(name: str, q: float) -> _Statistic:
    return _Statistic(name, lambda stats, _: stats.quantile(q))


_STATISTICS = {
    CustomKind.COUNTER: (_Statistic("per second", lambda stats, seconds: stats.sum / seconds, 0.0, is_rate=True),),
    CustomKind.GAUGE: (_Statistic("last", lambda stats, _: stats.last, is_held=True),),
    CustomKind.HISTOGRAM: (
        _quantile("p50", 0.5),
        _quantile("p95", 0.95),
        _quantile("p99", 0.99),
        _Statistic("values per second", lambda stats, seconds: stats.count / seconds, 0.0, is_rate=True),
    ),
}


class _Points:
    """The values of one statistic over time. When there are too many, two and two become one: of rates the mean, of
    others the higher value."""

    def __init__(self, statistic: _Statistic) -> None:
        self.statistic = statistic
        self.times: list[float] = []
        self.values: list[float | None] = []

    def add(self, time_s: float, value: float | None) -> None:
        self.times.append(time_s)
        self.values.append(value)
        if len(self.times) > MAX_POINTS:
            pairs = zip(self.values[::2], self.values[1::2], strict=False)
            self.values = [self._merged(*pair) for pair in pairs]
            self.times = self.times[1::2]

    def _merged(self, one: float | None, other: float | None) -> float | None:
        if one is None or other is None:
            return other if one is None else one
        return (one + other) / 2 if self.statistic.is_rate else max(one, other)


class CustomSeries:
    """The metrics that were recorded in a run, and their values in each interval."""

    def __init__(self) -> None:
        self._series: dict[CustomKey, list[_Points]] = {}

    def add(self, snapshot: Snapshot) -> None:
        """Add the interval of a snapshot."""
        seconds = snapshot.interval_s or 1.0
        for key in snapshot.custom:
            if key not in self._series and len(self._series) < MAX_SERIES:
                self._series[key] = [_Points(each) for each in _STATISTICS[key.kind]]
        for key, all_points in self._series.items():
            stats = snapshot.interval_custom.get(key)
            for points in all_points:
                statistic = points.statistic
                if stats is not None and stats.count:
                    value = statistic.value(stats, seconds)
                elif statistic.is_held:
                    value = points.values[-1] if points.values else None
                else:
                    value = statistic.absent
                points.add(snapshot.time_s, value)

    def metrics(self) -> list[CustomMetricRow]:
        """Describe the metrics, a row for each statistic of each series."""
        return [
            CustomMetricRow(
                id=identifier,
                name=key.name,
                labels=", ".join(f"{name}={value}" for name, value in key.labels),
                title=_title_of(key, points.statistic),
                unit=_unit_of(key, points.statistic),
            )
            for identifier, key, points in self._each()
        ]

    def since(self, metrics: Collection[str], time_s: float) -> list[TargetSamples]:
        """Return the values of metrics, by their ids, after a wall time."""
        return [
            TargetSamples(
                identifier,
                [each for each in points.times if each > time_s],
                [rounded(value) for at, value in zip(points.times, points.values, strict=True) if at > time_s],
            )
            for identifier, _, points in self._each()
            if identifier in metrics
        ]

    def _each(self) -> Iterator[tuple[str, CustomKey, _Points]]:
        for key, all_points in sorted(self._series.items(), key=lambda item: item[0]):
            for points in all_points:
                yield f"{key.label}|{points.statistic.name}", key, points


def _title_of(key: CustomKey, statistic: _Statistic) -> str:
    shown = "" if statistic.name == "last" else f", {statistic.name}"
    unit = f" ({key.unit})" if key.unit and key.unit not in _UNITS else ""
    return f"{key.name}{unit}{shown}"


def _unit_of(key: CustomKey, statistic: _Statistic) -> str:
    """Return the unit of the values, as targets' metrics have them."""
    if statistic.is_rate:
        return _RATES.get(key.unit, "per_second") if key.kind is CustomKind.COUNTER else "per_second"
    return _UNITS.get(key.unit, "number")

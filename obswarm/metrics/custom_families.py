"""Metric families of a load test's own metrics: `obswarm_custom_` and the metric's name."""

from collections.abc import Iterator

from obswarm.metrics.buckets import CUSTOM_BOUNDS
from obswarm.metrics.contract import Kind, Metric
from obswarm.metrics.samples import MetricFamily, MetricSample
from obswarm.record import Snapshot
from obswarm.stats import CustomKey, CustomKind, CustomSeries, CustomStats

PREFIX = "obswarm_custom_"


class CustomFamilies:
    """Converts a load test's own metrics, with what was counted before a reset of the statistics."""

    def __init__(self) -> None:
        self._before_reset = CustomSeries()

    def clear(self) -> None:
        """A new run starts."""
        self._before_reset.clear()

    def reset(self, last: Snapshot) -> None:
        """The statistics were reset after this snapshot: keep its counts, so that no counter decreases."""
        self._before_reset.merge(last.custom)

    def families(self, snapshot: Snapshot) -> Iterator[MetricFamily]:
        """Yield a family for each metric of the snapshot."""
        whole = self._before_reset.copy()
        whole.merge(snapshot.custom)
        by_name: dict[str, list[tuple[CustomKey, CustomStats]]] = {}
        for key, stats in sorted(whole.items()):
            by_name.setdefault(key.name, []).append((key, stats))
        for series in by_name.values():
            first, _ = series[0]
            yield _metric(first), (_sample(key, stats) for key, stats in series if _is_like(key, first))


def _is_like(key: CustomKey, first: CustomKey) -> bool:
    """Return whether both are series of the same family: a load test on another machine may differ."""
    return key.kind == first.kind and [name for name, _ in key.labels] == [name for name, _ in first.labels]


def _metric(key: CustomKey) -> Metric:
    name = f"{PREFIX}{key.name}{'_total' if key.kind is CustomKind.COUNTER else ''}"
    unit = f", in {key.unit}" if key.unit else ""
    return Metric(
        name,
        Kind(str(key.kind)),
        tuple(name for name, _ in key.labels),
        f"Of the load test{unit}.",
        bounds=CUSTOM_BOUNDS,
    )


def _sample(key: CustomKey, stats: CustomStats) -> MetricSample:
    labels = tuple(value for _, value in key.labels)
    match key.kind:
        case CustomKind.COUNTER:
            return MetricSample(labels, stats.sum)
        case CustomKind.GAUGE:
            return MetricSample(labels, stats.last or 0.0)
    return MetricSample(labels, 0.0, stats.histogram())

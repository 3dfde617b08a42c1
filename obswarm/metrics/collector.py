"""Our series as prometheus-client's metrics: a Collector for any registry, and the text formats in slices."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from prometheus_client import Metric as ClientMetric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as ClientExemplar
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from obswarm.metrics.buckets import CLASSIC_BOUNDS_S, classic_counts
from obswarm.metrics.contract import Kind, Metric
from obswarm.metrics.series import MetricFamily, MetricSample, SnapshotRegistry

_BOUNDS = tuple(floatToGoString(bound) for bound in CLASSIC_BOUNDS_S)
_POINTS_IN_A_SLICE = {Kind.HISTOGRAM: 10}
_MOST_POINTS_IN_A_SLICE = 100


class SnapshotCollector(Collector):
    """Register it with a prometheus_client registry to have a run's metrics among a program's own.

    As with that library's own counters there is a sample with the suffix `_created` beside each counter and histogram.
    """

    def __init__(self, latest: SnapshotRegistry, static_labels: Mapping[str, str] | None = None) -> None:
        self._latest = latest
        self._static = dict(static_labels or {})

    def collect(self) -> Iterator[ClientMetric]:
        for metric, points in self._latest.families():
            yield client_metric(metric, points, self._static, created=True)


def client_metric(
    metric: Metric, points: Iterable[MetricSample], static: Mapping[str, str], *, created: bool = False
) -> ClientMetric:
    """One family, or a slice of one; with the time at which each counter and histogram was created, if asked for."""
    name = metric.name
    if metric.kind is Kind.COUNTER:
        name = name.removesuffix("_total")
    elif metric.kind is Kind.INFO:
        name = name.removesuffix("_info")
    family = ClientMetric(name, metric.help, str(metric.kind))
    for point in points:
        labels = dict(zip(metric.labels, point.labels, strict=True))
        labels.update(static)
        if point.histogram is not None:
            family.samples.extend(_histogram(metric.name, labels, point))
        else:
            family.samples.append(Sample(metric.name, labels, point.value))
        if created and point.created_s is not None:
            # Right after the other samples of its series: there Prometheus looks for it.
            family.samples.append(Sample(f"{name}_created", labels, point.created_s))
    return family


def _histogram(name: str, labels: dict[str, str], point: MetricSample) -> Iterator[Sample]:
    histogram = point.histogram
    assert histogram is not None
    below: float = 0
    exemplars = iter(point.exemplars)
    exemplar = next(exemplars, None)
    counts = [*classic_counts(histogram), histogram.count]
    for bound, value, text in zip((*CLASSIC_BOUNDS_S, float("inf")), counts, (*_BOUNDS, "+Inf"), strict=True):
        found = None
        while exemplar is not None and exemplar.seconds <= bound:
            if exemplar.seconds > below:
                found = ClientExemplar({"trace_id": exemplar.trace_id}, exemplar.seconds, exemplar.time_s)
            exemplar = next(exemplars, None)
        below = bound
        yield Sample(f"{name}_bucket", {**labels, "le": text}, value, None, found)
    yield Sample(f"{name}_count", labels, histogram.count)
    yield Sample(f"{name}_sum", labels, histogram.sum_s)


class _Slice:
    """What a text encoder is given as its registry."""

    def __init__(self, family: ClientMetric) -> None:
        self._family = family

    def collect(self) -> Iterator[ClientMetric]:
        yield self._family


def text_slices(
    families: Iterable[MetricFamily], static: Mapping[str, str], encode: Any, *, openmetrics: bool
) -> Iterator[bytes]:
    """The exposition by one of prometheus-client's encoders, in pieces that each take a few milliseconds to make.

    The encoders do a whole registry at a time. Families are handed to them in parts, and what a part repeats of its
    family's heading is left out. The classic format has no times of creation.
    """
    for metric, points in families:
        size = _POINTS_IN_A_SLICE.get(metric.kind, _MOST_POINTS_IN_A_SLICE)
        first = True
        while True:
            part = list(islice(points, size))
            if not part and not first:
                break
            text = encode(_Slice(client_metric(metric, part, static, created=openmetrics)))
            text = text.removesuffix(b"# EOF\n")
            yield text if first else _without_heading(text)
            first = False
            if len(part) < size:
                break
    if openmetrics:
        yield b"# EOF\n"


def _without_heading(text: bytes) -> bytes:
    while text.startswith(b"# "):
        text = text[text.index(b"\n") + 1 :]
    return text

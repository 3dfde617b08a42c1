"""Convert samples to prometheus-client's metrics: a Collector for any registry, and the text formats in slices."""

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from prometheus_client import Metric as ClientMetric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as ClientExemplar
from prometheus_client.samples import Sample

from obswarm.metrics.buckets import bound_texts, classic_counts
from obswarm.metrics.contract import Kind, Metric
from obswarm.metrics.samples import MetricFamily, MetricSample, named_labels
from obswarm.metrics.series import SnapshotRegistry

_SAMPLES_PER_SLICE = 100
_HISTOGRAMS_PER_SLICE = 10


class SnapshotCollector(Collector):
    """Adds the metrics of a run to a prometheus_client registry.

    As with the library's own metrics, each counter and histogram has a sample with the suffix `_created`.
    """

    def __init__(self, latest: SnapshotRegistry, static_labels: Mapping[str, str] | None = None) -> None:
        self._snapshots = latest
        self._static = dict(static_labels or {})

    def collect(self) -> Iterator[ClientMetric]:
        for metric, samples in self._snapshots.families():
            yield client_metric(metric, samples, self._static, created=True)


def client_metric(
    metric: Metric, samples: Iterable[MetricSample], static: Mapping[str, str], *, created: bool = False
) -> ClientMetric:
    """Convert a family, or a slice of one; with `created`, add `_created` samples for counters and histograms."""
    name = metric.name
    if metric.kind is Kind.COUNTER:
        name = name.removesuffix("_total")
    elif metric.kind is Kind.INFO:
        name = name.removesuffix("_info")
    family = ClientMetric(name, metric.help, str(metric.kind))
    for sample in samples:
        labels = dict(named_labels(metric, sample))
        labels.update(static)
        if sample.histogram is not None:
            family.samples.extend(_histogram(metric, labels, sample))
        else:
            family.samples.append(Sample(metric.name, labels, sample.value))
        if created and sample.created_s is not None:
            # Prometheus expects it right after the other samples of its series.
            family.samples.append(Sample(f"{name}_created", labels, sample.created_s))
    return family


def _histogram(metric: Metric, labels: dict[str, str], sample: MetricSample) -> Iterator[Sample]:
    histogram = sample.histogram
    assert histogram is not None
    name, below = metric.name, 0.0
    exemplars = iter(sample.exemplars)
    exemplar = next(exemplars, None)
    counts = [*classic_counts(histogram, metric.bounds), histogram.count]
    for bound, value, text in zip((*metric.bounds, math.inf), counts, bound_texts(metric.bounds), strict=True):
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
    """The registry that a text encoder gets: one family."""

    def __init__(self, family: ClientMetric) -> None:
        self._family = family

    def collect(self) -> Iterator[ClientMetric]:
        yield self._family


def text_slices(
    families: Iterable[MetricFamily], static: Mapping[str, str], encode: Any, *, openmetrics: bool
) -> Iterator[bytes]:
    """Encode the exposition with one of prometheus-client's encoders, in slices of a few milliseconds of work each.

    The encoders take a whole registry at a time, so each gets a part of a family; the repeated HELP and TYPE lines
    are removed. The classic text format has no created times.
    """
    for metric, samples in families:
        size = _HISTOGRAMS_PER_SLICE if metric.kind is Kind.HISTOGRAM else _SAMPLES_PER_SLICE
        first = True
        while True:
            part = list(islice(samples, size))
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

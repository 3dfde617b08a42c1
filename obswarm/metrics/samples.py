"""Samples of metrics, as all exposition formats encode them."""

from collections.abc import Iterator
from typing import NamedTuple

from obswarm.metrics.contract import Metric
from obswarm.stats import Exemplar, Histogram


class MetricSample(NamedTuple):
    """A sample of a metric: label values in the order of the metric's labels, and a number or a histogram. Requests
    outside of scenarios have no value for `scenario`, the last label."""

    labels: tuple[str, ...]
    value: float = 0.0
    histogram: Histogram | None = None
    exemplars: tuple[Exemplar, ...] = ()
    created_s: float | None = None
    """Created time (wall time, seconds) of a counter or histogram; None for gauges."""


def named_labels(metric: Metric, sample: MetricSample) -> Iterator[tuple[str, str]]:
    """Return the labels of a sample by name."""
    return zip(metric.labels, sample.labels, strict=False)


MetricFamily = tuple[Metric, Iterator[MetricSample]]

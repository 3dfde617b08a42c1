"""The protobuf exposition format: native histograms, and classic buckets as well for a Prometheus with native
histograms disabled."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from obswarm.metrics.buckets import ZERO_THRESHOLD, classic_counts, native_buckets
from obswarm.metrics.contract import Kind, Metric
from obswarm.metrics.samples import MetricFamily, MetricSample, named_labels
from obswarm.metrics.schema import EXPOSITION, Messages, varint
from obswarm.stats import Exemplar

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

_TYPES = {Kind.COUNTER: 0, Kind.GAUGE: 1, Kind.INFO: 1, Kind.HISTOGRAM: 4}
_METRIC_TAG = b"\x22"  # field 4, length-delimited
_messages = Messages("obswarm.exposition", EXPOSITION)


def protobuf_slices(families: Iterable[MetricFamily], static: Mapping[str, str]) -> Iterator[bytes]:
    """Encode the exposition: one piece for each family, and empty pieces in between as points to yield at.

    A family is one length-prefixed message, so its series are encoded one by one and sent together.
    """
    for metric, samples in families:
        parts = []
        for sample in samples:
            encoded = _encode(metric, sample, static)
            parts.append(_METRIC_TAG + varint(len(encoded)) + encoded)
            yield b""
        if parts:
            heading = _messages.MetricFamily(name=metric.name, help=metric.help, type=_TYPES[metric.kind])
            body = b"".join([heading.SerializeToString(), *parts])
            yield varint(len(body)) + body


def _encode(metric: Metric, sample: MetricSample, static: Mapping[str, str]) -> bytes:
    message = _messages.Metric()
    for name, value in (*named_labels(metric, sample), *static.items()):
        message.label.add(name=name, value=value)
    if sample.histogram is not None:
        _fill(message.histogram, sample, metric.bounds)
        _set_time(message.histogram.created_timestamp, sample.created_s)
    elif metric.kind is Kind.COUNTER:
        message.counter.value = sample.value
        _set_time(message.counter.created_timestamp, sample.created_s)
    else:
        message.gauge.value = sample.value
    encoded: bytes = message.SerializeToString()
    return encoded


def _fill(message: Any, sample: MetricSample, bounds: tuple[float, ...]) -> None:
    histogram = sample.histogram
    assert histogram is not None
    message.sample_count = histogram.count
    message.sample_sum = histogram.sum_s
    message.zero_threshold = ZERO_THRESHOLD
    native = native_buckets(histogram)
    message.schema = native.schema
    for offset, length in native.spans:
        message.positive_span.add(offset=offset, length=length)
    message.positive_delta.extend(native.deltas)
    for bound, count in zip(bounds, classic_counts(histogram, bounds), strict=True):
        message.bucket.add(cumulative_count=count, upper_bound=bound)
    message.bucket.add(cumulative_count=histogram.count, upper_bound=float("inf"))
    _add_exemplars(message, sample.exemplars, bounds)


def _add_exemplars(message: Any, exemplars: Iterable[Exemplar], bounds: tuple[float, ...]) -> None:
    for exemplar in exemplars:
        added = message.exemplars.add(value=exemplar.seconds)
        added.label.add(name="trace_id", value=exemplar.trace_id)
        _set_time(added.timestamp, exemplar.time_s)
        # A Prometheus that scrapes classic buckets takes exemplars from the buckets.
        at = next((number for number, bound in enumerate(bounds) if exemplar.seconds <= bound), -1)
        message.bucket[at].exemplar.CopyFrom(added)


def _set_time(message: Any, time_s: float | None) -> None:
    if time_s is not None:
        message.seconds, message.nanos = int(time_s), int(time_s % 1 * 1e9)

"""The protobuf exposition: native histograms, and classic buckets beside them for a Prometheus that has the native ones
turned off."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from obswarm.metrics.buckets import CLASSIC_BOUNDS_S, ZERO_THRESHOLD, classic_counts, native_buckets
from obswarm.metrics.contract import Kind, Metric
from obswarm.metrics.schema import EXPOSITION, Messages, varint
from obswarm.metrics.series import MetricFamily, MetricSample
from obswarm.stats import Exemplar

CONTENT_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

_TYPES = {Kind.COUNTER: 0, Kind.GAUGE: 1, Kind.INFO: 1, Kind.HISTOGRAM: 4}
_METRIC_TAG = b"\x22"  # field 4, length-delimited
_messages = Messages("obswarm.exposition", EXPOSITION)


def protobuf_slices(families: Iterable[MetricFamily], static: Mapping[str, str]) -> Iterator[bytes]:
    """The exposition in pieces: one for each family, and empty ones, so that none is long in the making.

    A family is one message whose length comes first, so its series are encoded one by one, and sent together.
    """
    for metric, points in families:
        parts = []
        for point in points:
            encoded = _encode(metric, point, static)
            parts.append(_METRIC_TAG + varint(len(encoded)) + encoded)
            yield b""
        if parts:
            heading = _messages.MetricFamily(name=metric.name, help=metric.help, type=_TYPES[metric.kind])
            body = b"".join([heading.SerializeToString(), *parts])
            yield varint(len(body)) + body


def _encode(metric: Metric, point: MetricSample, static: Mapping[str, str]) -> bytes:
    message = _messages.Metric()
    for name, value in (*zip(metric.labels, point.labels, strict=True), *static.items()):
        message.label.add(name=name, value=value)
    if point.histogram is not None:
        _fill(message.histogram, point)
        _set_time(message.histogram.created_timestamp, point.created_s)
    elif metric.kind is Kind.COUNTER:
        message.counter.value = point.value
        _set_time(message.counter.created_timestamp, point.created_s)
    else:
        message.gauge.value = point.value
    encoded: bytes = message.SerializeToString()
    return encoded


def _fill(message: Any, point: MetricSample) -> None:
    histogram = point.histogram
    assert histogram is not None
    message.sample_count = histogram.count
    message.sample_sum = histogram.sum_s
    message.zero_threshold = ZERO_THRESHOLD
    native = native_buckets(histogram)
    message.schema = native.schema
    for offset, length in native.spans:
        message.positive_span.add(offset=offset, length=length)
    message.positive_delta.extend(native.deltas)
    for bound, count in zip(CLASSIC_BOUNDS_S, classic_counts(histogram), strict=True):
        message.bucket.add(cumulative_count=count, upper_bound=bound)
    message.bucket.add(cumulative_count=histogram.count, upper_bound=float("inf"))
    _add_exemplars(message, point.exemplars)


def _add_exemplars(message: Any, exemplars: Iterable[Exemplar]) -> None:
    for exemplar in exemplars:
        added = message.exemplars.add(value=exemplar.seconds)
        added.label.add(name="trace_id", value=exemplar.trace_id)
        _set_time(added.timestamp, exemplar.time_s)
        # A Prometheus that scrapes classic buckets looks for them there.
        at = next((number for number, bound in enumerate(CLASSIC_BOUNDS_S) if exemplar.seconds <= bound), -1)
        message.bucket[at].exemplar.CopyFrom(added)


def _set_time(message: Any, time_s: float | None) -> None:
    if time_s is not None:
        message.seconds, message.nanos = int(time_s), int(time_s % 1 * 1e9)

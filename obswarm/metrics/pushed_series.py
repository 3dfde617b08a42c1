"""Encode the series of a run as remote write messages, with a stale marker when a series ends. No I/O.

https://prometheus.io/docs/specs/prw/remote_write_spec/#stale-markers
"""

import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from obswarm.metrics.buckets import ZERO_THRESHOLD, bound_texts, classic_counts, native_buckets
from obswarm.metrics.contract import Metric
from obswarm.metrics.samples import MetricFamily, MetricSample, named_labels
from obswarm.metrics.schema import REMOTE_WRITE, Messages

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""The NaN that marks the end of a series, as the value of a sample or the sum of a native histogram."""


class EncodedSeries(NamedTuple):
    """An encoded TimeSeries message and its number of samples."""

    encoded: bytes
    samples: int


_messages = Messages("obswarm.remote_write", REMOTE_WRITE)


class PushedSeries:
    """Encodes snapshots for remote write and tracks which series are active.

    Counters and histograms begin with a sample of 0 at their created time: version 1.0 of the protocol has no other
    way to transmit it. `labels` are added to every series.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = dict(labels)
        self._known: dict[bytes, bool] = {}
        """Active series: encoded labels → whether its samples are native histograms."""
        self._created_s: dict[bytes, float] = {}
        """Encoded labels → created time."""
        self._exemplars_until_s = 0.0
        self._written_until_s = -math.inf
        """Wall time until which a previous process may have written to the same series; no zero sample before it."""

    def restore(self, written_until_s: float) -> None:
        """Continue the series of a previous process, which may have written to them until this wall time."""
        self._written_until_s = written_until_s

    def encode(self, families: Iterable[MetricFamily], instance: str, time_s: float) -> Iterator[EncodedSeries]:
        """Encode the families as of the wall time `time_s`, then a stale marker for each active series that is not
        among them. No sample may have a later created time (see SnapshotRegistry.families)."""
        timestamp = int(time_s * 1000)
        present = set()
        for metric, samples in families:
            for sample in samples:
                for labels, content in self._encode_sample(metric, sample, instance, timestamp):
                    self._known[labels] = content.histograms != []
                    present.add(labels)
                    # Concatenated protobuf messages are merged by the reader.
                    if self._is_new(labels, sample.created_s):
                        zero = _zero(content, int((sample.created_s or 0.0) * 1000))
                        yield EncodedSeries(labels + zero.SerializeToString() + content.SerializeToString(), 2)
                    else:
                        yield EncodedSeries(labels + content.SerializeToString(), 1)
        self._exemplars_until_s = time_s
        yield from self._end([labels for labels in self._known if labels not in present], timestamp)

    def _is_new(self, labels: bytes, created_s: float | None) -> bool:
        """Return whether the series needs a zero sample: its created time is new, and not before `_written_until_s`."""
        if created_s is None or created_s <= self._created_s.get(labels, -math.inf):
            return False
        self._created_s[labels] = created_s
        return created_s >= self._written_until_s

    def end(self, time_s: float) -> Iterator[EncodedSeries]:
        """Encode a stale marker for every active series."""
        yield from self._end(list(self._known), int(time_s * 1000))

    def _end(self, every: Iterable[bytes], timestamp: int) -> Iterator[EncodedSeries]:
        for labels in every:
            marker = _messages.TimeSeries()
            if self._known.pop(labels):
                marker.histograms.add(count_int=0, sum=STALE, zero_threshold=ZERO_THRESHOLD, timestamp=timestamp)
            else:
                marker.samples.add(value=STALE, timestamp=timestamp)
            yield EncodedSeries(labels + marker.SerializeToString(), 1)

    def _encode_sample(
        self, metric: Metric, sample: MetricSample, instance: str, timestamp: int
    ) -> Iterator[tuple[bytes, Any]]:
        """Yield (encoded labels, TimeSeries message without labels) for each series of the sample."""
        labels = {**dict(named_labels(metric, sample)), "instance": instance, **self._labels}
        histogram = sample.histogram
        if histogram is None:
            yield _labels(metric.name, labels), _sample(timestamp, sample.value)
            return
        native = native_buckets(histogram)
        series = _messages.TimeSeries()
        message = series.histograms.add(
            count_int=histogram.count,
            sum=histogram.sum_s,
            schema=native.schema,
            zero_threshold=ZERO_THRESHOLD,
            timestamp=timestamp,
        )
        for offset, length in native.spans:
            message.positive_spans.add(offset=offset, length=length)
        message.positive_deltas.extend(native.deltas)
        for exemplar in sample.exemplars:
            if exemplar.time_s > self._exemplars_until_s:
                added = series.exemplars.add(value=exemplar.seconds, timestamp=int(exemplar.time_s * 1000))
                added.labels.add(name="trace_id", value=exemplar.trace_id)
        yield _labels(metric.name, labels), series
        counts = (*classic_counts(histogram, metric.bounds), histogram.count)
        for bound, count in zip(bound_texts(metric.bounds), counts, strict=True):
            yield _labels(f"{metric.name}_bucket", {**labels, "le": bound}), _sample(timestamp, count)
        yield _labels(f"{metric.name}_count", labels), _sample(timestamp, histogram.count)
        yield _labels(f"{metric.name}_sum", labels), _sample(timestamp, histogram.sum_s)


def _labels(name: str, labels: Mapping[str, str]) -> bytes:
    series = _messages.TimeSeries()
    for key, text in sorted({"__name__": name, **labels}.items()):
        # In Prometheus a label with an empty value does not exist.
        if text:
            series.labels.add(name=key, value=text)
    encoded: bytes = series.SerializeToString()
    return encoded


def _zero(content: Any, timestamp: int) -> Any:
    """Return a zero sample of the same type as `content`."""
    zero = _messages.TimeSeries()
    for histogram in content.histograms:
        zero.histograms.add(
            count_int=0, sum=0, schema=histogram.schema, zero_threshold=ZERO_THRESHOLD, timestamp=timestamp
        )
    for _ in content.samples:
        zero.samples.add(value=0, timestamp=timestamp)
    return zero


def _sample(timestamp: int, value: float) -> Any:
    series = _messages.TimeSeries()
    series.samples.add(value=value, timestamp=timestamp)
    return series

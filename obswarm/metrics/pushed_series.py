"""The series of a run as messages of remote write, each followed by a stale marker once it has ended. No I/O.

https://prometheus.io/docs/specs/prw/remote_write_spec/#stale-markers
"""

import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from prometheus_client.utils import floatToGoString

from obswarm.metrics.buckets import CLASSIC_BOUNDS_S, ZERO_THRESHOLD, classic_counts, native_buckets
from obswarm.metrics.contract import Metric
from obswarm.metrics.schema import REMOTE_WRITE, Messages
from obswarm.metrics.series import MetricFamily, MetricSample

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""The NaN by which a sender says that a series has ended, as value of a sample or sum of a native histogram."""


class Piece(NamedTuple):
    """An encoded TimeSeries, and how many samples it has."""

    encoded: bytes
    samples: int


_messages = Messages("obswarm.remote_write", REMOTE_WRITE)
_BOUNDS = (*(floatToGoString(bound) for bound in CLASSIC_BOUNDS_S), "+Inf")


class PushedSeries:
    """Encodes what is pushed, and remembers which series there have been.

    Counters and histograms begin with a sample of 0 at the time at which they were created: this version of the
    protocol has no other way to say when that was. `labels` are those that every series has.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = dict(labels)
        self._known: dict[bytes, bool] = {}
        """By encoded labels, whether it is one of native histograms."""
        self._begun: dict[bytes, float] = {}
        """By encoded labels, when it was created."""
        self._exemplars_until_s = 0.0
        self.written_until_s = -math.inf
        """Wall time until which another process may have written to the same series: they get no older samples."""

    def encode(self, families: Iterable[MetricFamily], instance: str, time_s: float) -> Iterator[Piece]:
        """The series at that wall time, and a stale marker for each of those before that is not among them. None of
        them may be created later (see Latest.families)."""
        timestamp = int(time_s * 1000)
        present = set()
        for metric, points in families:
            for point in points:
                for labels, content in self._of_point(metric, point, instance, timestamp):
                    self._known[labels] = content.histograms != []
                    present.add(labels)
                    # Of a message in two parts the fields are those of both.
                    if self._is_new(labels, point.created_s):
                        zero = _zero(content, int((point.created_s or 0.0) * 1000))
                        yield Piece(labels + zero.SerializeToString() + content.SerializeToString(), 2)
                    else:
                        yield Piece(labels + content.SerializeToString(), 1)
        self._exemplars_until_s = time_s
        yield from self._end([labels for labels in self._known if labels not in present], timestamp)

    def _is_new(self, labels: bytes, created_s: float | None) -> bool:
        """Whether these labels have another beginning than before, which can still be written."""
        if created_s is None or created_s <= self._begun.get(labels, -math.inf):
            return False
        self._begun[labels] = created_s
        return created_s >= self.written_until_s

    def end(self, time_s: float) -> Iterator[Piece]:
        """A stale marker for every series that has none yet."""
        yield from self._end(list(self._known), int(time_s * 1000))

    def _end(self, every: Iterable[bytes], timestamp: int) -> Iterator[Piece]:
        for labels in every:
            marker = _messages.TimeSeries()
            if self._known.pop(labels):
                marker.histograms.add(count_int=0, sum=STALE, zero_threshold=ZERO_THRESHOLD, timestamp=timestamp)
            else:
                marker.samples.add(value=STALE, timestamp=timestamp)
            yield Piece(labels + marker.SerializeToString(), 1)

    def _of_point(
        self, metric: Metric, point: MetricSample, instance: str, timestamp: int
    ) -> Iterator[tuple[bytes, Any]]:
        """Encoded labels, and a message with the rest."""
        labels = {**dict(zip(metric.labels, point.labels, strict=True)), "instance": instance, **self._labels}
        histogram = point.histogram
        if histogram is None:
            yield _labels(metric.name, labels), _sample(timestamp, point.value)
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
        for exemplar in point.exemplars:
            if exemplar.time_s > self._exemplars_until_s:
                added = series.exemplars.add(value=exemplar.seconds, timestamp=int(exemplar.time_s * 1000))
                added.labels.add(name="trace_id", value=exemplar.trace_id)
        yield _labels(metric.name, labels), series
        for bound, count in zip(_BOUNDS, (*classic_counts(histogram), histogram.count), strict=True):
            yield _labels(f"{metric.name}_bucket", {**labels, "le": bound}), _sample(timestamp, count)
        yield _labels(f"{metric.name}_count", labels), _sample(timestamp, histogram.count)
        yield _labels(f"{metric.name}_sum", labels), _sample(timestamp, histogram.sum_s)


def _labels(name: str, labels: Mapping[str, str]) -> bytes:
    series = _messages.TimeSeries()
    for key, text in sorted({"__name__": name, **labels}.items()):
        # An empty value means that there is no such label.
        if text:
            series.labels.add(name=key, value=text)
    encoded: bytes = series.SerializeToString()
    return encoded


def _zero(content: Any, timestamp: int) -> Any:
    """The sample of the series with that content before anything was counted."""
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

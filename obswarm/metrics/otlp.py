"""OpenTelemetry: the metrics of a run over OTLP, with the names of semantic conventions beside obswarm's own.

Names, units and temporality follow https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/,
so that Prometheus has them under the names of docs/metrics.md. Histograms are exponential ones of scale 5, whose
buckets are exactly obswarm's (https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram).
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import gevent
from gevent.event import Event

from obswarm import __version__, defaults
from obswarm.engine import LingeringOutput, RunHandle, RunResult
from obswarm.engine.otlp import HTTP_METHODS, ExportErrors, check_packages, endpoint_of, exports, resource_of
from obswarm.errors import ObswarmError
from obswarm.greenlets import Supervisor
from obswarm.metrics.contract import DURATION, Kind, Metric
from obswarm.metrics.samples import MetricFamily, MetricSample, named_labels
from obswarm.metrics.series import SnapshotRegistry
from obswarm.record import Snapshot
from obswarm.sanitize import clean_text
from obswarm.stats.histogram import SCHEMA

logger = logging.getLogger(__name__)

_INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
_DEFAULT_INTERVAL_S = 5.0
"""The specification's default, 60 s, is longer than many a run."""
_MIN_END_S = 1.0
"""At least so many seconds for the last metrics, even with a shorter --linger."""
_UNITS = {"_seconds": "s", "_bytes": "By", "_ratio": "1"}
_HTTP_NAMES = {"method": "http.request.method", "name": "url.template"}
"""Attributes of the semantic conventions, by obswarm's labels."""
HTTP_DURATION = "http.client.request.duration"
"""https://opentelemetry.io/docs/specs/semconv/http/http-metrics/"""


class OtlpMetrics(LingeringOutput):
    """Output that sends the metrics of the newest snapshot at an interval, and at the end.

    All of them are cumulative: one that could not be delivered is part of the next.
    """

    name = "--otlp"
    required = False
    """As with remote write: what the receiver lacks is in the result."""

    def __init__(
        self,
        snapshots: SnapshotRegistry,
        labels: Mapping[str, str] | None = None,
        linger_s: float = defaults.LINGER_S,
        exporter: Any = None,
    ) -> None:
        """`exporter` is OpenTelemetry's, by default one that sends to `endpoint_of("metrics")`. Raises ObswarmError
        without the packages of OpenTelemetry, and for settings that are invalid."""
        super().__init__(linger_s)
        check_packages()
        self._snapshots = snapshots
        self._labels = dict(labels or {})
        self._interval_s = _interval_s(os.environ)
        self._errors = ExportErrors()
        try:
            self._exporter = _http_exporter() if exporter is None else exporter
        except (TypeError, ValueError) as error:
            raise ObswarmError(f"--otlp: OpenTelemetry refuses its settings (OTEL_…): {error}.") from None
        self._supervisor = Supervisor(self._on_failure)
        self._failure: BaseException | None = None
        self._due = Event()
        self._pending: Any = None
        self._sender: Any = None
        self._sent_at_s: float | None = None
        self._is_failing = False
        self._run_id = ""
        self._final: Snapshot | None = None

    def start(self, run: RunHandle) -> None:
        self._run_id = run.run_id

    def snapshot(self, snapshot: Snapshot) -> None:
        """Send the metrics, if the interval has passed. Does not block."""
        if self._failure is not None:
            raise self._failure
        if self._sent_at_s is not None and snapshot.time_s - self._sent_at_s < self._interval_s - 0.05:
            return
        self._sent_at_s = snapshot.time_s
        self._run_id = snapshot.run_id
        self._pending = self._data(snapshot.time_s)
        self._due.set()
        if self._sender is None:
            self._sender = self._supervisor.keep("The sender of --otlp", self._send_all)

    def finish(self, result: RunResult) -> None:
        self._final = result.final

    def linger(self, longest_s: float) -> None:
        if self._sender is not None:
            self._sender.kill()
        if self._final is None:
            return
        data = self._data(self._final.time_s)
        if not gevent.with_timeout(max(longest_s, _MIN_END_S), self._send, data, timeout_value=False):
            reason = self._errors.last or "no response in time"
            raise ObswarmError(f"the last metrics could not be delivered to {endpoint_of('metrics')} ({reason})")

    def _on_failure(self, what: str, error: BaseException) -> None:
        self._failure = error

    def _send_all(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            data, self._pending = self._pending, None
            delivered = self._send(data)
            if not delivered and not self._is_failing:
                logger.warning(
                    "--otlp: metrics could not be delivered to %s (%s); the next ones include them.",
                    endpoint_of("metrics"),
                    self._errors.last,
                )
            self._is_failing = not delivered

    def _send(self, data: Any) -> bool:
        from opentelemetry.sdk.metrics.export import MetricExportResult

        return bool(self._exporter.export(data) is MetricExportResult.SUCCESS)

    def _data(self, time_s: float) -> Any:
        return metrics_data(self._snapshots.families(time_s), time_s, self._labels, resource_of(self._run_id))


def otlp_metrics(
    snapshots: SnapshotRegistry, labels: Mapping[str, str], linger_s: float = defaults.LINGER_S
) -> OtlpMetrics | None:
    """Return the output of `--otlp`; None if the environment says that no metrics are exported. Raises ObswarmError."""
    return OtlpMetrics(snapshots, labels, linger_s) if exports("metrics") else None


def metrics_data(families: Iterable[MetricFamily], time_s: float, labels: Mapping[str, str], resource: Any) -> Any:
    """Return the families as OpenTelemetry's MetricsData as of the wall time `time_s`; `labels` are attributes of each
    point."""
    from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    metrics = [each for family in families for each in _metrics_of(family, time_s, labels)]
    scope = ScopeMetrics(InstrumentationScope("obswarm", __version__), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _metrics_of(family: MetricFamily, time_s: float, labels: Mapping[str, str]) -> Iterator[Any]:
    metric, samples = family[0], list(family[1])
    if not samples:
        return
    name, unit = name_and_unit(metric)
    points = [(dict(named_labels(metric, sample)), sample) for sample in samples]
    yield _metric(name, unit, metric.kind, metric.help, points, time_s, labels)
    if metric is DURATION:
        http = [
            ({_HTTP_NAMES.get(label, label): value for label, value in each.items()}, sample)
            for each, sample in points
            if each["method"] in HTTP_METHODS
        ]
        if http:
            yield _metric(HTTP_DURATION, "s", metric.kind, "Duration of HTTP client requests.", http, time_s, labels)


def name_and_unit(metric: Metric) -> tuple[str, str]:
    """Return the name of a metric for OpenTelemetry, without the endings that Prometheus adds again, and its unit."""
    name = metric.name.removesuffix("_total") if metric.kind is Kind.COUNTER else metric.name
    for ending, unit in _UNITS.items():
        if name.endswith(ending):
            return name.removesuffix(ending), unit
    return name, ""


def _metric(
    name: str,
    unit: str,
    kind: Kind,
    text: str,
    points: list[tuple[dict[str, str], MetricSample]],
    time_s: float,
    labels: Mapping[str, str],
) -> Any:
    from opentelemetry.sdk.metrics.export import (
        AggregationTemporality,
        ExponentialHistogram,
        Gauge,
        NumberDataPoint,
        Sum,
    )
    from opentelemetry.sdk.metrics.export import (
        Metric as OtelMetric,
    )

    now = int(time_s * 1e9)
    cumulative = AggregationTemporality.CUMULATIVE
    data: Any
    if kind is Kind.HISTOGRAM:
        histograms = [_histogram({**labels, **own}, sample, now) for own, sample in points]
        data = ExponentialHistogram(histograms, cumulative)
    else:
        numbers = [
            NumberDataPoint({**labels, **own}, int((sample.created_s or time_s) * 1e9), now, sample.value)
            for own, sample in points
        ]
        data = Sum(numbers, cumulative, True) if kind is Kind.COUNTER else Gauge(numbers)
    return OtelMetric(name, text, unit, data)


def _histogram(attributes: dict[str, str], sample: MetricSample, now_ns: int) -> Any:
    from opentelemetry.sdk.metrics.export import Buckets, ExponentialHistogramDataPoint

    histogram = sample.histogram
    assert histogram is not None
    filled = histogram.buckets
    lowest, highest = min(filled, default=0), max(filled, default=-1)
    # A bucket's number is that of its lower bound, obswarm's that of its upper one.
    counts = Buckets(lowest - 1, [filled.get(index, 0) for index in range(lowest, highest + 1)])
    return ExponentialHistogramDataPoint(
        attributes=attributes,
        start_time_unix_nano=int((sample.created_s or 0.0) * 1e9),
        time_unix_nano=now_ns,
        count=histogram.count,
        sum=histogram.sum_ns / 1e9,
        scale=SCHEMA,
        zero_count=0,
        positive=counts,
        negative=Buckets(0, []),
        flags=0,
        min=None,  # type: ignore[arg-type]
        max=None,  # type: ignore[arg-type]
    )


def _interval_s(environ: Mapping[str, str]) -> float:
    text = environ.get(_INTERVAL, "").strip()
    if not text:
        return _DEFAULT_INTERVAL_S
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ObswarmError(f"{_INTERVAL} is {clean_text(text)!r}; it has to be a whole number of milliseconds.")
    return int(text) / 1000


def _http_exporter() -> Any:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter()

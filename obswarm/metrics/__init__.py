"""obswarm's own Prometheus metrics: the contract, the exposition formats, remote write.

For load-test files, which import this package as `from obswarm import metrics`, it has what declares a metric of their
own: `counter`, `gauge` and `histogram`.
"""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.api.custom_metrics import counter, gauge, histogram
    from obswarm.metrics.collector import SnapshotCollector
    from obswarm.metrics.contract import CONTRACT, Kind, Metric
    from obswarm.metrics.exposition import MetricsApp, import_formats
    from obswarm.metrics.labels import parse_labels
    from obswarm.metrics.otlp import OtlpMetrics, otlp_metrics
    from obswarm.metrics.remote_write import Receiver, RemoteWriter
    from obswarm.metrics.series import SnapshotRegistry

__all__ = [
    "CONTRACT",
    "Kind",
    "Metric",
    "MetricsApp",
    "OtlpMetrics",
    "Receiver",
    "RemoteWriter",
    "SnapshotCollector",
    "SnapshotRegistry",
    "counter",
    "gauge",
    "histogram",
    "import_formats",
    "otlp_metrics",
    "parse_labels",
]

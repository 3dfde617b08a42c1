"""obswarm's own Prometheus metrics: the contract, the exposition formats, remote write."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.metrics.collector import SnapshotCollector
    from obswarm.metrics.contract import CONTRACT, Kind, Metric
    from obswarm.metrics.exposition import MetricsApp
    from obswarm.metrics.labels import parse_labels
    from obswarm.metrics.remote_write import Receiver, RemoteWriter
    from obswarm.metrics.series import SnapshotRegistry

__all__ = [
    "CONTRACT",
    "Kind",
    "Metric",
    "MetricsApp",
    "Receiver",
    "RemoteWriter",
    "SnapshotCollector",
    "SnapshotRegistry",
    "parse_labels",
]

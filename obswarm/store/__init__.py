"""The history of runs: a SQLite file that a run is written into while it goes."""

from obswarm.store.provenance import LoadTestText, git_revision, read_loadtests
from obswarm.store.read import Interval, RunRecord, WorkerInterval, read_run, value_at
from obswarm.store.schema import FILE, SCHEMA_VERSION
from obswarm.store.store import LATEST, RunInfo, Store
from obswarm.store.transfer import export_run, import_runs
from obswarm.store.writer import MetricKey, RunMetadata, RunWriter, StoreIncomplete

__all__ = [
    "FILE",
    "LATEST",
    "SCHEMA_VERSION",
    "Interval",
    "LoadTestText",
    "MetricKey",
    "RunInfo",
    "RunMetadata",
    "RunRecord",
    "RunWriter",
    "Store",
    "StoreIncomplete",
    "WorkerInterval",
    "export_run",
    "git_revision",
    "import_runs",
    "read_loadtests",
    "read_run",
    "value_at",
]

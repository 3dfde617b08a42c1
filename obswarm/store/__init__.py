"""The run store: a SQLite file to which runs are written as they go."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.store.provenance import git_revision, read_loadtests
    from obswarm.store.read import metric_samples, read_run
    from obswarm.store.schema import FILE, SCHEMA_VERSION
    from obswarm.store.store import LATEST, Store
    from obswarm.store.transfer import export_run, import_runs
    from obswarm.store.writer import RunWriter, StoreIncomplete

__all__ = [
    "FILE",
    "LATEST",
    "SCHEMA_VERSION",
    "RunWriter",
    "Store",
    "StoreIncomplete",
    "export_run",
    "git_revision",
    "import_runs",
    "metric_samples",
    "read_loadtests",
    "read_run",
]

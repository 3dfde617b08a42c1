"""Many processes and machines as one load generator: protocol, workers, relays, masters."""

from obswarm.cluster.reexec import reexec
from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.cluster.bundle import OpenedFiles, Packed, gather, hash_of_files, pack
    from obswarm.cluster.bundle import unpack as unpack_bundle
    from obswarm.cluster.cpus import usable_cpus
    from obswarm.cluster.job import Job, plain_options
    from obswarm.cluster.master.expectation import Expectation
    from obswarm.cluster.master.fleet_journal import FleetJournal
    from obswarm.cluster.master.generator import FleetGenerator
    from obswarm.cluster.master.idle_workers import IdleWorkers
    from obswarm.cluster.master.journal import Journal, Recovered
    from obswarm.cluster.master.journal import read as read_journal
    from obswarm.cluster.master.local_workers import LocalWorkers
    from obswarm.cluster.master.recovery import result_of_recovered
    from obswarm.cluster.master.registry import WorkerRegistry
    from obswarm.cluster.master.run_spec import RunSpec
    from obswarm.cluster.master.runner import MasterRunner, WorkerNode, WorkerNodes
    from obswarm.cluster.processes import RecordFormatter, WorkerProcesses, end_with_parent
    from obswarm.cluster.wire.curve import CurveKeys, derive_keys, read_secret
    from obswarm.cluster.wire.messages import LARGEST_FRAME_BYTES
    from obswarm.cluster.wire.transport import DEFAULT_PORT, check_free, is_loopback, resolved_endpoint, tcp_endpoint
    from obswarm.cluster.worker.identity import Identity, new_identity
    from obswarm.cluster.worker.relay import Relay
    from obswarm.cluster.worker.runner import WorkerRunner
    from obswarm.cluster.worker.worker import Worker

__all__ = [
    "DEFAULT_PORT",
    "LARGEST_FRAME_BYTES",
    "CurveKeys",
    "Expectation",
    "FleetGenerator",
    "FleetJournal",
    "Identity",
    "IdleWorkers",
    "Job",
    "Journal",
    "LocalWorkers",
    "MasterRunner",
    "OpenedFiles",
    "Packed",
    "RecordFormatter",
    "Recovered",
    "Relay",
    "RunSpec",
    "Worker",
    "WorkerNode",
    "WorkerNodes",
    "WorkerProcesses",
    "WorkerRegistry",
    "WorkerRunner",
    "check_free",
    "derive_keys",
    "end_with_parent",
    "gather",
    "hash_of_files",
    "is_loopback",
    "new_identity",
    "pack",
    "plain_options",
    "read_journal",
    "read_secret",
    "reexec",
    "resolved_endpoint",
    "result_of_recovered",
    "tcp_endpoint",
    "unpack_bundle",
    "usable_cpus",
]

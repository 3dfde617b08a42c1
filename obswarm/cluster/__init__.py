"""Many processes and machines as one load generator: protocol, workers, relays, masters."""

from obswarm.cluster.bundle import OpenedFiles, Packed, gather, hash_of_files, pack
from obswarm.cluster.bundle import unpack as unpack_bundle
from obswarm.cluster.deltas import DeltaSum, pack_table
from obswarm.cluster.fleet import Fleet
from obswarm.cluster.in_flight import pack_in_flight, unpack_in_flight
from obswarm.cluster.invitation import Invitation
from obswarm.cluster.job import Job, plain_options
from obswarm.cluster.journal import Journal, Recovered
from obswarm.cluster.journal import read as read_journal
from obswarm.cluster.link import Identity
from obswarm.cluster.lobby import Lobby
from obswarm.cluster.local import LocalWorkers
from obswarm.cluster.master import Expectation, FleetRun
from obswarm.cluster.processes import RecordFormatter, WorkerProcesses, end_with_parent
from obswarm.cluster.protocol import LARGEST_FRAME_BYTES
from obswarm.cluster.recovery import result_of_recovered
from obswarm.cluster.relay import Relay
from obswarm.cluster.runners import MasterRunner, WorkerRunner
from obswarm.cluster.secret import CurveKeys, derive_keys, read_secret
from obswarm.cluster.start_over import start_over
from obswarm.cluster.transport import DEFAULT_PORT, check_free, is_loopback, resolved_endpoint, tcp_endpoint
from obswarm.cluster.unpacking import unpack as unpack_limited
from obswarm.cluster.worker import Worker, new_identity

__all__ = [
    "DEFAULT_PORT",
    "LARGEST_FRAME_BYTES",
    "CurveKeys",
    "DeltaSum",
    "Expectation",
    "Fleet",
    "FleetRun",
    "Identity",
    "Invitation",
    "Job",
    "Journal",
    "Lobby",
    "LocalWorkers",
    "MasterRunner",
    "OpenedFiles",
    "Packed",
    "RecordFormatter",
    "Recovered",
    "Relay",
    "Worker",
    "WorkerProcesses",
    "WorkerRunner",
    "check_free",
    "derive_keys",
    "end_with_parent",
    "gather",
    "hash_of_files",
    "is_loopback",
    "new_identity",
    "pack",
    "pack_in_flight",
    "pack_table",
    "plain_options",
    "read_journal",
    "read_secret",
    "resolved_endpoint",
    "result_of_recovered",
    "start_over",
    "tcp_endpoint",
    "unpack_bundle",
    "unpack_in_flight",
    "unpack_limited",
]

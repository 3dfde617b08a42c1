"""`locust.runners`: the classes of `environment.runner`, and the names of its states."""

from obswarm.cluster import MasterRunner, WorkerNode, WorkerNodes, WorkerRunner
from obswarm.engine import LocalRunner, Runner

STATE_INIT, STATE_SPAWNING, STATE_RUNNING, STATE_CLEANUP, STATE_STOPPING, STATE_STOPPED, STATE_MISSING = (
    "ready",
    "spawning",
    "running",
    "cleanup",
    "stopping",
    "stopped",
    "missing",
)
"""States of a run; "cleanup" never occurs, and "holding" does, while a guard holds the load."""

DistributedRunner = MasterRunner | WorkerRunner
"""For `isinstance`: the runner of a master or a worker."""

HEARTBEAT_INTERVAL = 1
WORKER_REPORT_INTERVAL = 1.0
"""Seconds between two messages of a worker."""

HEARTBEAT_LIVENESS = 3
"""Seconds without a message after which a worker is missing."""

CPU_MONITOR_INTERVAL = 1.0
"""Seconds between two measurements of a process's CPU. As all numbers here, it is for load tests that read it: setting
it has no effect."""

__all__ = [
    "CPU_MONITOR_INTERVAL",
    "HEARTBEAT_INTERVAL",
    "HEARTBEAT_LIVENESS",
    "STATE_CLEANUP",
    "STATE_INIT",
    "STATE_MISSING",
    "STATE_RUNNING",
    "STATE_SPAWNING",
    "STATE_STOPPED",
    "STATE_STOPPING",
    "WORKER_REPORT_INTERVAL",
    "DistributedRunner",
    "LocalRunner",
    "MasterRunner",
    "Runner",
    "WorkerNode",
    "WorkerNodes",
    "WorkerRunner",
]

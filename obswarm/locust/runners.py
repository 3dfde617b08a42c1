"""`locust.runners`: the classes of `environment.runner`, and the names of its states."""

from obswarm.cluster import MasterRunner, WorkerRunner
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

__all__ = [
    "STATE_CLEANUP",
    "STATE_INIT",
    "STATE_MISSING",
    "STATE_RUNNING",
    "STATE_SPAWNING",
    "STATE_STOPPED",
    "STATE_STOPPING",
    "LocalRunner",
    "MasterRunner",
    "Runner",
    "WorkerRunner",
]

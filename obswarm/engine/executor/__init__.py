"""Executors: what turns a plan and the time into assignments. One module a workload model."""

from obswarm.engine.executor.assignment import Assignment
from obswarm.engine.executor.closed import ClosedExecutor

__all__ = ["Assignment", "ClosedExecutor"]

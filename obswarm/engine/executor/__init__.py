"""Executors: what turns a plan and the time into assignments. One module a workload model."""

from obswarm.engine.executor.assignment import Assignment
from obswarm.engine.executor.closed import ClosedExecutor
from obswarm.engine.executor.executor import Executor, ExecutorState, SetLoad

__all__ = ["Assignment", "ClosedExecutor", "Executor", "ExecutorState", "SetLoad"]

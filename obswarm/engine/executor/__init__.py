"""Executors: return the assignment of a plan at a given time. One module for each workload model."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    # A worker process needs the assignment alone.
    from obswarm.engine.executor.assignment import Assignment, are_same_ends
    from obswarm.engine.executor.closed import ClosedExecutor
    from obswarm.engine.executor.combined import CombinedExecutor
    from obswarm.engine.executor.executor import PLAN_END, Executor, ExecutorState, SetLoad
    from obswarm.engine.executor.open import ArrivalLoad, OpenExecutor
    from obswarm.engine.executor.rate_curve import RateCurve, RateOverTime
    from obswarm.engine.executor.scenarios import ScenarioExecutor, ScenarioPlan

__all__ = [
    "PLAN_END",
    "ArrivalLoad",
    "Assignment",
    "ClosedExecutor",
    "CombinedExecutor",
    "Executor",
    "ExecutorState",
    "OpenExecutor",
    "RateCurve",
    "RateOverTime",
    "ScenarioExecutor",
    "ScenarioPlan",
    "SetLoad",
    "are_same_ends",
]

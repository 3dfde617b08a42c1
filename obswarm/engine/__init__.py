"""A run: its executor, load generator, statistics and outputs; and the users of one process."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.engine.allocation import ClassWeight, allocate, apportion, apportion_rate, spread, weight_of
    from obswarm.engine.control import RunControl, RunObserver, StopReason, id_of, name_of, named_id
    from obswarm.engine.descriptors import DescriptorWatch, check_descriptors, check_open_files, check_worker_processes
    from obswarm.engine.executor import Assignment, ClosedExecutor, Executor, ExecutorState, SetLoad
    from obswarm.engine.generator import (
        GeneratorEvent,
        GeneratorStatus,
        GeneratorTotals,
        GeneratorWarning,
        LoadGenerator,
        PartFailed,
        PartRestarted,
        RunFailed,
        StopRequested,
    )
    from obswarm.engine.health import HealthMonitor, warn_of_saturation
    from obswarm.engine.import_alias import is_imported, stop_using_locust_names, use_locust_names
    from obswarm.engine.import_path import add_folder
    from obswarm.engine.loader import LoadTest, check_file, find_loadtest, load, select
    from obswarm.engine.local import LocalGenerator
    from obswarm.engine.messages import CustomMessage, MessageListeners
    from obswarm.engine.output import LingeringOutput, Output, OutputParams, Outputs, RunHandle
    from obswarm.engine.partial import PartialResult
    from obswarm.engine.progress import EarlierRun, Progress, RunJournal
    from obswarm.engine.rate_limiter import RateLimiter
    from obswarm.engine.result import FailedOutput, RunResult, WorkerLoss, new_run_id
    from obswarm.engine.run import Run
    from obswarm.engine.runner_view import LocalRunner, Runner, RunnerControl, SteeringRunner
    from obswarm.engine.schedule import LoadSchedule, LoadTarget, Ramp, ReplacedLoad, ShapeSchedule, StagesSchedule
    from obswarm.engine.statistics import RunStatistics, host_of
    from obswarm.engine.uncaught import UncaughtErrors
    from obswarm.engine.user_scaler import UserScaler

__all__ = [
    "Assignment",
    "ClassWeight",
    "ClosedExecutor",
    "CustomMessage",
    "DescriptorWatch",
    "EarlierRun",
    "Executor",
    "ExecutorState",
    "FailedOutput",
    "GeneratorEvent",
    "GeneratorStatus",
    "GeneratorTotals",
    "GeneratorWarning",
    "HealthMonitor",
    "LingeringOutput",
    "LoadGenerator",
    "LoadSchedule",
    "LoadTarget",
    "LoadTest",
    "LocalGenerator",
    "LocalRunner",
    "MessageListeners",
    "Output",
    "OutputParams",
    "Outputs",
    "PartFailed",
    "PartRestarted",
    "PartialResult",
    "Progress",
    "Ramp",
    "RateLimiter",
    "ReplacedLoad",
    "Run",
    "RunControl",
    "RunFailed",
    "RunHandle",
    "RunJournal",
    "RunObserver",
    "RunResult",
    "RunStatistics",
    "Runner",
    "RunnerControl",
    "SetLoad",
    "ShapeSchedule",
    "StagesSchedule",
    "SteeringRunner",
    "StopReason",
    "StopRequested",
    "UncaughtErrors",
    "UserScaler",
    "WorkerLoss",
    "add_folder",
    "allocate",
    "apportion",
    "apportion_rate",
    "check_descriptors",
    "check_file",
    "check_open_files",
    "check_worker_processes",
    "find_loadtest",
    "host_of",
    "id_of",
    "is_imported",
    "load",
    "name_of",
    "named_id",
    "new_run_id",
    "select",
    "spread",
    "stop_using_locust_names",
    "use_locust_names",
    "warn_of_saturation",
    "weight_of",
]

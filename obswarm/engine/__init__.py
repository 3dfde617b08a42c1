"""A run: its executor, load generator, statistics and outputs; and the users of one process."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.engine.allocation import ClassWeight, allocate, apportion, apportion_rate, spread, weight_of
    from obswarm.engine.arrival_plan import has_seeded_arrivals, plan_arrivals
    from obswarm.engine.arrival_schedule import ArrivalSchedule, gaps_of
    from obswarm.engine.control import RunControl, RunObserver, StopReason, id_of, name_of, named_id
    from obswarm.engine.descriptors import DescriptorWatch, check_descriptors, check_open_files, check_worker_processes
    from obswarm.engine.executor import (
        ArrivalLoad,
        Assignment,
        ClosedExecutor,
        CombinedExecutor,
        Executor,
        ExecutorState,
        OpenExecutor,
        RateCurve,
        ScenarioExecutor,
        ScenarioPlan,
        SetLoad,
        are_same_ends,
    )
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
    from obswarm.engine.health import HealthMonitor, tell_saturation, tell_usage
    from obswarm.engine.import_alias import is_imported, stop_using_locust_names, use_locust_names
    from obswarm.engine.import_path import add_folder
    from obswarm.engine.iteration_grants import IterationGrants
    from obswarm.engine.iteration_limit import IterationCount, IterationLimit, plan_iterations
    from obswarm.engine.loader import LoadTest, check_file, find_loadtest, import_file, load, select
    from obswarm.engine.loadtest_source import is_url, loadtest_files
    from obswarm.engine.local import LocalGenerator
    from obswarm.engine.messages import CustomMessage, MessageListeners
    from obswarm.engine.output import LingeringOutput, Output, OutputParams, Outputs, RunHandle
    from obswarm.engine.partial import PartialResult
    from obswarm.engine.present_run import PresentRun
    from obswarm.engine.progress import EarlierRun, Progress, RunJournal
    from obswarm.engine.rate_limiter import RateLimiter
    from obswarm.engine.result import FailedOutput, RunResult, WorkerLoss, new_run_id
    from obswarm.engine.run import Run
    from obswarm.engine.runner_view import LocalRunner, Runner, RunnerControl, RunnerUsers, SteeringRunner
    from obswarm.engine.scenario_classes import classes_of_scenarios, scenarios_in
    from obswarm.engine.scenario_plan import plan_scenarios
    from obswarm.engine.schedule import LoadSchedule, LoadTarget, Ramp, ReplacedLoad, ShapeSchedule, StagesSchedule
    from obswarm.engine.statistics import RunStatistics, host_of
    from obswarm.engine.uncaught import UncaughtErrors
    from obswarm.engine.user_scaler import UserScaler
    from obswarm.engine.user_settings import UserSettings, give_equal_weights, parse_user_config

__all__ = [
    "ArrivalLoad",
    "ArrivalSchedule",
    "Assignment",
    "ClassWeight",
    "ClosedExecutor",
    "CombinedExecutor",
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
    "IterationCount",
    "IterationGrants",
    "IterationLimit",
    "LingeringOutput",
    "LoadGenerator",
    "LoadSchedule",
    "LoadTarget",
    "LoadTest",
    "LocalGenerator",
    "LocalRunner",
    "MessageListeners",
    "OpenExecutor",
    "Output",
    "OutputParams",
    "Outputs",
    "PartFailed",
    "PartRestarted",
    "PartialResult",
    "PresentRun",
    "Progress",
    "Ramp",
    "RateCurve",
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
    "RunnerUsers",
    "ScenarioExecutor",
    "ScenarioPlan",
    "SetLoad",
    "ShapeSchedule",
    "StagesSchedule",
    "SteeringRunner",
    "StopReason",
    "StopRequested",
    "UncaughtErrors",
    "UserScaler",
    "UserSettings",
    "WorkerLoss",
    "add_folder",
    "allocate",
    "apportion",
    "apportion_rate",
    "are_same_ends",
    "check_descriptors",
    "check_file",
    "check_open_files",
    "check_worker_processes",
    "classes_of_scenarios",
    "find_loadtest",
    "gaps_of",
    "give_equal_weights",
    "has_seeded_arrivals",
    "host_of",
    "id_of",
    "import_file",
    "is_imported",
    "is_url",
    "load",
    "loadtest_files",
    "name_of",
    "named_id",
    "new_run_id",
    "parse_user_config",
    "plan_arrivals",
    "plan_iterations",
    "plan_scenarios",
    "scenarios_in",
    "select",
    "spread",
    "stop_using_locust_names",
    "tell_saturation",
    "tell_usage",
    "use_locust_names",
    "weight_of",
]

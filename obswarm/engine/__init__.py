"""Users in one process: loading the file, spawning evenly, running, stopping, and watching our own health."""

from obswarm.engine.allocation import Share, allocate, apportion, share_of, spread
from obswarm.engine.control import RunControl, StopReason, Watch, id_of, name_of, named_id
from obswarm.engine.course import RunCourse, host_of
from obswarm.engine.crowd import LocalCrowd
from obswarm.engine.descriptors import DescriptorWatch, check_descriptors, check_open_files, check_worker_processes
from obswarm.engine.executor import Executor
from obswarm.engine.health import HealthMonitor, warn_of_saturation
from obswarm.engine.import_path import add_folder
from obswarm.engine.loader import LoadTest, check_file, find_loadtest, load, select
from obswarm.engine.messages import CustomMessage, MessageListeners
from obswarm.engine.output import Output, Outputs, RunHandle, reason_of
from obswarm.engine.partial import PartialResult
from obswarm.engine.profile import Load, Profile, Ramp, ReplacedLoad, ShapeProfile, StagesProfile
from obswarm.engine.result import FailedOutput, RunResult, WorkerLoss, new_run_id
from obswarm.engine.run import LocalRun
from obswarm.engine.runner_view import LocalRunner, Runner, SteeringRunner
from obswarm.engine.spawner import Pace
from obswarm.engine.statistics import RunStatistics
from obswarm.engine.uncaught import UncaughtErrors

__all__ = [
    "CustomMessage",
    "DescriptorWatch",
    "Executor",
    "FailedOutput",
    "HealthMonitor",
    "Load",
    "LoadTest",
    "LocalCrowd",
    "LocalRun",
    "LocalRunner",
    "MessageListeners",
    "Output",
    "Outputs",
    "Pace",
    "PartialResult",
    "Profile",
    "Ramp",
    "ReplacedLoad",
    "RunControl",
    "RunCourse",
    "RunHandle",
    "RunResult",
    "RunStatistics",
    "Runner",
    "ShapeProfile",
    "Share",
    "StagesProfile",
    "SteeringRunner",
    "StopReason",
    "UncaughtErrors",
    "Watch",
    "WorkerLoss",
    "add_folder",
    "allocate",
    "apportion",
    "check_descriptors",
    "check_file",
    "check_open_files",
    "check_worker_processes",
    "find_loadtest",
    "host_of",
    "id_of",
    "load",
    "name_of",
    "named_id",
    "new_run_id",
    "reason_of",
    "select",
    "share_of",
    "spread",
    "warn_of_saturation",
]

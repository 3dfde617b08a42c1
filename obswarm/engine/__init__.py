"""Users in one process: loading the file, spawning evenly, running, stopping, and watching our own health."""

from obswarm.engine.allocation import Share, allocate, share_of
from obswarm.engine.control import RunControl, StopReason
from obswarm.engine.course import RunCourse, RunResult, Watch, WorkerLoss, host_of, new_run_id, warn_of_saturation
from obswarm.engine.crowd import LocalCrowd
from obswarm.engine.executor import Executor
from obswarm.engine.health import HealthMonitor
from obswarm.engine.loader import LoadTest, find_loadtest, load, select
from obswarm.engine.profile import Load, Profile, Ramp, ShapeProfile, StagesProfile
from obswarm.engine.run import LocalRun
from obswarm.engine.runner_view import CustomMessage, LocalRunner, Runner, SteeringRunner
from obswarm.engine.spawner import Pace
from obswarm.engine.statistics import RunStatistics

__all__ = [
    "CustomMessage",
    "Executor",
    "HealthMonitor",
    "Load",
    "LoadTest",
    "LocalCrowd",
    "LocalRun",
    "LocalRunner",
    "Pace",
    "Profile",
    "Ramp",
    "RunControl",
    "RunCourse",
    "RunResult",
    "RunStatistics",
    "Runner",
    "ShapeProfile",
    "Share",
    "StagesProfile",
    "SteeringRunner",
    "StopReason",
    "Watch",
    "WorkerLoss",
    "allocate",
    "find_loadtest",
    "host_of",
    "load",
    "new_run_id",
    "select",
    "share_of",
    "warn_of_saturation",
]

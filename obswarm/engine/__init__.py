"""Users in one process: loading the file, spawning evenly, running, stopping, and watching our own health."""

from obswarm.engine.control import RunControl, StopReason
from obswarm.engine.loader import LoadTest, find_loadtest, load, select
from obswarm.engine.profile import Load, Profile, Ramp, ShapeProfile, StagesProfile
from obswarm.engine.run import LocalRun, RunResult

__all__ = [
    "Load",
    "LoadTest",
    "LocalRun",
    "Profile",
    "Ramp",
    "RunControl",
    "RunResult",
    "ShapeProfile",
    "StagesProfile",
    "StopReason",
    "find_loadtest",
    "load",
    "select",
]

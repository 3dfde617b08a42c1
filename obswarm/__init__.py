"""obswarm, the load tester that tells you why your service breaks: the public API for load-test files.

Names are imported when they are first asked for, so that a part of the package that needs none of them (and wants
neither gevent nor its patches) stays light.
"""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    # `python -m obswarm` looks for modules in the current folder first, where a `json.py` would stand in for the
    # standard library's. (It is "-m" only while Python is still looking for the module to run.)
    del sys.path[0]

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from obswarm.api import (
        InterruptTaskSet,
        LoadTestShape,
        MarkovTaskSet,
        RequestSigner,
        RescheduleTask,
        RescheduleTaskImmediately,
        SequentialTaskSet,
        Stages,
        StopTest,
        StopUser,
        TaskSet,
        User,
        between,
        constant,
        constant_pacing,
        constant_throughput,
        poisson,
        run_single_user,
        tag,
        task,
        transition,
        transitions,
    )
    from obswarm.api.events import events
    from obswarm.cluster import MasterRunner, WorkerRunner
    from obswarm.engine import LocalRunner
    from obswarm.guards import Guard
    from obswarm.http import FastHttpUser, HttpUser

__all__ = [
    "FastHttpUser",
    "Guard",
    "HttpUser",
    "InterruptTaskSet",
    "LoadTestShape",
    "LocalRunner",
    "MarkovTaskSet",
    "MasterRunner",
    "RequestSigner",
    "RescheduleTask",
    "RescheduleTaskImmediately",
    "SequentialTaskSet",
    "Stages",
    "StopTest",
    "StopUser",
    "TaskSet",
    "User",
    "WorkerRunner",
    "__version__",
    "between",
    "constant",
    "constant_pacing",
    "constant_throughput",
    "events",
    "poisson",
    "run_single_user",
    "tag",
    "task",
    "transition",
    "transitions",
]

_ELSEWHERE = {
    "FastHttpUser": "obswarm.http",
    "Guard": "obswarm.guards",
    "HttpUser": "obswarm.http",
    "LocalRunner": "obswarm.engine",
    "MasterRunner": "obswarm.cluster",
    "WorkerRunner": "obswarm.cluster",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'obswarm' has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE.get(name, "obswarm.api")), name)


def __dir__() -> list[str]:
    return sorted(__all__)

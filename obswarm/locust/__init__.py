"""Locust's names: what a locustfile imports from `locust` is here, as obswarm's own classes.

`obswarm run` and workers import locustfiles with it; other programs call `install` before they do. The submodules have
the names of Locust's, and what load-test files use of them. Names are imported on first use.
"""

# Packages for Locust use logging.config without an import of it, since Locust has imported it.
import logging.config  # noqa: F401
from importlib import import_module
from typing import TYPE_CHECKING, Any

from obswarm.engine import stop_using_locust_names, use_locust_names

if TYPE_CHECKING:
    from obswarm import (
        LoadTestShape,
        MarkovTaskSet,
        SequentialTaskSet,
        TaskSet,
        User,
        between,
        constant,
        constant_pacing,
        constant_throughput,
        events,
        poisson,
        tag,
        task,
        transition,
        transitions,
    )
    from obswarm.api import Events
    from obswarm.locust.debug import run_single_user
    from obswarm.locust.fast_users import FastHttpLocust, FastHttpUser
    from obswarm.locust.user import wait_time
    from obswarm.locust.user.users import HttpLocust, HttpUser
    from obswarm.locust.util.deprecation import Locust, TaskSequence, seq_task

__version__ = "2.47.0"
"""The version of Locust whose names these are."""

_OF = {
    "Events": "obswarm.api",
    "FastHttpLocust": "obswarm.locust.fast_users",
    "FastHttpUser": "obswarm.locust.fast_users",
    "HttpLocust": "obswarm.locust.user.users",
    "HttpUser": "obswarm.locust.user.users",
    "Locust": "obswarm.locust.util.deprecation",
    "TaskSequence": "obswarm.locust.util.deprecation",
    "seq_task": "obswarm.locust.util.deprecation",
    "run_single_user": "obswarm.locust.debug",
}
"""Modules of the names that are not in obswarm itself."""

_SUBMODULES = (
    "argument_parser",
    "clients",
    "contrib",
    "debug",
    "dispatch",
    "env",
    "event",
    "exception",
    "html",
    "input_events",
    "log",
    "main",
    "opentelemetry",
    "rpc",
    "runners",
    "shape",
    "stats",
    "user",
    "util",
    "web",
)

__all__ = [
    "Events",
    "FastHttpLocust",
    "FastHttpUser",
    "HttpLocust",
    "HttpUser",
    "LoadTestShape",
    "Locust",
    "MarkovTaskSet",
    "SequentialTaskSet",
    "TaskSequence",
    "TaskSet",
    "User",
    "between",
    "constant",
    "constant_pacing",
    "constant_throughput",
    "events",
    "install",
    "poisson",
    "run_single_user",
    "seq_task",
    "tag",
    "task",
    "transition",
    "transitions",
    "uninstall",
    "wait_time",
]


def install() -> None:
    """Have `import locust` import this package from now on, for the whole process, also where Locust is installed.

    Call it before any module that imports locust; `from locust import HttpUser` gives obswarm.HttpUser then.
    """
    use_locust_names()


def uninstall() -> None:
    """Undo `install`: `import locust` imports the installed package again."""
    stop_using_locust_names()


def __getattr__(name: str) -> Any:
    if name == "wait_time":
        return import_module("obswarm.locust.user.wait_time")
    if name in __all__:
        value = globals()[name] = getattr(import_module(_OF.get(name, "obswarm")), name)
        return value
    if name in _SUBMODULES:
        # `import locust` imports them all in Locust, so that `locust.stats` is there without an import of its own.
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

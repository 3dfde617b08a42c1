"""obswarm, the load tester that tells you why your service breaks: the public API for load-test files.

Names are imported on first use, so that parts of the package that need none of them do not load gevent or its patches.
"""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    # `python -m obswarm` searches the current folder first, where a `json.py` would shadow the standard library's.
    # (argv[0] is "-m" only while Python is looking for the module to run.)
    del sys.path[0]

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from obswarm.api import (
        ArrivalRate,
        CatchResponseError,
        InternalError,
        InterruptTaskSet,
        LoadTestError,
        LoadTestShape,
        MarkovTaskSet,
        ObswarmError,
        RequestSigner,
        RescheduleTask,
        RescheduleTaskImmediately,
        ResponseError,
        Scenario,
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
    from obswarm.api import feed as feed
    from obswarm.api.events import events
    from obswarm.cluster import MasterRunner, WorkerRunner
    from obswarm.engine import LocalRunner, Output, OutputParams, RunHandle, RunResult
    from obswarm.guards import Guard
    from obswarm.http import (
        ConnectError,
        ConnectionLost,
        ConnectTimeout,
        DecodingError,
        FastHttpUser,
        HttpError,
        HttpUser,
        InvalidRedirect,
        InvalidRequest,
        MissingHost,
        NoDescriptorLeft,
        ProtocolError,
        ProxyError,
        ReadTimeout,
        ResponseTooLarge,
        StreamConsumed,
        TlsError,
        TooManyRedirects,
    )
    from obswarm.record import Annotation, Snapshot

__all__ = [
    "Annotation",
    "ArrivalRate",
    "CatchResponseError",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "DecodingError",
    "FastHttpUser",
    "Guard",
    "HttpError",
    "HttpUser",
    "InternalError",
    "InterruptTaskSet",
    "InvalidRedirect",
    "InvalidRequest",
    "LoadTestError",
    "LoadTestShape",
    "LocalRunner",
    "MarkovTaskSet",
    "MasterRunner",
    "MissingHost",
    "NoDescriptorLeft",
    "ObswarmError",
    "Output",
    "OutputParams",
    "ProtocolError",
    "ProxyError",
    "ReadTimeout",
    "RequestSigner",
    "RescheduleTask",
    "RescheduleTaskImmediately",
    "ResponseError",
    "ResponseTooLarge",
    "RunHandle",
    "RunResult",
    "Scenario",
    "SequentialTaskSet",
    "Snapshot",
    "Stages",
    "StopTest",
    "StopUser",
    "StreamConsumed",
    "TaskSet",
    "TlsError",
    "TooManyRedirects",
    "User",
    "WorkerRunner",
    "__version__",
    "between",
    "constant",
    "constant_pacing",
    "constant_throughput",
    "events",
    "feed",
    "metrics",
    "poisson",
    "run_single_user",
    "tag",
    "task",
    "transition",
    "transitions",
]

_ELSEWHERE = {
    **dict.fromkeys(
        (
            "ConnectError",
            "ConnectTimeout",
            "ConnectionLost",
            "DecodingError",
            "FastHttpUser",
            "HttpError",
            "HttpUser",
            "InvalidRedirect",
            "InvalidRequest",
            "MissingHost",
            "NoDescriptorLeft",
            "ProtocolError",
            "ProxyError",
            "ReadTimeout",
            "ResponseTooLarge",
            "StreamConsumed",
            "TlsError",
            "TooManyRedirects",
        ),
        "obswarm.http",
    ),
    **dict.fromkeys(("LocalRunner", "Output", "OutputParams", "RunHandle", "RunResult"), "obswarm.engine"),
    **dict.fromkeys(("Annotation", "Snapshot"), "obswarm.record"),
    "Guard": "obswarm.guards",
    "MasterRunner": "obswarm.cluster",
    "WorkerRunner": "obswarm.cluster",
}


_MODULES = {"feed": "obswarm.api.feed", "metrics": "obswarm.metrics"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name not in __all__:
        raise AttributeError(f"module 'obswarm' has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE.get(name, "obswarm.api")), name)


def __dir__() -> list[str]:
    return sorted(__all__)

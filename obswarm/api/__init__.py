"""What a load-test file uses: users, tasks, waits, shapes, events. Its names and their meaning are Locust's."""

from obswarm import gevent_patch  # noqa: F401,I001 - before anything that could import ssl

from obswarm.api.events import EventHook, Events, RequestHook, events
from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.api.debug import run_single_user
    from obswarm.api.environment import Environment, RunSteering
    from obswarm.api.errors import (
        CatchResponseError,
        InternalError,
        InterruptTaskSet,
        LoadTestError,
        ObswarmError,
        RescheduleTask,
        RescheduleTaskImmediately,
        ResponseError,
        StopTest,
        StopUser,
    )
    from obswarm.api.markov import MarkovTaskSet, transition, transitions
    from obswarm.api.options import (
        LoadTestParser,
        OptionValues,
        make_parser,
        parse_custom,
        remember_secrets,
    )
    from obswarm.api.request import RequestRecord
    from obswarm.api.shapes import LoadTestShape, Stage, Stages, format_stages, parse_stages, users_at
    from obswarm.api.signing import KEY_VARIABLE, SIGNING_HEADERS, RequestSigner
    from obswarm.api.stats_view import EntryView, StatsView
    from obswarm.api.tasks import SequentialTaskSet, TaskSet, filter_by_tags, tag, task
    from obswarm.api.tracebacks import (
        is_of_a_load_test,
        is_ours,
        runs_code_of_a_load_test,
        user_location,
        user_traceback,
    )
    from obswarm.api.user import User
    from obswarm.api.waits import between, constant, constant_pacing, constant_throughput, poisson

__all__ = [
    "KEY_VARIABLE",
    "SIGNING_HEADERS",
    "CatchResponseError",
    "EntryView",
    "Environment",
    "EventHook",
    "Events",
    "InternalError",
    "InterruptTaskSet",
    "LoadTestError",
    "LoadTestParser",
    "LoadTestShape",
    "MarkovTaskSet",
    "ObswarmError",
    "OptionValues",
    "RequestHook",
    "RequestRecord",
    "RequestSigner",
    "RescheduleTask",
    "RescheduleTaskImmediately",
    "ResponseError",
    "RunSteering",
    "SequentialTaskSet",
    "Stage",
    "Stages",
    "StatsView",
    "StopTest",
    "StopUser",
    "TaskSet",
    "User",
    "between",
    "constant",
    "constant_pacing",
    "constant_throughput",
    "events",
    "filter_by_tags",
    "format_stages",
    "is_of_a_load_test",
    "is_ours",
    "make_parser",
    "parse_custom",
    "parse_stages",
    "poisson",
    "remember_secrets",
    "run_single_user",
    "runs_code_of_a_load_test",
    "tag",
    "task",
    "transition",
    "transitions",
    "user_location",
    "user_traceback",
    "users_at",
]

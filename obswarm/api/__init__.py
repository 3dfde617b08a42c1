"""What a load-test file uses: users, tasks, waits, shapes, events. Its names and their meaning are Locust's."""

from obswarm import gevent_patch  # noqa: F401,I001 - before anything that could import ssl

from obswarm.api.event_hook import EventHook, EventQueue
from obswarm.api.events import Events, RequestHook, events
from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.api.arrivals import (
        ARRIVALS,
        HIGHEST_ARRIVAL_RATE,
        MOST_SEED,
        ArrivalRate,
        RateQuery,
        RateStage,
        arrival_rate_of,
        format_rate_stages,
        parse_arrival_rate,
        parse_rate,
        parse_rate_query,
        parse_rate_stages,
        rate_stages_of_samples,
        read_rate_curve,
    )
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
    from obswarm.api.iterations import MOST_ITERATIONS, format_iterations, parse_iterations
    from obswarm.api.markov import MarkovTaskSet, transition, transitions
    from obswarm.api.option_defaults import new_option_values
    from obswarm.api.options import (
        LoadTestParser,
        OptionValues,
        make_parser,
        parse_custom,
        register_secrets,
    )
    from obswarm.api.request import RequestRecord
    from obswarm.api.scenario import Scenario
    from obswarm.api.shapes import LoadTestShape, Stage, Stages, format_stages, parse_stages, users_at
    from obswarm.api.signing import KEY_VARIABLE, SIGNING_HEADERS, RequestSigner
    from obswarm.api.stats_entry import EntryView
    from obswarm.api.stats_error import StatsError
    from obswarm.api.stats_view import StatsView, serialized
    from obswarm.api.task_declaration import tag, task
    from obswarm.api.tasks import SequentialTaskSet, TaskSet, filter_by_tags
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
    "ARRIVALS",
    "HIGHEST_ARRIVAL_RATE",
    "KEY_VARIABLE",
    "MOST_ITERATIONS",
    "MOST_SEED",
    "SIGNING_HEADERS",
    "ArrivalRate",
    "CatchResponseError",
    "EntryView",
    "Environment",
    "EventHook",
    "EventQueue",
    "Events",
    "InternalError",
    "InterruptTaskSet",
    "LoadTestError",
    "LoadTestParser",
    "LoadTestShape",
    "MarkovTaskSet",
    "ObswarmError",
    "OptionValues",
    "RateQuery",
    "RateStage",
    "RequestHook",
    "RequestRecord",
    "RequestSigner",
    "RescheduleTask",
    "RescheduleTaskImmediately",
    "ResponseError",
    "RunSteering",
    "Scenario",
    "SequentialTaskSet",
    "Stage",
    "Stages",
    "StatsError",
    "StatsView",
    "StopTest",
    "StopUser",
    "TaskSet",
    "User",
    "arrival_rate_of",
    "between",
    "constant",
    "constant_pacing",
    "constant_throughput",
    "events",
    "filter_by_tags",
    "format_iterations",
    "format_rate_stages",
    "format_stages",
    "is_of_a_load_test",
    "is_ours",
    "make_parser",
    "new_option_values",
    "parse_arrival_rate",
    "parse_custom",
    "parse_iterations",
    "parse_rate",
    "parse_rate_query",
    "parse_rate_stages",
    "parse_stages",
    "poisson",
    "rate_stages_of_samples",
    "read_rate_curve",
    "register_secrets",
    "run_single_user",
    "runs_code_of_a_load_test",
    "serialized",
    "tag",
    "task",
    "transition",
    "transitions",
    "user_location",
    "user_traceback",
    "users_at",
]

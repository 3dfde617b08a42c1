"""Modules and names that locustfiles import."""

import importlib

import observing
from locust import HttpUser, task

NAMES = {
    "locust": "FastHttpUser HttpUser LoadTestShape MarkovTaskSet PytestUser SequentialTaskSet TaskSet User between constant constant_pacing constant_throughput events run_single_user tag task transition transitions wait_time __version__",
    "locust.argument_parser": "LocustArgumentParser get_parser parse_options setup_parser_arguments ui_extra_args_dict default_args_dict",
    "locust.clients": "HttpSession LocustResponse ResponseContextManager absolute_http_url_regexp",
    "locust.contrib.fasthttp": "FastHttpSession FastHttpUser FastResponse FastRequest LocustUserAgent ResponseContextManager RestResponseContextManager FAILURE_EXCEPTIONS ErrorResponse LocustBadStatusCode insecure_ssl_context_factory",
    "locust.debug": "run_single_user PrintListener",
    "locust.dispatch": "UsersDispatcher",
    "locust.env": "Environment",
    "locust.event": "EventHook Events",
    "locust.exception": "AuthCredentialsError CatchResponseError InterruptTaskSet LocustError MissingWaitTimeError ResponseError RescheduleTask RescheduleTaskImmediately RPCError RPCReceiveError RPCSendError RunnerAlreadyExistsError StopTest StopUser",
    "locust.html": "get_html_report",
    "locust.input_events": "input_listener",
    "locust.log": "setup_logging greenlet_exception_logger unhandled_greenlet_exception",
    "locust.main": "main create_environment",
    "locust.rpc": "Message rpc_factory" if False else "Message",
    "locust.runners": "Runner LocalRunner MasterRunner WorkerRunner DistributedRunner WorkerNode WorkerNodes STATE_INIT STATE_SPAWNING STATE_RUNNING STATE_CLEANUP STATE_STOPPING STATE_STOPPED STATE_MISSING",
    "locust.shape": "LoadTestShape",
    "locust.stats": "RequestStats StatsEntry StatsError StatsCSV StatsCSVFileWriter CachedResponseTimes calculate_response_time_percentile median_from_dict diff_response_time_dicts print_stats print_percentile_stats print_error_report print_stats_json stats_history stats_printer sort_stats get_readable_percentiles PERCENTILES_TO_REPORT PERCENTILES_TO_CHART PERCENTILES_TO_STATISTICS CSV_STATS_INTERVAL_SEC CSV_STATS_FLUSH_INTERVAL_SEC CONSOLE_STATS_INTERVAL_SEC HISTORY_STATS_INTERVAL_SEC CURRENT_RESPONSE_TIME_PERCENTILE_WINDOW STATS_NAME_WIDTH setup_distributed_stats_event_listeners",
    "locust.user.inspectuser": "get_ratio print_task_ratio print_task_ratio_json",
    "locust.user.markov_taskset": "MarkovTaskSet transition transitions NoMarkovTasksError InvalidTransitionError NonMarkovTaskTagError MarkovTaskTagError",
    "locust.user.users": "User HttpUser UserMeta PytestUser",
    "locust.user.wait_time": "between constant constant_pacing constant_throughput",
    "locust.util.cache": "memoize",
    "locust.util.load_locustfile": "load_locustfile is_user_class is_shape_class",
    "locust.util.rounding": "proper_round",
    "locust.util.timespan": "parse_timespan",
    "locust.web": "WebUI",
}
for module, names in NAMES.items():
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        observing.note(module, "raised", type(error).__name__)
        continue
    observing.note(module, [name for name in names.split() if not hasattr(found, name)])


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 1)
        self.client.get("/")

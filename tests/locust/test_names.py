"""`import locust` imports obswarm's own classes; each test is a process of its own, since imports are for a whole one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_INSTALL = "import obswarm.locust\nobswarm.locust.install()\n"

PUBLIC = {
    "locust": (
        "Events FastHttpUser HttpLocust HttpUser LoadTestShape Locust MarkovTaskSet SequentialTaskSet TaskSet User"
        " between constant constant_pacing constant_throughput events poisson run_single_user tag task transition"
        " transitions __version__"
    ),
    "locust.argument_parser": (
        "DEFAULT_CONFIG_FILES LocustArgumentParser UIExtraArgOptions default_args_dict get_empty_argument_parser"
        " get_parser gt_zero json_user_config parse_locustfile_option parse_locustfile_paths parse_options"
        " positive_integer setup_parser_arguments timespan ui_extra_args_dict"
    ),
    "locust.clients": "HttpSession LocustHttpAdapter ResponseContextManager RestResponseContextManager",
    "locust.contrib.fasthttp": (
        "ErrorResponse FAILURE_EXCEPTIONS FastHttpLocust FastHttpSession FastHttpUser FastRequest FastResponse LocustBadStatusCode"
        " ResponseContextManager RestResponseContextManager insecure_ssl_context_factory"
    ),
    "locust.contrib.dns": "DNSClient DNSUser",
    "locust.contrib.mqtt": "MqttClient MqttUser REQUEST_TYPE",
    "locust.contrib.postgres": "PostgresClient PostgresUser",
    "locust.contrib.socketio": "SocketIOClient SocketIOUser",
    "locust.debug": "run_single_user",
    "locust.dispatch": "UsersDispatcher",
    "locust.env": "Environment",
    "locust.event": "EventHook Events events",
    "locust.exception": (
        "CatchResponseError InterruptTaskSet LocustError MissingWaitTimeError RPCError RPCReceiveError RPCSendError"
        " RescheduleTask RescheduleTaskImmediately ResponseError RunnerAlreadyExistsError StopTest StopUser"
    ),
    "locust.html": "PERCENTILES_FOR_HTML_REPORT get_html_report process_html_filename",
    "locust.input_events": "InitError UnixKeyPoller get_poller input_listener",
    "locust.log": "HOSTNAME LogReader get_logs greenlet_exception_logger setup_logging",
    "locust.main": "create_environment is_shape_class is_user_class load_locustfile main version",
    "locust.opentelemetry": "setup_opentelemetry",
    "locust.rpc": "Message rpc",
    "locust.rpc.protocol": "Message decode encode",
    "locust.rpc.zmqrpc": "Client Server",
    "locust.runners": (
        "DistributedRunner HEARTBEAT_INTERVAL LocalRunner MasterRunner Runner WORKER_REPORT_INTERVAL WorkerNode"
        " WorkerRunner STATE_CLEANUP STATE_INIT STATE_MISSING STATE_RUNNING"
        " STATE_SPAWNING STATE_STOPPED STATE_STOPPING"
    ),
    "locust.shape": "LoadTestShape",
    "locust.stats": (
        "CONSOLE_STATS_INTERVAL_SEC CachedResponseTimes PERCENTILES_TO_REPORT RequestStats RequestStatsAdditionError"
        " StatsEntry calculate_response_time_percentile diff_response_time_dicts"
        " get_error_report_summary get_percentile_stats_summary get_readable_percentiles get_stats_summary"
        " print_error_report print_percentile_stats print_stats print_stats_json save_stats_json sort_stats"
        " stats_printer"
    ),
    "locust.user": "HttpUser TaskSet User tag task",
    "locust.user.inspectuser": "get_ratio print_task_ratio print_task_ratio_json",
    "locust.user.markov_taskset": "MarkovTaskSet transition transitions",
    "locust.user.sequential_taskset": "SequentialTaskSet",
    "locust.user.task": (
        "DefaultTaskSet LOCUST_STATE_RUNNING LOCUST_STATE_STOPPING LOCUST_STATE_WAITING TaskSet filter_tasks_by_tags tag"
        " task"
    ),
    "locust.user.users": "HttpLocust HttpUser RestMixin User",
    "locust.user.wait_time": "between constant constant_pacing constant_throughput poisson",
    "locust.util.cache": "memoize",
    "locust.util.date": "format_duration format_safe_timestamp format_utc_timestamp",
    "locust.util.deprecation": "Locust",
    "locust.util.directory": "get_abspaths_in",
    "locust.util.exception_handler": "retry",
    "locust.util.load_locustfile": "is_shape_class is_user_class load_locustfile",
    "locust.util.rounding": "proper_round",
    "locust.util.timespan": "parse_timespan",
    "locust.util.url": "is_url",
    "locust.web": "AuthArgs AuthProvider InputField WebUI memoize",
}
"""What load-test files import from Locust."""


def run(program: str, folder: Path, **environment: str) -> str:
    """What the program prints; it has to end well."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with a package locust, as if it were installed."""
    package = tmp_path / "installed" / "locust"
    (package / "contrib").mkdir(parents=True)
    (package / "__init__.py").write_text("HttpUser = 'the installed one'\n")
    (package / "contrib" / "__init__.py").write_text("")
    (package / "contrib" / "other.py").write_text("")
    return package.parent


def test_every_name_can_be_imported_and_is_ours(tmp_path: Path, installed: Path) -> None:
    lines = [f"from {module} import {', '.join(names.split())}" for module, names in PUBLIC.items()]
    program = _INSTALL + "\n".join(lines) + "\nimport sys\n"
    program += "print(sorted(n for n, m in sys.modules.items() if n.split('.')[0] == 'locust' and 'obswarm' not in m.__file__))"
    assert run(program, tmp_path, PYTHONPATH=str(installed)) == "[]\n"


def test_a_module_of_locust_and_of_obswarm_is_one_object(tmp_path: Path) -> None:
    program = _INSTALL + (
        "import locust, locust.stats, locust.contrib.fasthttp as fast\n"
        "import obswarm, obswarm.locust.stats, obswarm.locust.contrib.fasthttp as ours\n"
        "assert locust is obswarm.locust and locust.stats is obswarm.locust.stats and fast is ours\n"
        "assert locust.stats.__spec__.name == locust.stats.__name__ == 'obswarm.locust.stats'\n"
        "assert issubclass(locust.HttpUser, obswarm.HttpUser) and locust.HttpUser is locust.user.HttpUser\n"
        "locust.stats.PERCENTILES_TO_REPORT = [0.5]\n"
        "from locust.stats import PERCENTILES_TO_REPORT\n"
        "assert PERCENTILES_TO_REPORT == [0.5]\n"
    )
    run(program, tmp_path)


def test_an_import_of_locust_gives_its_modules(tmp_path: Path) -> None:
    modules = sorted({name.split(".")[1] for name in PUBLIC if "." in name} | {"contrib", "util"})
    run(_INSTALL + f"import locust\nfor name in {modules}:\n    assert getattr(locust, name).__name__\n", tmp_path)


def test_an_import_of_everything(tmp_path: Path) -> None:
    run(_INSTALL + "from locust import *\nassert HttpUser and task and between and events\n", tmp_path)


def test_the_installed_package_comes_back(tmp_path: Path, installed: Path) -> None:
    program = _INSTALL + (
        "import locust\n"
        "obswarm.locust.install()\n"
        "assert locust is obswarm.locust\n"
        "obswarm.locust.uninstall()\n"
        "import locust\n"
        "assert locust.HttpUser == 'the installed one'\n"
        "obswarm.locust.install()\n"
        "import locust.stats\n"
        "assert locust is obswarm.locust\n"
        "try:\n"
        "    import locust.contrib.other\n"
        "except ModuleNotFoundError as error:\n"
        "    assert error.name == 'locust.contrib.other'\n"
        "else:\n"
        "    raise AssertionError('a module of the installed package')\n"
    )
    run(program, tmp_path, PYTHONPATH=str(installed))


def test_a_program_that_is_no_command_of_ours(tmp_path: Path) -> None:
    """`python locustfile.py` with run_single_user, once the first line has installed the names."""
    program = _INSTALL + (
        "from locust import User, run_single_user, task\n"
        "from locust.exception import StopUser\n"
        "class One(User):\n"
        "    @task\n"
        "    def once(self):\n"
        "        print('ran')\n"
        "        raise StopUser\n"
        "import sys\n"
        "sys.argv = ['locustfile.py']\n"
        "run_single_user(One)\n"
    )
    assert run(program, tmp_path).splitlines()[-1] == "ran"

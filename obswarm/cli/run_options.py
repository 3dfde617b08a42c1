"""The options that every command which runs a load test has."""

from collections.abc import Callable
from typing import Any

from obswarm.cli.arrival_options import arrival_options
from obswarm.cli.export_options import export_options
from obswarm.cli.file_option import SecretOption
from obswarm.cli.option_types import (
    NAMES,
    UserConfig,
    duration,
    duration_or_zero,
    listening_address,
    stages,
    target_host,
)
from obswarm.cli.options import Command, option, run_option, with_options
from obswarm.cli.result_options import file_options
from obswarm.cli.web_options import access_to_page_options

store_option = run_option("--store", metavar="FOLDER", help="Folder in which runs are stored.")

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    run_option(
        "-f",
        "--loadtest",
        "--locustfile",
        "files",
        cls=SecretOption,
        metavar="FILE",
        help="Load-test file; repeatable, or separated by commas. A folder stands for the Python files in it; an http"
        " or https URL is downloaded.",
    ),
    run_option(
        "--user-classes",
        type=NAMES,
        metavar="USER",
        help="User classes to use if there is no argument USER; repeatable.",
    ),
    run_option(
        "--config-users",
        type=UserConfig(),
        metavar="JSON|FILE",
        help="Attributes to set on user classes, as a JSON object with user_class_name, or a file with such objects;"
        " repeatable.",
    ),
    run_option("--equal-weights", help="Give all user classes, and all tasks of each, the same weight."),
    run_option(
        "-H",
        "--host",
        type=target_host,
        metavar="URL",
        help="Base URL of the target, e.g. https://www.example.com, or for protocols other than HTTP the address that"
        " the user class expects; overrides `host` of the user classes.",
    ),
    run_option("-u", "--users", help="Number of concurrent users."),
    run_option(
        "-r",
        "--spawn-rate",
        metavar="FLOAT",
        help="Users to start per second.",
    ),
    run_option(
        "-t",
        "--run-time",
        type=duration,
        metavar="DURATION",
        help="Stop the run after this time, e.g. 90s, 20m or 1h30m.",
    ),
    run_option(
        "--stages",
        type=stages,
        metavar="STAGES",
        help="Number of users over time, as DURATION:USERS,…: 30s:100,2m:500,30s:0 ramps to 100 users in 30s, to 500 in"
        " the next 2m, and to 0 in the last 30s. Replaces --users and --spawn-rate.",
    ),
    *arrival_options,
    run_option("--headless", "--print-stats", help="Print plain lines instead of the live display, and serve no page."),
    run_option(
        "-T",
        "--tags",
        metavar="TAG",
        help="Run only tasks with at least one of these tags; repeatable, or separated by commas or blanks.",
    ),
    run_option(
        "-E",
        "--exclude-tags",
        metavar="TAG",
        help="Do not run tasks with any of these tags; repeatable, or separated by commas or blanks.",
    ),
    run_option(
        "-s",
        "--stop-timeout",
        type=duration_or_zero,
        metavar="DURATION",
        help="How long running tasks may take to finish when the run stops.",
    ),
    run_option("--reset-stats", help="Reset the statistics when all users have been started."),
    run_option(
        "--no-locust-compat",
        help="Import the installed package locust where a load-test file imports it, instead of obswarm's own classes.",
    ),
    run_option(
        "--max-endpoints",
        help="Maximum number of endpoints with separate statistics; requests to further ones are counted as (other).",
    ),
    run_option(
        "--timings",
        help="Measure percentiles, besides means, of connect, TLS handshake, time to first byte and download.",
    ),
    run_option(
        "-P", "--web-port", help="Port of the HTTP server for the page, /metrics and alerts; 0 selects a free port."
    ),
    run_option(
        "--metrics-addr",
        "--web-host",
        type=listening_address,
        metavar="ADDRESS",
        help="Address of the HTTP server for the page, /metrics and alerts to listen on.",
    ),
    run_option(
        "--allowed-host",
        "allowed_hosts",
        metavar="NAME",
        help="Further host name under which clients may reach the HTTP server; repeatable.",
    ),
    *access_to_page_options,
    *export_options,
    *file_options,
    run_option("--only-summary", help="Print no progress, only the summary at the end."),
    run_option("-L", "--loglevel", help="Minimum level of log messages."),
    run_option("--logfile", metavar="FILE", help="Log to a file instead of standard error."),
    run_option(
        "--skip-log-setup",
        "--skip-log",
        help="Do not set up logging: the load test does, or Python's defaults apply.",
    ),
    run_option("--exit-code-on-error", help="Exit code if a request failed or a task raised an exception."),
    run_option("--strict", help="Exit with code 4 if the load generator was the bottleneck."),
)


def run_options(command: Command) -> Command:
    """Add these options, in the order in which --help shows them."""
    return with_options(command, _OPTIONS)


def store_options(command: Command) -> Command:
    """Add the options about storing a run."""
    command = run_option("--profile", metavar="TAG", help="Tag of the stored run.")(command)
    command = run_option("--no-report", help="Do not write an HTML report of the run to the store.")(command)
    command = run_option("--no-store", help="Do not store the run, and write no report of it.")(command)
    return store_option(command)


balance_option = run_option(
    "--balance",
    help="Distribution of users over workers: by the measured capacity of each worker, or equally.",
)


def listing_options(command: Command) -> Command:
    """Add the options that show a part of the load test instead of running it."""
    for names, text in (
        (("--show-task-ratio",), "Show how often each task will run, and exit."),
        (("--show-task-ratio-json",), "Show how often each task will run as JSON, and exit."),
        (("-l", "--list", "list_users"), "List the user classes and exit."),
    ):
        command = option(*names, shared=True, in_file=False, is_flag=True, help=text)(command)
    return command

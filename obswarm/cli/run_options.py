"""The options that every command which runs a load test has."""

from collections.abc import Callable
from typing import Any

from obswarm.cli.access import access_options
from obswarm.cli.option_types import duration, duration_or_zero, rate, share, stages, target_host
from obswarm.cli.options import Command, option, run_option, with_options

store_option = run_option("--store", metavar="FOLDER", help="Folder in which runs are stored.")

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    run_option(
        "-f",
        "--loadtest",
        "--locustfile",
        "files",
        metavar="FILE",
        help="Load-test file; several with commas or by repeating.",
    ),
    run_option(
        "-H",
        "--host",
        type=target_host,
        metavar="URL",
        help="Base URL of the target, like https://www.example.com; for users of other protocols, their address of it.",
    ),
    run_option("-u", "--users", help="Number of users."),
    run_option(
        "-r",
        "--spawn-rate",
        type=rate,
        metavar="FLOAT",
        help="Users started per second.",
    ),
    run_option(
        "-t",
        "--run-time",
        type=duration,
        metavar="DURATION",
        help="Stop after this time: 90s, 20m, 1h30m.",
    ),
    run_option(
        "--stages",
        type=stages,
        metavar="STAGES",
        help="Load over time as DURATION:USERS,…: 30s:100,2m:500,30s:0.",
    ),
    run_option("--headless", help="Plain lines instead of the live display."),
    run_option("-T", "--tags", metavar="TAG", help="Run only tasks with one of these tags; commas or repeat."),
    run_option("-E", "--exclude-tags", metavar="TAG", help="Leave out tasks with one of these tags."),
    run_option(
        "-s",
        "--stop-timeout",
        type=duration_or_zero,
        metavar="DURATION",
        help="How long running tasks may take to finish when the run stops.",
    ),
    run_option("--reset-stats", help="Reset the statistics when all users have been started."),
    run_option("--max-endpoints", help="Endpoints with statistics of their own; further ones count as (other)."),
    run_option("--timings", help="Percentiles of connecting, TLS, first byte and download as well as means."),
    run_option("--web-port", help="Port of /metrics; 0 takes any."),
    run_option("--metrics-addr", metavar="ADDRESS", help="Address on which /metrics is served."),
    run_option(
        "--allowed-host",
        "allowed_hosts",
        metavar="NAME",
        help="Host name under which clients may reach the server of /metrics; repeat it.",
    ),
    run_option("--label", "labels", metavar="NAME=VALUE", help="Label for all exported series; repeat it."),
    run_option(
        "--trace-sample", metavar="SHARE", type=share, help="Share of requests that carry a W3C trace id, like 1%."
    ),
    run_option("--remote-write", metavar="URL", help="Push the metrics to a Prometheus remote-write receiver."),
    *access_options("remote-write", "the remote-write receiver"),
    run_option(
        "--remote-write-instance",
        metavar="NAME",
        help="Label `instance` of the pushed series; two runs at a time need two.",
    ),
    run_option("--remote-write-interval", type=duration, metavar="DURATION", help="Time between two pushes."),
    run_option(
        "--linger",
        type=duration_or_zero,
        metavar="DURATION",
        help="How long to wait after the run for a final scrape or push.",
    ),
    run_option("--csv", metavar="PREFIX", help="Write Locust's CSV files, with this prefix."),
    run_option("--csv-full-history", help="With --csv: write the history of every endpoint, not only of the total."),
    run_option("--json", "json_file", metavar="FILE|-", help="Write the result as JSON; - is standard output."),
    run_option(
        "--output",
        metavar="NAME[=ARGUMENT]",
        help="Write to an output that an installed package adds; repeat it for several.",
    ),
    run_option("--only-summary", help="Print nothing until the end."),
    run_option("-L", "--loglevel", help="Least severe level that is logged."),
    run_option("--logfile", metavar="FILE", help="Log to a file instead of standard error."),
    run_option("--exit-code-on-error", help="Exit code when a request failed or a task raised."),
    run_option("--strict", help="Exit with code 4 when the load generator was the bottleneck."),
)


def run_options(command: Command) -> Command:
    """Adds them, in the order in which --help shows them."""
    return with_options(command, _OPTIONS)


def store_options(command: Command) -> Command:
    """Adds those that say where a run is kept."""
    command = run_option("--no-report", help="Write no HTML report of the run.")(command)
    command = run_option("--no-store", help="Do not keep the run; there is no report then, either.")(command)
    return store_option(command)


balance_option = run_option(
    "--balance",
    help="How users are spread: by the speed that each worker measured, or equally.",
)


def listing_options(command: Command) -> Command:
    """Adds those that show something of the load test instead of running it."""
    for names, text in (
        (("--show-task-ratio",), "Show how often each task will run, and exit."),
        (("-l", "--list", "list_users"), "List the user classes and exit."),
    ):
        command = option(*names, shared=True, in_file=False, is_flag=True, help=text)(command)
    return command

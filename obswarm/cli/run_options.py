"""The options that every command which runs a load test has."""

from collections.abc import Callable
from typing import Any

import click

from obswarm import defaults
from obswarm.cli import exit_codes
from obswarm.cli.access import access_options
from obswarm.cli.options import (
    MOST_USERS,
    Command,
    duration,
    duration_or_zero,
    rate,
    share,
    stages,
    target_host,
)
from obswarm.cli.options import shared_option as option
from obswarm.web import PORT

REMOTE_WRITE = "remote-write"
"""What the options of remote write begin with."""

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    option(
        "-f",
        "--loadtest",
        "--locustfile",
        "files",
        multiple=True,
        metavar="FILE",
        help="Load-test file; several with commas or by repeating.  [default: loadtest.py or locustfile.py here]",
    ),
    option(
        "-H",
        "--host",
        type=target_host,
        metavar="URL",
        help="Base URL of the target, like https://www.example.com; for users that are not HTTP users, what they take.",
    ),
    option("-u", "--users", type=click.IntRange(1, MOST_USERS), help=f"Number of users.  [default: {defaults.USERS}]"),
    option(
        "-r",
        "--spawn-rate",
        type=rate,
        metavar="FLOAT",
        help=f"Users started per second.  [default: {defaults.SPAWN_RATE:g}]",
    ),
    option(
        "-t",
        "--run-time",
        type=duration,
        metavar="DURATION",
        help="Stop after that long: 90s, 20m, 1h30m.  [default: run until stopped]",
    ),
    option(
        "--stages",
        type=stages,
        metavar="STAGES",
        excludes=("users", "spawn_rate"),
        help="Load over time as DURATION:USERS,…: 30s:100,2m:500,30s:0.",
    ),
    option("--headless", is_flag=True, help="Plain lines instead of the live display."),
    option("-T", "--tags", multiple=True, metavar="TAG", help="Only tasks with one of these tags; commas or repeat."),
    option("-E", "--exclude-tags", multiple=True, metavar="TAG", help="Leave out tasks with one of these tags."),
    option(
        "-s",
        "--stop-timeout",
        type=duration_or_zero,
        metavar="DURATION",
        default=f"{defaults.STOP_TIMEOUT_S:g}s",
        show_default=True,
        help="How long running tasks may take to finish when the run stops.",
    ),
    option("--reset-stats", is_flag=True, help="Forget what was measured before all users were there."),
    option(
        "--max-endpoints",
        type=click.IntRange(2, 100_000),
        default=defaults.MAX_ENDPOINTS,
        show_default=True,
        help="Endpoints kept apart in the statistics; further ones count as (other).",
    ),
    option("--timings", is_flag=True, help="Percentiles of connecting, TLS, first byte and download as well as means."),
    option(
        "--web-port",
        type=click.IntRange(0, 65535),
        help=f"Port of /metrics; 0 takes any.  [default: {PORT} or the next free]",
    ),
    option("--metrics-addr", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where /metrics listens."),
    option(
        "--allowed-host",
        "allowed_hosts",
        multiple=True,
        metavar="NAME",
        help="A name with dots by which clients call that server; repeat it.",
    ),
    option(
        "--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label for all exported series; repeat it."
    ),
    option("--trace-sample", metavar="SHARE", type=share, help="Share of requests that carry a W3C trace id, like 1%."),
    option("--remote-write", metavar="URL", help="Push the metrics to a Prometheus remote-write receiver."),
    *access_options(REMOTE_WRITE, "--remote-write"),
    option(
        "--remote-write-instance",
        metavar="NAME",
        help="Label `instance` of the pushed series; two runs at a time need two.  [default: host and run id]",
    ),
    option(
        "--remote-write-interval",
        type=duration,
        default=f"{defaults.REMOTE_WRITE_INTERVAL_S:g}s",
        show_default=True,
        metavar="DURATION",
        help="How often to push.",
    ),
    option(
        "--linger",
        type=duration_or_zero,
        default=f"{defaults.LINGER_S:g}s",
        show_default=True,
        metavar="DURATION",
        help="How long to wait at the end for a last scrape or push, if somebody scrapes or is pushed to.",
    ),
    option("--csv", metavar="PREFIX", help="Write Locust's CSV files, with this prefix."),
    option("--csv-full-history", is_flag=True, help="With --csv: the history of every endpoint, not the total alone."),
    option("--json", "json_file", metavar="FILE|-", help="Write the result as JSON; - is standard output."),
    option("--only-summary", is_flag=True, help="Print nothing until the end."),
    option("-l", "--list", "list_users", is_flag=True, in_file=False, help="List the user classes and exit."),
    option("--show-task-ratio", is_flag=True, in_file=False, help="Show how often each task will run, and exit."),
    option(
        "-L",
        "--loglevel",
        type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], case_sensitive=False),
        default="INFO",
        show_default=True,
        help="How much is logged.",
    ),
    option("--logfile", metavar="FILE", help="Log to a file instead of standard error."),
    option(
        "--exit-code-on-error",
        type=click.IntRange(0, 255),
        default=exit_codes.FAILURES,
        show_default=True,
        help="Exit code when a request failed or a task raised.",
    ),
    option("--strict", is_flag=True, help="Exit with 4 when the load generator was the bottleneck."),
)


def run_options(command: Command) -> Command:
    """Adds them, in the order in which --help shows them."""
    for each in reversed(_OPTIONS):
        command = each(command)
    return command

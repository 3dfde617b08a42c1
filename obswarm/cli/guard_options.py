"""The options of guards, requirements, targets and alerts."""

from collections.abc import Callable
from typing import Any

import click

from obswarm.api import ObswarmError
from obswarm.cli.access import access_options
from obswarm.cli.option_types import Line, duration, duration_or_zero, http_url
from obswarm.cli.options import Command, config_option, run_option, with_options
from obswarm.guards import parse_action


def _action(text: str) -> str:
    try:
        return str(parse_action(text))
    except ObswarmError as error:
        raise click.BadParameter(str(error)) from None


source_options: tuple[Callable[[Any], Any], ...] = (
    config_option,
    run_option(
        "--prometheus-url",
        type=http_url,
        metavar="URL",
        help="Prometheus that scrapes the target; it evaluates the PromQL of guards.",
    ),
    *access_options("prometheus", "the Prometheus of --prometheus-url"),
    run_option(
        "--target",
        "targets",
        metavar="KIND=URL",
        help="Metrics endpoint to read during the run, like mysql=http://db:9104/metrics; repeat it.",
    ),
)

_GUARD = "[NAME:]CONDITION"
_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    run_option(
        "--stop-when",
        type=Line(),
        metavar=_GUARD,
        help="Stop the run gracefully when CONDITION holds, like 'error_ratio > 5% for 10s' or 'slow: p95 > 2s';"
        " repeat it.",
    ),
    run_option("--abort-when", type=Line(), metavar=_GUARD, help="Stop the run at once when CONDITION holds."),
    run_option(
        "--hold-when", type=Line(), metavar=_GUARD, help="Keep the number of users as it is while CONDITION holds."
    ),
    run_option(
        "--notify-when",
        type=Line(),
        metavar=_GUARD,
        help="Log a warning when CONDITION holds, and record it with the run.",
    ),
    run_option(
        "--guard",
        "guards",
        type=Line(),
        metavar="ACTION:[NAME:]CONDITION",
        help="Do ACTION when CONDITION holds: stop, abort, hold, scale(SHARE) or notify, like 'scale(50%): p95 > 2s'.",
    ),
    run_option(
        "--require",
        "requirements",
        type=Line(),
        metavar="CONDITION",
        help="Requirement for the whole run, like 'p95 < 500ms'; exit code 5 if it is not met. Repeat it.",
    ),
    run_option("--junit", metavar="FILE", help="Write the results of requirements and guards as JUnit XML."),
    run_option(
        "--alerts-token",
        metavar="TOKEN",
        help="Bearer token for senders of alerts, POST /api/v1/alerts.",
    ),
    run_option(
        "--on-alert",
        type=_action,
        metavar="ACTION",
        help="Action of alerts without the label obswarm_action.",
    ),
    run_option(
        "--alerts-grace",
        type=duration_or_zero,
        metavar="DURATION",
        help="An alert without a run id that fires within this time after the start may concern the time before; it"
        " acts after this time, if it still fires.",
    ),
    run_option(
        "--earlier-alerts",
        help="What to do about alerts that already fire before the start: note them, or wait with the start until they"
        " are resolved.",
    ),
    run_option(
        "--earlier-alerts-max-wait",
        type=duration,
        metavar="DURATION",
        help="Longest wait for --earlier-alerts wait; then the run is not started, and the exit code is 3.",
    ),
    run_option("--grafana-url", type=http_url, metavar="URL", help="Grafana to which annotations of the run are sent."),
    run_option("--grafana-token", metavar="TOKEN", help="Token of a service account of that Grafana."),
    *source_options,
)


def guard_options(command: Command) -> Command:
    """Adds them."""
    return with_options(command, _OPTIONS)

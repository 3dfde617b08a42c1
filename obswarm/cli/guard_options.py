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
        help="URL of a Prometheus that scrapes the target; PromQL of guards is evaluated there.",
    ),
    *access_options("prometheus", "the Prometheus of --prometheus-url"),
    run_option(
        "--target",
        "targets",
        metavar="KIND=URL",
        help="Metrics endpoint of the target to scrape, e.g. mysql=http://db:9104/metrics; repeatable.",
    ),
)

_GUARD = "[NAME:]CONDITION"
_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    run_option(
        "--stop-when",
        type=Line(),
        metavar=_GUARD,
        help="Stop the run gracefully when CONDITION holds, e.g. 'error_ratio > 5% for 10s' or 'slow: p95 > 2s';"
        " repeatable, as the next four options.",
    ),
    run_option(
        "--abort-when",
        type=Line(),
        metavar=_GUARD,
        help="Stop the run when CONDITION holds, without waiting for running tasks.",
    ),
    run_option(
        "--hold-when", type=Line(), metavar=_GUARD, help="Keep the number of users constant while CONDITION holds."
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
        help="Perform ACTION when CONDITION holds: stop, abort, hold, scale(SHARE) or notify, e.g. 'scale(50%): p95 >"
        " 2s'.",
    ),
    run_option(
        "--require",
        "requirements",
        type=Line(),
        metavar="CONDITION",
        help="Requirement for the whole run, e.g. 'p95 < 500ms'; exit code 5 if it is not met; repeatable.",
    ),
    run_option("--junit", metavar="FILE", help="Write the results of requirements and guards as JUnit XML."),
    run_option(
        "--alerts-token",
        metavar="TOKEN",
        help="Bearer token that senders of alerts (POST /api/v1/alerts) have to use.",
    ),
    run_option(
        "--on-alert",
        type=_action,
        metavar="ACTION",
        help="Action for alerts without the label obswarm_action: stop, abort, hold, scale(SHARE) or notify.",
    ),
    run_option(
        "--alerts-grace",
        type=duration_or_zero,
        metavar="DURATION",
        help="Time after the start in which alerts without the label run_id have no effect, as they may concern the"
        " time before the run; those that still fire after it take effect then.",
    ),
    run_option(
        "--earlier-alerts",
        help="What to do if alerts already fire before the start: record them and start (note), or delay the start"
        " until they are resolved (wait).",
    ),
    run_option(
        "--earlier-alerts-max-wait",
        type=duration,
        metavar="DURATION",
        help="Maximum delay of the start with --earlier-alerts wait; after it, the run is not started, and the exit"
        " code is 3.",
    ),
    run_option(
        "--grafana-url", type=http_url, metavar="URL", help="URL of a Grafana to send the run's annotations to."
    ),
    run_option("--grafana-token", metavar="TOKEN", help="Service account token for the Grafana of --grafana-url."),
    *source_options,
)


def guard_options(command: Command) -> Command:
    """Add these options."""
    return with_options(command, _OPTIONS)

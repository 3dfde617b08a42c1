"""The options about the export of metrics and traces."""

from collections.abc import Callable
from typing import Any

from obswarm.cli.access import access_options
from obswarm.cli.option_types import duration, duration_or_zero, share
from obswarm.cli.options import run_option

export_options: tuple[Callable[[Any], Any], ...] = (
    run_option(
        "--label", "labels", metavar="NAME=VALUE", help="Label for all exported metrics, e.g. env=staging; repeatable."
    ),
    run_option(
        "--trace-sample",
        metavar="SHARE",
        type=share,
        help="Share of requests that are sent with a W3C trace context, e.g. 1%.",
    ),
    run_option(
        "--otlp",
        "--otel",
        help="Send metrics, and spans of traced requests, to an OpenTelemetry collector; OTEL_* variables apply.",
    ),
    run_option("--remote-write", metavar="URL", help="Push the metrics to a Prometheus remote-write receiver."),
    *access_options("remote-write", "the remote-write receiver"),
    run_option(
        "--remote-write-instance",
        metavar="NAME",
        help="Label `instance` of the pushed series; has to be unique among concurrent runs.",
    ),
    run_option("--remote-write-interval", type=duration, metavar="DURATION", help="Time between two pushes."),
    run_option(
        "--linger",
        type=duration_or_zero,
        metavar="DURATION",
        help="How long to wait after the run for a final scrape or push.",
    ),
)

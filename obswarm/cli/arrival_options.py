"""The options for iterations: the rate of the open model, and their number."""

from collections.abc import Callable
from typing import Any

import click

from obswarm.api import (
    format_iterations,
    format_rate_stages,
    parse_arrival_rate,
    parse_iterations,
    parse_rate_query,
)
from obswarm.cli.options import run_option


def arrival_rate(text: str) -> str:
    """Parse a rate of iterations such as 200/s, stages of one, or the name of a CSV file with a curve; returns it as a
    rate or stages. A curve of a Prometheus stays as it is, until the run is built."""
    try:
        if parse_rate_query(text) is not None:
            return text.strip()
        return format_rate_stages(parse_arrival_rate(text))
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


def iterations(text: str) -> str:
    """Parse a number of iterations, or numbers by user class; returns it in its usual form."""
    try:
        return format_iterations(parse_iterations(text))
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


arrival_options: tuple[Callable[[Any], Any], ...] = (
    run_option(
        "--arrival-rate",
        type=arrival_rate,
        metavar="RATE",
        help="Iterations to start per unit of time, however slow the target is, e.g. 200/s; or stages of it as"
        " DURATION:RATE,…: 30s:50/s,2m:400/s,1m:0/s; or a CSV file of seconds and rates,"
        " with a factor if wanted: day.csv*2; or the result of a query over a time range, of --prometheus-url:"
        " promql(sum(rate(http_requests_total[1m]))[2h:15s] offset 1d)*2. Replaces --users, --spawn-rate and --stages.",
    ),
    run_option(
        "--arrivals",
        help="Distances between the starts of iterations: equal (constant), or independent of each other (poisson).",
    ),
    run_option(
        "--arrivals-seed",
        help="Seed of --arrivals poisson; makes the starts the same in every run with as many worker"
        " processes, which have equal parts of the rate then.",
    ),
    run_option(
        "--max-users",
        help="Maximum number of users for --arrival-rate; an iteration is dropped, and counted, when all are busy.",
    ),
    run_option(
        "--iterations",
        "-i",
        type=iterations,
        metavar="N",
        help="Number of iterations of all users together, over the whole fleet; the run ends when they have ended."
        " Or one for each user class: Shopper=100,Browser=50.",
    ),
)

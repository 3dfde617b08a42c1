"""Types of options, with errors that say what to write instead; every option can come from OBSWARM_* as well."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

from obswarm.api import Stage, parse_stages
from obswarm.http import check_host
from obswarm.http.tracing import parse_share
from obswarm.units import parse_duration

Command = TypeVar("Command", bound=Callable[..., Any])

MOST_USERS = 1_000_000
HIGHEST_RATE = 100_000.0
LONGEST_RUN_S = 30 * 86400.0


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """click.option with an environment variable named after the long option: --spawn-rate is OBSWARM_SPAWN_RATE."""
    long = next(name for name in names if name.startswith("--"))
    settings.setdefault("envvar", "OBSWARM_" + long.lstrip("-").split("/")[0].replace("-", "_").upper())
    settings.setdefault("show_envvar", False)
    return click.option(*names, **settings)


def duration_or_zero(text: str) -> float:
    """Seconds in a duration such as 90s, 20m or 1h30m."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None
    if seconds > LONGEST_RUN_S:
        raise click.BadParameter(f"{text!r} is longer than 30 days.")
    return seconds


def duration(text: str) -> float:
    """As duration_or_zero, and above 0."""
    seconds = duration_or_zero(text)
    if seconds == 0:
        raise click.BadParameter("it has to be longer than 0 s.")
    return seconds


def rate(text: str) -> float:
    """Users per second, above 0."""
    try:
        number = float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a number.") from None
    if not math.isfinite(number) or not 0 < number <= HIGHEST_RATE:
        raise click.BadParameter(f"{text} users per second; it has to be above 0 and at most {HIGHEST_RATE:,.0f}.")
    return number


def share(text: str) -> float:
    """A share written like 1% or 0.01."""
    try:
        return parse_share(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


def stages(text: str) -> tuple[Stage, ...]:
    """Stages written like 30s:100,2m:500,30s:0."""
    try:
        parsed = parse_stages(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None
    if max(stage.users for stage in parsed) > MOST_USERS:
        raise click.BadParameter(f"more than {MOST_USERS:,} users.")
    if sum(stage.duration_s for stage in parsed) > LONGEST_RUN_S:
        raise click.BadParameter("longer than 30 days altogether.")
    return parsed


def base_url(text: str) -> str:
    """A base URL with scheme and host, without a trailing slash."""
    try:
        return check_host(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


def split_names(values: tuple[str, ...]) -> list[str]:
    """Names given by repeating an option, by commas, or by both."""
    return [name for value in values for name in value.replace(",", " ").split()]

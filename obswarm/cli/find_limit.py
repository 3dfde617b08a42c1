"""`obswarm find-limit`: the highest load that meets requirements."""

import sys
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from obswarm.analysis.explain import explain, headline, sections
from obswarm.api import parse_rate
from obswarm.app import exit_codes
from obswarm.app.build import build_run, planned
from obswarm.app.limit_settings import LimitSettings
from obswarm.app.masters import find_master
from obswarm.app.recording import open_store
from obswarm.cli.limit_table import print_limit
from obswarm.cli.option_types import duration as parse_duration
from obswarm.cli.run import all_run_options, config_of, of_master
from obswarm.cli.run_command import arguments_argument, load_test_command
from obswarm.cli.terminal import TerminalDisplay
from obswarm.cli.text_console import TextConsole, plain, stdout_console
from obswarm.config import MOST_USERS, RunConfig
from obswarm.engine import RunResult
from obswarm.errors import ObswarmError
from obswarm.store import read_run
from obswarm.streams import STANDARD_OUTPUT

_OF_THE_SEARCH = ("users", "stages", "arrival_rate", "iterations")
_MOST = 10_000.0
"""Default of --up-to: users, or iterations per second."""


class _Load(NamedTuple):
    value: float
    is_rate: bool


def _load(text: str) -> _Load:
    """Parse a number of users, or a rate of iterations such as 200/s."""
    try:
        if "/" in text:
            rate = parse_rate(text)
            if not rate:
                raise ValueError(f"{text.strip()!r} is no load; the rate has to be above 0")
            return _Load(rate, True)
        users = int(text)
    except ValueError as error:
        reason = str(error) if "/" in text else f"{text!r} is neither a number of users nor a rate like 200/s"
        raise click.BadParameter(f"{reason}.") from None
    if not 1 <= users <= MOST_USERS:
        raise click.BadParameter(f"the number of users has to be from 1 to {MOST_USERS:,}.")
    return _Load(float(users), False)


@load_test_command()
@arguments_argument
@click.option(
    "--from",
    "start",
    type=_load,
    metavar="USERS|RATE",
    default="10",
    show_default=True,
    envvar="OBSWARM_FIND_LIMIT_FROM",
    help="Load to begin with: a number of users, or a rate of iterations such as 20/s; it is doubled until a"
    " requirement is not met.",
)
@click.option(
    "--up-to",
    "most",
    type=_load,
    metavar="USERS|RATE",
    envvar="OBSWARM_FIND_LIMIT_UP_TO",
    help="Maximum load to try.  [default: 10,000 users, or 10,000/s]",
)
@click.option(
    "--settle",
    type=parse_duration,
    metavar="DURATION",
    default="5s",
    show_default=True,
    envvar="OBSWARM_FIND_LIMIT_SETTLE",
    help="Time after each change of the load that is not measured.",
)
@click.option(
    "--measure",
    type=parse_duration,
    metavar="DURATION",
    default="20s",
    show_default=True,
    envvar="OBSWARM_FIND_LIMIT_MEASURE",
    help="Time for which each load is measured; up to three times as long if that is not sufficient to decide.",
)
@click.option(
    "--precision",
    type=click.FloatRange(0.1, 50),
    metavar="PERCENT",
    default=5,
    show_default=True,
    envvar="OBSWARM_FIND_LIMIT_PRECISION",
    help="Width of the interval in which the limit lies, in percent of the limit.",
)
@all_run_options
@click.pass_context
def find_limit(
    ctx: click.Context,
    /,
    start: _Load,
    most: _Load | None,
    settle: float,
    measure: float,
    precision: float,
    **_: Any,
) -> None:
    """Find the highest load that meets the requirements.

    The load, a number of users or a rate of iterations, is doubled until one of the --require conditions is not met,
    then bisected. Each load is measured after a settling time, and decided by statistics. FILE, USER and the other
    options are those of `obswarm run`; --master or a running stack executes the run as it does there.

    Exit codes: 0 the limit was found, 2 invalid options or load test, 4 not found: the run was stopped, or the load
    generator was the bottleneck, 5 the first loads do not meet the requirements either, 130 interrupted.
    """
    config = config_of(ctx)
    settings = _settings(ctx, config, start, most, (settle, measure, precision))
    master, config = of_master(config, find_master(config))
    if master is not None:
        from obswarm.app.client import run_remotely

        result, _code = run_remotely(config, master, TerminalDisplay, settings)
    else:
        config, plan, finder = planned(config, settings)
        result, _code = build_run(config, plan, TerminalDisplay, finder=finder).execute()
    wanted = config.outputs
    is_taken = STANDARD_OUTPUT in (wanted.json_file, wanted.stats_json)
    console = stdout_console(sys.stderr if is_taken else sys.stdout)
    code = print_limit(console, result, settings.is_rate)
    if code == exit_codes.OK and not config.store.no_store:
        _print_explanation(console, config, result)
    ctx.exit(code)


def _settings(
    ctx: click.Context, config: RunConfig, start: _Load, most: _Load | None, times: tuple[float, float, float]
) -> LimitSettings:
    for name in _OF_THE_SEARCH:
        if config.is_given(name):
            raise ObswarmError(f"{config.label(name)}: find-limit chooses the load; give --from and --up-to.")
    is_rate = start.is_rate
    if most is not None and most.is_rate != is_rate:
        if ctx.get_parameter_source("start") is not ParameterSource.DEFAULT:
            raise click.BadParameter(
                "give both as numbers of users, or both as rates.", ctx, param_hint="--from, --up-to"
            )
        # Only --up-to is given, as a rate.
        is_rate, start = True, _Load(min(start.value, most.value), True)
    highest = _MOST if most is None else most.value
    settings = LimitSettings(
        start=start.value,
        most=max(highest, start.value) if most is None else highest,
        is_rate=is_rate,
        # The default is more than many machines could have, and than most targets can bear.
        most_users=0 if most is None or is_rate else int(highest),
        precision=times[2] / 100,
        settle_s=times[0],
        measure_s=times[1],
        requirements=(*config.guards.requirements, *config.file.texts.get("require", ())),
    )
    if settings.start > settings.most:
        texts = [settings.text_of(load) for load in (settings.start, settings.most)]
        raise click.BadParameter(f"--from {texts[0]} is more than --up-to {texts[1]}.", ctx, param_hint="--from")
    return settings


def _print_explanation(console: TextConsole, config: RunConfig, result: RunResult) -> None:
    """Print what saturated first in the run, whose highest load was beyond the limit."""
    with open_store(config.store.store) as store:
        found = explain(read_run(store, store.find(result.run_id)))
    console.print(plain(headline(found), "bold"))
    for heading, sentences in sections(found):
        console.print(plain(heading, "bold"))
        for sentence in sentences:
            console.print(plain(f"  {sentence}"))

"""From a command's arguments to what is to be run: load-test files, user classes, environment, load over time."""

import argparse
import difflib
import logging
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from obswarm import defaults
from obswarm.api import (
    Environment,
    LoadTestShape,
    ObswarmError,
    OptionValues,
    Stage,
    Stages,
    User,
    events,
    format_stages,
    make_parser,
    parse_custom,
    user_traceback,
)
from obswarm.cli.file_option import TopLevelCommand, forget_given, label_of
from obswarm.cli.missing_host import check_that_hosts_are_known
from obswarm.cli.options import split_names
from obswarm.cli.session import OutputOptions
from obswarm.cli.streams import STANDARD_OUTPUT, results_apart, say
from obswarm.cli.task_ratio import print_task_ratio
from obswarm.cluster import OpenedFiles
from obswarm.command_line import hide_secrets
from obswarm.engine import (
    LoadSchedule,
    LoadTest,
    Ramp,
    ShapeSchedule,
    StagesSchedule,
    check_file,
    find_loadtest,
    load,
    select,
)
from obswarm.http.tracing import TraceSampler
from obswarm.sanitize import escape_lines
from obswarm.stats import Recorder

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Planned:
    """A load test with everything that the command line said about it. `opened` are the files that it read while it was
    imported."""

    loadtest: LoadTest
    files: tuple[Path, ...]
    opened: tuple[str, ...]
    environment: Environment
    schedule: LoadSchedule
    limit_s: float | None
    custom: OptionValues
    """The load-test file's own options."""


class LoadTestCommand(TopLevelCommand):
    """Lists the load-test file's own options below ours when --help comes with a file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        left = super().parse_args(ctx, args)
        named = any(text.endswith(".py") and not text.startswith("-") for text in ctx.params["arguments"])
        if named and ctx.get_parameter_source("files") is not ParameterSource.COMMANDLINE:
            # A file on the command line is nearer than one of environment or settings.
            forget_given(ctx, "files")
        return left

    def invoke(self, ctx: click.Context) -> Any:
        with results_apart() if ctx.params.get("json_file") == STANDARD_OUTPUT else nullcontext():
            return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        arguments = [argument for argument in sys.argv[1:] if argument.endswith(".py")]
        if not arguments or not Path(arguments[0]).is_file():
            return
        load([Path(arguments[0])])
        listing = make_parser(events, arguments[0]).format_help().partition("options:")[2]
        if listing:
            formatter.write(escape_lines(f"\nOptions of {arguments[0]}:{listing}"))


_opened = OpenedFiles()


def plan(
    ctx: click.Context, arguments: tuple[str, ...], options: dict[str, Any], *, is_made_here: bool = True
) -> Planned | None:
    """What to run; None when the command line only wanted to see something. A master elsewhere, which makes the run if
    it is not made here, may have a host of its own. Raises ObswarmError and click's errors."""
    files, rest = files_of(arguments, options["files"])
    with _opened.noting() as opened:
        loadtest = load(files)
    custom, names = _custom_options(loadtest, rest, ctx)
    tags, excluded = split_names(options["tags"]), split_names(options["exclude_tags"])
    if options["list_users"]:
        for cls in loadtest.user_classes:
            say(cls.__name__)
        return None
    classes = select(loadtest.chosen(names), tags, excluded)
    if options["show_task_ratio"]:
        print_task_ratio(classes)
        return None
    if options["csv_full_history"] and not options["csv"]:
        raise click.UsageError(
            f"{label_of(ctx, 'csv_full_history')} needs --csv PREFIX, which says where the files go.", ctx
        )
    host = _check_hosts(classes, options["host"], ctx)
    if is_made_here:
        check_that_hosts_are_known(classes, host, files, sorted(opened.paths))
    schedule, limit_s = _profile(loadtest, classes, options)
    environment = Environment(
        events=events,
        recorder=Recorder(options["max_endpoints"]),
        user_classes=list(classes),
        shape_class=schedule.shape if isinstance(schedule, ShapeSchedule) else None,
        host=host,
        stop_timeout=options["stop_timeout"],
        parsed_options=_parsed_options(custom, options, loadtest),
        locustfile=loadtest.name,
        tags=tags or None,
        exclude_tags=excluded or None,
        reset_stats=options["reset_stats"],
    )
    environment.recorder.detailed_timings = options["timings"]
    if options["trace_sample"]:
        environment.trace_sampler = TraceSampler(options["trace_sample"])
    return Planned(loadtest, tuple(files), tuple(sorted(opened.paths)), environment, schedule, limit_s, custom)


def output_of(options: dict[str, Any]) -> OutputOptions:
    """Where the output goes."""
    return OutputOptions(
        headless=options["headless"],
        only_summary=options["only_summary"],
        json=options["json_file"],
        csv=options["csv"],
        csv_full_history=options["csv_full_history"],
        loglevel=options["loglevel"],
        logfile=options["logfile"],
    )


def files_of(arguments: Sequence[str], named: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The load-test files, and the arguments that are not one."""
    rest = list(arguments)
    if named:
        files = [Path(part.strip()) for value in named for part in value.split(",") if part.strip()]
        if not files:
            raise ObswarmError("--loadtest names no file.")
        for file in files:
            try:
                check_file(file)
            except ObswarmError as error:
                raise ObswarmError(f"--loadtest: {error}") from None
        return files, rest
    position = next((i for i, text in enumerate(rest) if not text.startswith("-") and _looks_like_file(text)), None)
    if position is None:
        position = next((i for i, text in enumerate(rest) if not text.startswith("-")), None)
    if position is None:
        return [find_loadtest(Path.cwd())], rest
    return [Path(part) for part in rest.pop(position).split(",")], rest


def names_a_file(arguments: Sequence[str], named: Sequence[str]) -> bool:
    """Whether a load-test file was named, or one of the usual name lies here."""
    if named or any(not text.startswith("-") and _looks_like_file(text) for text in arguments):
        return True
    try:
        find_loadtest(Path.cwd())
    except ObswarmError:
        return False
    return True


def _looks_like_file(text: str) -> bool:
    return text.endswith(".py") or Path(text).is_file()


def _custom_options(loadtest: LoadTest, arguments: Sequence[str], ctx: click.Context) -> tuple[OptionValues, list[str]]:
    custom, left = parse_custom(events, loadtest.name, arguments)
    hide_secrets(custom.secret_flags)
    for argument in left:
        if argument.startswith("-") and argument != "-":
            name = argument.split("=", 1)[0]
            known = [text for param in ctx.command.params for text in param.opts]
            known += make_parser(events, loadtest.name)._option_string_actions
            nearest = difflib.get_close_matches(name, known, 3)
            raise click.NoSuchOption(name, possibilities=nearest, ctx=ctx)
    return custom, left


def _check_hosts(classes: Sequence[type[User]], host: str | None, ctx: click.Context) -> str | None:
    """Give the classes that host, if there is one, as each of them takes it. Returns it as all do, if they agree.

    Raises ObswarmError and click's BadParameter for what a class does not take, its own host included.
    """
    taken = []
    for cls in classes:
        given = cls.host if host is None else host
        if given is None:
            continue
        try:
            cls.host = cls.check_host(given)
        except ValueError as error:
            if host is None:
                raise ObswarmError(f"{cls.__name__}.host: {error}.") from None
            raise click.BadParameter(f"{error} ({cls.__name__}).", ctx, param_hint=label_of(ctx, "host")) from None
        except Exception as error:
            raise ObswarmError(f"{cls.__name__}.check_host raised:\n{user_traceback(error)}") from None
        taken.append(cls.host)
    return taken[0] if host is not None and all(each == taken[0] for each in taken) else host


def _profile(
    loadtest: LoadTest, classes: Sequence[type[User]], options: dict[str, Any]
) -> tuple[LoadSchedule, float | None]:
    """The load over time that options and load-test file ask for, and the limit that --run-time sets."""
    limit_s: float | None = options["run_time"]
    given = [name for name in ("users", "spawn_rate") if options[name] is not None]
    planned: tuple[Stage, ...] | None = options["stages"]
    if planned is not None:
        if loadtest.shape is not None:
            logger.warning("--stages is used instead of the shape %s.", type(loadtest.shape).__name__)
        return StagesSchedule(planned), limit_s
    shape = loadtest.shape
    if shape is None:
        users = options["users"] if options["users"] is not None else defaults.USERS
        rate = options["spawn_rate"] if options["spawn_rate"] is not None else defaults.SPAWN_RATE
        return Ramp(users, rate), limit_s
    if given and not shape.use_common_options:
        logger.warning("The load comes from the shape %s; --users and --spawn-rate are not used.", type(shape).__name__)
    if isinstance(shape, Stages) and type(shape).tick is Stages.tick:
        return StagesSchedule(shape.parsed()), limit_s
    assert isinstance(shape, LoadTestShape)
    return ShapeSchedule(shape, classes), None if shape.use_common_options else limit_s


def _parsed_options(custom: OptionValues, options: dict[str, Any], loadtest: LoadTest) -> argparse.Namespace:
    """`environment.parsed_options`: ours under Locust's names, and the load-test file's own."""
    planned: tuple[Stage, ...] | None = options["stages"]
    ours = {
        "locustfile": loadtest.name,
        "host": options["host"],
        "users": options["users"],
        "num_users": options["users"],
        "spawn_rate": options["spawn_rate"],
        "run_time": options["run_time"],
        "stages": format_stages(planned) if planned else None,
        "headless": options["headless"],
        "tags": split_names(options["tags"]) or None,
        "exclude_tags": split_names(options["exclude_tags"]) or None,
        "stop_timeout": options["stop_timeout"],
        "reset_stats": options["reset_stats"],
        "csv_prefix": options["csv"],
        "loglevel": options["loglevel"],
        "logfile": options["logfile"],
        "exit_code_on_error": options["exit_code_on_error"],
    }
    return argparse.Namespace(**{**ours, **vars(custom)})

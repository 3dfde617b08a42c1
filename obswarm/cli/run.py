"""`obswarm run`: a load-test file against a target, on this machine."""

import argparse
import difflib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from obswarm import defaults
from obswarm.api import (
    Environment,
    LoadTestShape,
    ObswarmError,
    Stage,
    Stages,
    User,
    events,
    format_stages,
    make_parser,
    parse_custom,
)
from obswarm.cli import exit_codes
from obswarm.cli.exporting import exports
from obswarm.cli.options import (
    MOST_USERS,
    base_url,
    duration,
    duration_or_zero,
    option,
    rate,
    share,
    split_names,
    stages,
)
from obswarm.cli.session import Output, Terminal, exit_code_of
from obswarm.cli.task_ratio import print_task_ratio
from obswarm.engine import LoadTest, LocalRun, Profile, Ramp, ShapeProfile, StagesProfile, find_loadtest, load, select
from obswarm.http import check_host
from obswarm.http.tracing import TraceSampler
from obswarm.stats import Recorder, Sink
from obswarm.web import PORT

logger = logging.getLogger(__name__)


class _RunCommand(click.Command):
    """Lists the load-test file's own options below ours when --help comes with a file."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        arguments = [argument for argument in sys.argv[1:] if argument.endswith(".py")]
        if not arguments or not Path(arguments[0]).is_file():
            return
        load([Path(arguments[0])])
        listing = make_parser(events, arguments[0]).format_help().partition("options:")[2]
        if listing:
            formatter.write(f"\nOptions of {arguments[0]}:{listing}")


@click.command(
    cls=_RunCommand,
    context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]},
    options_metavar="[OPTIONS]",
    epilog="Every option can also be given as an environment variable: --spawn-rate is OBSWARM_SPAWN_RATE.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[FILE] [USER]...")
@option(
    "-f",
    "--loadtest",
    "--locustfile",
    "files",
    multiple=True,
    metavar="FILE",
    help="Load-test file; several with commas or by repeating.  [default: loadtest.py or locustfile.py here]",
)
@option("-H", "--host", type=base_url, metavar="URL", help="Base URL of the target, like https://www.example.com.")
@option("-u", "--users", type=click.IntRange(1, MOST_USERS), help=f"Number of users.  [default: {defaults.USERS}]")
@option(
    "-r",
    "--spawn-rate",
    type=rate,
    metavar="FLOAT",
    help=f"Users started per second.  [default: {defaults.SPAWN_RATE:g}]",
)
@option(
    "-t",
    "--run-time",
    type=duration,
    metavar="DURATION",
    help="Stop after that long: 90s, 20m, 1h30m.  [default: run until stopped]",
)
@option(
    "--stages",
    type=stages,
    metavar="STAGES",
    help="Load over time as DURATION:USERS,…: 30s:100,2m:500,30s:0.",
)
@option("--headless", is_flag=True, help="Plain lines instead of the live display.")
@option("-T", "--tags", multiple=True, metavar="TAG", help="Only tasks with one of these tags; commas or repeat.")
@option("-E", "--exclude-tags", multiple=True, metavar="TAG", help="Leave out tasks with one of these tags.")
@option(
    "-s",
    "--stop-timeout",
    type=duration_or_zero,
    metavar="DURATION",
    default=f"{defaults.STOP_TIMEOUT_S:g}s",
    show_default=True,
    help="How long running tasks may take to finish when the run stops.",
)
@option("--reset-stats", is_flag=True, help="Forget what was measured before all users were there.")
@option(
    "--max-endpoints",
    type=click.IntRange(2, 100_000),
    default=defaults.MAX_ENDPOINTS,
    show_default=True,
    help="Endpoints kept apart in the statistics; further ones count as (other).",
)
@option("--timings", is_flag=True, help="Percentiles of connecting, TLS, first byte and download as well as means.")
@option(
    "--web-port",
    type=click.IntRange(0, 65535),
    help=f"Port of /metrics; 0 takes any.  [default: {PORT} or the next free]",
)
@option("--metrics-addr", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where /metrics listens.")
@option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label for every exported series; repeat it.")
@option("--trace-sample", metavar="SHARE", type=share, help="Share of requests that carry a W3C trace id, like 1%.")
@option("--remote-write", metavar="URL", help="Push the metrics to a Prometheus remote-write receiver.")
@option("--remote-write-auth", metavar="USER:PASSWORD", help="Basic authentication for --remote-write.")
@option("--remote-write-token", metavar="TOKEN", help="Bearer token for --remote-write.")
@option(
    "--remote-write-interval",
    type=duration,
    default=f"{defaults.REMOTE_WRITE_INTERVAL_S:g}s",
    show_default=True,
    metavar="DURATION",
    help="How often to push.",
)
@option(
    "--linger",
    type=duration_or_zero,
    default=f"{defaults.LINGER_S:g}s",
    show_default=True,
    metavar="DURATION",
    help="How long to wait at the end for a last scrape or push, if somebody scrapes or is pushed to.",
)
@option("--csv", metavar="PREFIX", help="Write Locust's CSV files, with this prefix.")
@option("--csv-full-history", is_flag=True, help="With --csv: the history of every endpoint, not only of the total.")
@option("--json", "json_file", metavar="FILE|-", help="Write the result as JSON; - is standard output.")
@option("--only-summary", is_flag=True, help="Print nothing until the end.")
@option("-l", "--list", "list_users", is_flag=True, help="List the user classes and exit.")
@option("--show-task-ratio", is_flag=True, help="Show how often each task will run, and exit.")
@option(
    "-L",
    "--loglevel",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], case_sensitive=False),
    default="INFO",
    show_default=True,
    help="How much is logged.",
)
@option("--logfile", metavar="FILE", help="Log to a file instead of standard error.")
@option(
    "--exit-code-on-error",
    type=click.IntRange(0, 255),
    default=exit_codes.FAILURES,
    show_default=True,
    help="Exit code when a request failed or a task raised.",
)
@click.pass_context
def run(ctx: click.Context, /, arguments: tuple[str, ...], **options: Any) -> None:
    """Run a load test.

    FILE is a load-test file in Python; USER names the user classes to use, all of them by default.
    """
    files, rest = _files(arguments, options["files"])
    loadtest = load(files)
    custom, names = _custom_options(loadtest, rest, ctx)
    tags, excluded = split_names(options["tags"]), split_names(options["exclude_tags"])
    if options["list_users"]:
        for cls in loadtest.user_classes:
            click.echo(cls.__name__)
        return
    classes = select(loadtest.chosen(names), tags, excluded)
    if options["show_task_ratio"]:
        print_task_ratio(classes)
        return
    output = Output(
        headless=options["headless"],
        only_summary=options["only_summary"],
        json=options["json_file"],
        csv=options["csv"],
        csv_full_history=options["csv_full_history"],
        loglevel=options["loglevel"],
        logfile=options["logfile"],
    )
    if options["csv_full_history"] and not options["csv"]:
        raise click.UsageError("--csv-full-history needs --csv PREFIX, which says where the files go.", ctx)
    terminal = Terminal(output)
    host = options["host"]
    _check_hosts(classes, host)
    if host:
        for cls in classes:
            cls.host = host
    profile, limit_s = _profile(loadtest, classes, options, ctx)
    environment = Environment(
        events=events,
        recorder=Recorder(options["max_endpoints"]),
        user_classes=list(classes),
        shape_class=profile.shape if isinstance(profile, ShapeProfile) else None,
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
    terminal.export = exports(options, ctx)

    def make_run(sinks: list[Sink]) -> LocalRun:
        return LocalRun(
            environment,
            profile,
            test=loadtest.name,
            planned_s=limit_s,
            sinks=sinks,
            max_endpoints=options["max_endpoints"],
        )

    result = terminal.run(make_run, environment)
    if result.error is not None:
        click.echo(f"Error: {result.error}", err=True)
    events.quitting.fire(environment=environment, reverse=True)
    code = environment.process_exit_code
    if code is None:
        code = exit_code_of(result, options["exit_code_on_error"])
    events.quit.fire(exit_code=code)
    ctx.exit(code)


def _files(arguments: Sequence[str], named: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The load-test files, and the arguments that are not one."""
    rest = list(arguments)
    if named:
        return [Path(part.strip()) for value in named for part in value.split(",") if part.strip()], rest
    position = next((i for i, text in enumerate(rest) if not text.startswith("-") and _looks_like_file(text)), None)
    if position is None:
        position = next((i for i, text in enumerate(rest) if not text.startswith("-")), None)
    if position is None:
        return [find_loadtest(Path.cwd())], rest
    return [Path(part) for part in rest.pop(position).split(",")], rest


def _looks_like_file(text: str) -> bool:
    return text.endswith(".py") or Path(text).is_file()


def _custom_options(
    loadtest: LoadTest, arguments: Sequence[str], ctx: click.Context
) -> tuple[argparse.Namespace, list[str]]:
    custom, left = parse_custom(events, loadtest.name, arguments)
    for argument in left:
        if argument.startswith("-") and argument != "-":
            name = argument.split("=", 1)[0]
            known = [text for param in ctx.command.params for text in param.opts]
            known += make_parser(events, loadtest.name)._option_string_actions
            nearest = difflib.get_close_matches(name, known, 3)
            raise click.NoSuchOption(name, possibilities=nearest, ctx=ctx)
    return custom, left


def _check_hosts(classes: Sequence[type[User]], host: str | None) -> None:
    for cls in classes:
        if host is None and cls.host is not None:
            try:
                check_host(cls.host)
            except ValueError as error:
                raise ObswarmError(f"{cls.__name__}.host: {error}.") from None


def _profile(
    loadtest: LoadTest, classes: Sequence[type[User]], options: dict[str, Any], ctx: click.Context
) -> tuple[Profile, float | None]:
    """The load over time that options and load-test file ask for, and the limit that --run-time sets."""
    limit_s: float | None = options["run_time"]
    given = [name for name in ("users", "spawn_rate") if options[name] is not None]
    planned: tuple[Stage, ...] | None = options["stages"]
    if planned is not None:
        if given:
            names = " and ".join("--" + name.replace("_", "-") for name in given)
            raise click.UsageError(f"--stages says how many users there are; leave {names} out.", ctx)
        if loadtest.shape is not None:
            logger.warning("--stages is used instead of the shape %s.", type(loadtest.shape).__name__)
        return StagesProfile(planned), limit_s
    shape = loadtest.shape
    if shape is None:
        users = options["users"] if options["users"] is not None else defaults.USERS
        rate = options["spawn_rate"] if options["spawn_rate"] is not None else defaults.SPAWN_RATE
        return Ramp(users, rate), limit_s
    if given and not shape.use_common_options:
        logger.warning("The load comes from the shape %s; --users and --spawn-rate are not used.", type(shape).__name__)
    if isinstance(shape, Stages) and type(shape).tick is Stages.tick:
        return StagesProfile(shape.parsed()), limit_s
    assert isinstance(shape, LoadTestShape)
    return ShapeProfile(shape, classes), None if shape.use_common_options else limit_s


def _parsed_options(custom: argparse.Namespace, options: dict[str, Any], loadtest: LoadTest) -> argparse.Namespace:
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

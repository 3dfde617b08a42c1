"""`obswarm run`: a load-test file against a target, on this machine."""

from typing import Any

import click
import gevent
from click.core import ParameterSource

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.cli.exporting import exports
from obswarm.cli.file_option import label_of, rank_of
from obswarm.cli.fleet import WORKER_COMMAND, balance_option, local_job, run_spec_of
from obswarm.cli.guarding import check_junit, guard_options, guarding_of
from obswarm.cli.keeping import keep_options, keeping_of
from obswarm.cli.loading import LoadTestCommand, Planned, names_a_file, output_of, plan
from obswarm.cli.options import http_url, option, workers
from obswarm.cli.remote import Master, master_of, run_remotely
from obswarm.cli.run_options import run_options
from obswarm.cli.session import Terminal, conclude
from obswarm.cli.stack import project_option
from obswarm.cli.streams import say
from obswarm.cluster import FleetRun, LocalWorkers
from obswarm.engine import LocalRun, Outputs, Run, check_open_files
from obswarm.stack import Engine, Project, StackError, services_of
from obswarm.web import MasterClient, MasterError

_PROBE_S = 2.0
_STARTS_S = 20.0
_AGAIN_S = 0.3


@click.command(
    cls=LoadTestCommand,
    context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]},
    options_metavar="[OPTIONS]",
    epilog="Every option can also be given as an environment variable: --spawn-rate is OBSWARM_SPAWN_RATE.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[FILE] [USER]...")
@run_options
@option(
    "--workers",
    type=workers,
    metavar="N|auto",
    default="auto",
    show_default=True,
    help="Worker processes with users; auto starts one, and more when it gets busy; 0 runs all in this process.",
)
@balance_option
@guard_options
@keep_options
@option(
    "--master", type=http_url, metavar="URL", help="Have a master that stays (`obswarm master --serve`) make the run."
)
@option("--api-token", metavar="TOKEN", help="That master's.")
@option(
    "--local",
    is_flag=True,
    excludes=("master",),
    help="Run on this machine even if a stack of `obswarm up` is running.",
)
@project_option
@click.pass_context
def run(ctx: click.Context, /, arguments: tuple[str, ...], **options: Any) -> None:
    """Run a load test.

    FILE is a load-test file in Python; USER names the user classes to use, all of them by default. While a stack of
    `obswarm up` is running, its workers make the load; --local or --workers has it made here.
    """
    master = _master(ctx, options)
    if master is not None:
        if master.loadtest is not None and not names_a_file(arguments, options["files"]):
            options["files"] = (str(master.loadtest),)
        code = run_remotely(ctx, arguments, options, master)
        ctx.exit(code or 0)
    planned = plan(ctx, arguments, options)
    if planned is None:
        return
    check_junit(options, ctx)
    guarding = guarding_of(options, planned.loadtest.guards)
    terminal = Terminal(output_of(options))
    count = options["workers"]
    check_open_files(planned.environment.user_classes, planned.schedule.most_users, count or 1, count != 0)
    terminal.export = exports(options, ctx, guarding)
    terminal.guarding = guarding
    terminal.keeping = keeping_of(ctx, options, planned.files, planned.custom, guarding.source, guarding.evaluate)
    result = terminal.run(lambda outputs: _make(planned, options, outputs), planned.environment)
    ctx.exit(conclude(result, planned.environment, options, guarding.evaluate(result)))


def _master(ctx: click.Context, options: dict[str, Any]) -> Master | None:
    """Who makes the run, if it is not this process. Raises ObswarmError when it is to be somebody who is not there."""
    url = options["master"]
    if url is not None and rank_of(ctx, "workers") > rank_of(ctx, "master"):
        say(f"Note: {label_of(ctx, 'master')} is not used, because of {label_of(ctx, 'workers')}.", err=True)
        return None
    if url is not None:
        if not options["api_token"]:
            raise ObswarmError(
                "--master needs --api-token (or OBSWARM_API_TOKEN), which the master showed when it started."
            )
        return Master(url, options["api_token"], f"the master at {url}")
    usual = ctx.get_parameter_source("project") is ParameterSource.DEFAULT
    nearest = rank_of(ctx, "project")
    if (options["local"] and rank_of(ctx, "local") >= nearest) or rank_of(ctx, "workers") > nearest:
        return None
    project = Project.named(options["project"])
    try:
        if not project.exists:
            raise MasterError("it was not started")
        _check_that_it_answers(project)
    except MasterError as error:
        if usual:
            return None
        raise ObswarmError(
            f"The stack {project.name} is not running ({error}). Start it with: obswarm up --project {project.name}"
        ) from None
    return master_of(project)


def _check_that_it_answers(project: Project) -> None:
    """Raises MasterError when the stack's master does not; one that Docker is starting is waited for."""
    client = MasterClient(project.web_url, project.api_token, trust_env=False)
    until_s = clock.monotonic() + _STARTS_S
    while True:
        try:
            client.status(timeout_s=_PROBE_S)
            return
        except MasterError:
            if clock.monotonic() > until_s or not _is_up(project):
                raise
        gevent.sleep(_AGAIN_S)


def _is_up(project: Project) -> bool:
    """Whether the container of the stack's master runs, or is started again."""
    try:
        engine = Engine()
    except StackError:
        return False
    try:
        services = services_of(engine, project.name)
    except engine.failures:
        return False
    return any(each.name == "master" and each.state in ("running", "restarting") for each in services)


def _make(planned: Planned, options: dict[str, Any], outputs: Outputs) -> Run:
    common: dict[str, Any] = {
        "test": planned.loadtest.name,
        "planned_s": planned.limit_s,
        "outputs": outputs,
        "max_endpoints": options["max_endpoints"],
    }
    count = options["workers"]
    if count == 0:
        return LocalRun(planned.environment, planned.schedule, **common)
    return FleetRun(
        planned.environment,
        planned.schedule,
        run_spec_of(local_job(planned, options)),
        local=LocalWorkers(WORKER_COMMAND, count),
        by_capacity=options["balance"] == "capacity",
        **common,
    )

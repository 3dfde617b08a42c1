"""`obswarm run`: a load-test file against a target, on this machine."""

from typing import Any

import click

from obswarm.cli.exporting import exports
from obswarm.cli.fleet import WORKER_COMMAND, balance_option, invitation_for, local_job
from obswarm.cli.guarding import check_junit, guard_options, guarding_of
from obswarm.cli.loading import LoadTestCommand, Planned, output_of, plan
from obswarm.cli.options import option, workers
from obswarm.cli.run_options import run_options
from obswarm.cli.session import Terminal, conclude
from obswarm.cluster import FleetRun, LocalWorkers
from obswarm.engine import LocalRun, RunCourse
from obswarm.stats import Sink


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
@click.pass_context
def run(ctx: click.Context, /, arguments: tuple[str, ...], **options: Any) -> None:
    """Run a load test.

    FILE is a load-test file in Python; USER names the user classes to use, all of them by default.
    """
    planned = plan(ctx, arguments, options)
    if planned is None:
        return
    check_junit(options, ctx)
    guarding = guarding_of(options, planned.loadtest.guards)
    terminal = Terminal(output_of(options))
    terminal.export = exports(options, ctx, guarding)
    terminal.guarding = guarding
    result = terminal.run(lambda sinks: _make(planned, options, sinks), planned.environment)
    ctx.exit(conclude(result, planned.environment, options, guarding.judge(result)))


def _make(planned: Planned, options: dict[str, Any], sinks: list[Sink]) -> RunCourse:
    common: dict[str, Any] = {
        "test": planned.loadtest.name,
        "planned_s": planned.limit_s,
        "sinks": sinks,
        "max_endpoints": options["max_endpoints"],
    }
    count = options["workers"]
    if count == 0:
        return LocalRun(planned.environment, planned.profile, **common)
    return FleetRun(
        planned.environment,
        planned.profile,
        invitation_for(local_job(planned, options)),
        local=LocalWorkers(WORKER_COMMAND, count),
        by_capacity=options["balance"] == "capacity",
        **common,
    )

"""`obswarm run`: a load-test file against a target."""

import os
from collections.abc import Callable
from typing import Any

import click

from obswarm import __version__
from obswarm.api import ObswarmError
from obswarm.app.build import build_run
from obswarm.app.masters import Master, find_master
from obswarm.app.planning import build_plan, names_a_file
from obswarm.app.rate_query import with_queried_rate
from obswarm.cli.configure import check_numbers, origins_of, resolve_precedence
from obswarm.cli.guard_options import guard_options
from obswarm.cli.locust_options import locust_master_options, locust_options
from obswarm.cli.option_types import http_url, workers
from obswarm.cli.options import Command, project_option, run_option, with_options
from obswarm.cli.run_command import arguments_argument, listed, load_test_command
from obswarm.cli.run_options import balance_option, listing_options, run_options, store_options
from obswarm.cli.settings import file_config_of
from obswarm.cli.terminal import TerminalDisplay
from obswarm.cli.web_options import start_options
from obswarm.config import SETTINGS, RunConfig
from obswarm.streams import STANDARD_OUTPUT, results_apart

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    run_options,
    listing_options,
    run_option(
        "--workers",
        "--processes",
        type=workers,
        metavar="N|auto",
        default="auto",
        show_default=True,
        shared=False,
        help="Number of worker processes; auto starts one, and more when it is busy; 0 runs users in this process.",
    ),
    balance_option,
    guard_options,
    store_options,
    run_option(
        "--master",
        type=http_url,
        metavar="URL",
        shared=False,
        help="Submit the run to a master service (`obswarm master --serve`) at this URL.",
    ),
    run_option("--api-token", metavar="TOKEN", shared=False, help="API token of the --master."),
    run_option("--local", shared=False, help="Run on this machine even if a stack of `obswarm up` is running."),
    project_option,
    *start_options,
)


def all_run_options(command: Command) -> Command:
    """Add all options of `obswarm run`."""
    return with_options(command, _OPTIONS)


def config_of(ctx: click.Context) -> RunConfig:
    """Return the configuration of a run from command line, environment and obswarm.toml. If standard output is for
    results, other output goes to standard error until the command ends. Raises ObswarmError, and click.UsageError."""
    check_numbers(ctx)
    resolve_precedence(ctx)
    values = {name: ctx.params[name] for name in SETTINGS if name in ctx.params}
    config = RunConfig.of(values, origins_of(ctx), file_config_of(ctx))
    if STANDARD_OUTPUT in (config.outputs.json_file, config.outputs.stats_json):
        ctx.with_resource(results_apart())
    return config


@load_test_command(
    epilog="Every option can also be set by an environment variable: --spawn-rate by OBSWARM_SPAWN_RATE.",
)
@arguments_argument
@all_run_options
@locust_options
@locust_master_options
@click.version_option(__version__, "-V", "--version", prog_name="obswarm")
@click.pass_context
def run(ctx: click.Context, /, **_: Any) -> None:
    """Run a load test.

    FILE is a load-test file in Python. USER is the name of a user class in it; by default, all of them are used. While
    a stack of `obswarm up` is running on this machine, the run is executed by its workers, unless --local or --workers
    is given.

    Exit codes: 0 success, 1 requests failed, 2 invalid options or load test, 3 stopped by a guard or an alert, 4 the
    result is incomplete, 5 a requirement is not met, 130 interrupted.
    """
    config = config_of(ctx)
    starts_runs = config.web.starts_runs and not config.outputs.headless
    if starts_runs and config.cluster.master is not None:
        raise ObswarmError("--web makes runs on this machine, and --master on others; leave one of them out.")
    master, config = of_master(config, None if starts_runs else find_master(config))
    if listed(ctx, config):
        return
    if master is not None:
        # Most runs are made here, and need no client of a service.
        from obswarm.app.client import run_remotely

        ctx.exit(run_remotely(config, master, TerminalDisplay)[1])
    if starts_runs:
        # Other runs need no msgspec and Flask.
        from obswarm.app.web_session import WebSession

        ctx.exit(WebSession(config, TerminalDisplay).execute())
    config = with_queried_rate(config)
    ctx.exit(build_run(config, build_plan(config), TerminalDisplay).execute()[1])


def of_master(config: RunConfig, master: Master | None) -> tuple[Master | None, RunConfig]:
    """Return the master that executes the run, None for this process, and the configuration with its load test if no
    other one is given; sets the environment variables of its load tests."""
    if master is not None:
        if master.loadtest is not None and not names_a_file(config.load.arguments, config.load.files):
            config = config.replaced({"files": (str(master.loadtest),)})
        for name, value in master.environment.items():
            os.environ.setdefault(name, value)
    return master, config

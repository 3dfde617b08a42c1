"""`obswarm master`: run a load test on workers of other machines, once or as a service."""

from collections.abc import Callable
from typing import Any

import click

from obswarm.app.build import build_master_run, keys_of
from obswarm.app.service_process import ends_as_meant, supervise
from obswarm.cli.guard_options import guard_options
from obswarm.cli.locust_options import locust_options, locust_run_options
from obswarm.cli.option_types import bind_address, duration, size, wait_or_forever
from obswarm.cli.options import Command, run_option, with_options
from obswarm.cli.run import config_of
from obswarm.cli.run_command import arguments_argument, listed, load_test_command
from obswarm.cli.run_options import balance_option, listing_options, run_options, store_options
from obswarm.cli.terminal import TerminalDisplay

_OWN_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    run_option(
        "--bind",
        type=bind_address,
        metavar="ADDRESS[:PORT]",
        shared=False,
        help="Address to listen on for workers; other than a loopback address, it requires a secret.",
    ),
    run_option(
        "--secret-file",
        metavar="FILE",
        shared=False,
        envvar=None,
        help="File with the secret that master and workers share. Alternative: the variable OBSWARM_SECRET.",
    ),
    run_option(
        "--insecure",
        shared=False,
        help="Allow --bind to an address that other machines can reach without a secret: any worker can join, and"
        " nothing is encrypted.",
    ),
    run_option("--expect-workers", shared=False, help="Number of workers to wait for before the run starts."),
    run_option(
        "--expect-workers-max-wait",
        type=wait_or_forever,
        metavar="DURATION",
        shared=False,
        help="Give up if the expected workers are not ready within this time.",
    ),
    run_option(
        "--orphan-timeout",
        type=duration,
        metavar="DURATION",
        shared=False,
        help="Workers stop their users after this long without contact with the master.",
    ),
    run_option(
        "--bundle",
        "bundled",
        metavar="PATH",
        shared=False,
        help="Further file or folder to send to workers, besides the load test; repeatable.",
    ),
    run_option(
        "--bundle-limit", type=size, metavar="SIZE", shared=False, help="Maximum size of all files sent to a worker."
    ),
    run_option(
        "--state",
        "state_file",
        metavar="FILE",
        shared=False,
        help="File for the state of the run, from which a restarted master continues it.",
    ),
    run_option(
        "--serve",
        shared=False,
        help="Run as a service: execute the runs that `obswarm run --master URL` submits, one at a time.",
    ),
    run_option(
        "--hand-over",
        shared=False,
        help="On SIGTERM, leave the run to the next master with the same --state, as when a pod moves to another node,"
        " instead of stopping it.",
    ),
    run_option("--fresh", shared=False, help="Start a new run instead of continuing an unfinished one."),
)


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    run_options,
    listing_options,
    *_OWN_OPTIONS,
    run_option(
        "--api-token",
        metavar="TOKEN",
        shared=False,
        help="Bearer token for clients that submit runs.  [default: generated and printed]",
    ),
    balance_option,
    guard_options,
    store_options,
)


def own_master_options(command: Command) -> Command:
    """Add the options that `obswarm run` does not have."""
    return with_options(command, _OWN_OPTIONS)


def all_master_options(command: Command) -> Command:
    """Add all options of `obswarm master`."""
    return with_options(command, _OPTIONS)


@load_test_command()
@arguments_argument
@all_master_options
@locust_options
@locust_run_options
@click.pass_context
def master(ctx: click.Context, /, **_: Any) -> None:
    """Run a load test on workers of other machines.

    FILE is a load-test file in Python. The master sends it to the workers, together with files of its folder that it
    imports or reads. USER is the name of a user class in it; by default, all of them are used.
    """
    config = config_of(ctx)
    if config.cluster.serve:
        # Not in `ends_as_meant`, where an error ends the service: it may be restarted just while the file is replaced.
        keys = keys_of(config)
        code = supervise(hands_over=config.cluster.hand_over)
        if code is not None:
            ctx.exit(code)
        # It imports Flask, which neither its parent nor a single run needs.
        from obswarm.app.service import Service

        with ends_as_meant():
            Service(config, TerminalDisplay, keys).run()
    elif not listed(ctx, config):
        ctx.exit(build_master_run(config, TerminalDisplay).execute()[1])

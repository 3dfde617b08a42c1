"""`obswarm worker`, which runs users for a master."""

import logging
from pathlib import Path
from typing import Any

import click
import gevent

from obswarm import cluster, defaults
from obswarm.api import ObswarmError
from obswarm.app.service_process import ends_as_meant, supervise
from obswarm.app.worker_command import WORKER_COMMAND
from obswarm.cli.option_types import duration, master_address
from obswarm.cli.options import option
from obswarm.cli.settings import SectionCommand
from obswarm.cluster import (
    DEFAULT_PORT,
    Worker,
    derive_keys,
    hash_of_files,
    new_identity,
    read_secret,
    reexec,
    resolved_endpoint,
)
from obswarm.config import LOG_LEVELS
from obswarm.engine import check_worker_processes
from obswarm.streams import set_up_logging
from obswarm.units import format_duration

logger = logging.getLogger(__name__)

_AFTER_FAILURE_S = 1.0


@click.command(cls=SectionCommand)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]")
@option(
    "--master",
    type=master_address,
    metavar="HOST[:PORT]",
    required=True,
    help=f"Address of the master.  [default port: {DEFAULT_PORT}]",
)
@option(
    "--processes",
    type=click.IntRange(1, 1024),
    default=1,
    show_default=True,
    help="Number of worker processes on this machine; to the master, they are one worker.",
)
@option(
    "--secret-file",
    metavar="FILE",
    help="File with the secret that master and workers share. Alternative: the variable OBSWARM_SECRET.",
    envvar=None,
)
@option(
    "--give-up-after",
    type=duration,
    default=format_duration(defaults.GIVE_UP_AFTER_S),
    show_default=True,
    metavar="DURATION",
    help="Exit if no master can be reached for this long.",
)
@option(
    "--serve",
    is_flag=True,
    help="Run as a service: after each run wait for the next one, and wait for the master without a time limit.",
)
@option(
    "-L",
    "--loglevel",
    type=click.Choice(LOG_LEVELS, case_sensitive=False),
    default="INFO",
    show_default=True,
    help="Minimum level of log messages; the master's --loglevel replaces it when the run starts.",
)
@option("--logfile", metavar="FILE", help="Log to a file instead of standard error.")
@click.pass_context
def worker(ctx: click.Context, /, files: tuple[Path, ...], **options: Any) -> None:
    """Run users for a master, and report statistics to it.

    The master sends the load test. If FILE is given, it is used instead, and must be identical to the master's file.
    """
    set_up_logging(options["loglevel"], options["logfile"])
    for file in files:
        if not file.is_file():
            raise ObswarmError(f"No such load-test file: {file}.")
    if options["serve"]:
        code = supervise()
        if code is not None:
            ctx.exit(code)
    try:
        made = _make(files, options)
        code = made.run()
    except ObswarmError as error:
        if not options["serve"]:
            raise
        # The master, if reachable, has been notified. A later run may succeed, also because the master's name may
        # resolve to another address then.
        logger.error("%s", error)
        gevent.sleep(_AFTER_FAILURE_S)
    else:
        if made.departure.was_requested or not options["serve"]:
            with ends_as_meant():
                pass
            ctx.exit(code)
    reexec()


def _make(files: tuple[Path, ...], options: dict[str, Any]) -> "Worker | cluster.Relay":
    secret, warning = read_secret(options["secret_file"])
    if warning:
        logger.warning("%s", warning)
    host, port = options["master"]
    endpoint = resolved_endpoint(host, port)
    keys = derive_keys(secret) if secret is not None else None
    count, longest_s = options["processes"], options["give_up_after"]
    if count > 1:
        check_worker_processes(count)
    identity = new_identity(count, hash_of_files(files) if files else "")
    logger.info("Worker %s, looking for the master at %s.", identity.name, endpoint.removeprefix("tcp://"))

    def look_up() -> str:
        return resolved_endpoint(host, port)

    if count > 1:
        # A relay has much of a master, which most workers do not need.
        return cluster.Relay(
            endpoint, keys, count, WORKER_COMMAND, identity=identity, give_up_after_s=longest_s, look_up=look_up
        )
    own = [file.resolve() for file in files] or None
    return Worker(endpoint, keys, identity=identity, files=own, give_up_after_s=longest_s, look_up=look_up)

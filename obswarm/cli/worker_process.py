"""`obswarm worker-process`: one of the worker processes that a master, or a worker with several, starts on its machine.

It has no settings of obswarm.toml, and is started often: it imports nothing that only other commands need.
"""

import logging
import sys

import click
import gevent

from obswarm.app import exit_codes
from obswarm.cluster import Identity, RecordFormatter, Worker, end_with_parent, new_identity
from obswarm.errors import ObswarmError

logger = logging.getLogger(__name__)


@click.command(hidden=True)
@click.option("--endpoint", required=True, help="ZeroMQ endpoint of the parent process.")
@click.option("--incarnation", required=True, help="Id of this process, which the parent has chosen.")
@click.option("--share", type=float, required=True, help="Share of this machine's CPUs for this process.")
@click.pass_context
def worker_process(ctx: click.Context, endpoint: str, incarnation: str, share: float) -> None:
    """Run one worker process of `obswarm worker --processes` or `obswarm run`, which starts it; ends with its
    parent."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RecordFormatter(incarnation))
    logging.basicConfig(level="INFO", handlers=[handler], force=True)
    name = new_identity().name.rpartition("_")[0]
    made = Worker(
        endpoint, None, identity=Identity(incarnation, f"{name}_{incarnation[:8]}"), share=share, is_child=True
    )
    end_with_parent(lambda: made.link.finish(exit_codes.INCOMPLETE))
    try:
        code = made.run()
    except ObswarmError as error:
        # The master has been notified, and prints it.
        logger.debug("%s", error)
        code = exit_codes.USAGE
    gevent.sleep(0)
    ctx.exit(code)

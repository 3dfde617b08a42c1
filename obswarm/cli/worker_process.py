"""`obswarm worker-process`: one of the worker processes that a master, or a worker with several, starts on its machine.

It is no command of click's: it has no settings of obswarm.toml, and it is started often, so it imports nothing that
only the commands need.
"""

from obswarm import gevent_patch  # noqa: F401,I001 - has to be imported first

import argparse
import logging
import sys

import gevent

from obswarm.app import exit_codes
from obswarm.cli.process import command_process
from obswarm.cluster import Identity, RecordFormatter, Worker, end_with_parent, new_identity
from obswarm.errors import ObswarmError

logger = logging.getLogger(__name__)


def main() -> None:
    """Run a worker process, which ends with its parent."""
    parser = argparse.ArgumentParser(
        prog="obswarm worker-process",
        description="One worker process of `obswarm worker --processes` or `obswarm run`, which starts it.",
        allow_abbrev=False,
    )
    parser.add_argument("--endpoint", required=True, help="ZeroMQ endpoint of the parent process.")
    parser.add_argument("--incarnation", required=True, help="Id of this process, which the parent has chosen.")
    parser.add_argument("--share", type=float, required=True, help="Share of this machine's CPUs for this process.")
    given = parser.parse_args(sys.argv[2:])
    with command_process() as process:
        process.code = _run(given.endpoint, given.incarnation, given.share)


def _run(endpoint: str, incarnation: str, share: float) -> int:
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
    return code

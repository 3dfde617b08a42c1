"""Re-execution of this process with the same command, without the state that a load test has left in its memory."""

import logging
import os
import sys
from pathlib import Path
from typing import NoReturn

from obswarm.command_line import command_again, environment_of_it
from obswarm.units import counted

logger = logging.getLogger(__name__)

_STARTED_IN = Path.cwd()


def reexec() -> NoReturn:
    """Replace this process by the command with which it was started, in the folder in which it was started."""
    try:
        os.chdir(_STARTED_IN)
    except OSError:
        # The folder may have been removed since; absolute paths still work.
        pass
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, command_again(), {**os.environ, **environment_of_it()})


def log_other_run(unacked: int) -> None:
    """Log that the master has another run than this worker, and how many of its reports are in no result."""
    if unacked:
        logger.error("The master has another run now; the result of the last one lacks %s.", counted(unacked, "report"))
    else:
        logger.warning("The master has another run now; joining.")

"""A process that becomes a new one of the same command: what a load test left in its memory is gone."""

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
    """Run the command that this process was started with, in its place and where it was started."""
    try:
        os.chdir(_STARTED_IN)
    except OSError:
        # It may have been removed since; absolute paths still work.
        pass
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, command_again(), {**os.environ, **environment_of_it()})


def tell_of_other_run(waiting: int) -> None:
    """The run that this worker was part of is over without it: its master has counted it as lost, if it was there to
    end the run at all."""
    if waiting:
        logger.error(
            "The master has another run now; what is in no result: %s of the last one.", counted(waiting, "report")
        )
    else:
        logger.warning("The master has another run now; joining.")

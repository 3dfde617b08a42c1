"""What every process of the command line does first, and users' errors as a sentence with exit code 2. Without click,
which worker processes do not need."""

import sys
from collections.abc import Callable
from typing import NoReturn

from obswarm import open_files
from obswarm.app import exit_codes
from obswarm.cli.tracebacks import escape_tracebacks
from obswarm.errors import ObswarmError, reason_of
from obswarm.streams import discard, echo_error, open_standard_streams
from obswarm.temporary import remove_abandoned


def run_process(command: Callable[[], object]) -> NoReturn:
    """Call the command, and end the process with the exit code that it returns, 0 if that is no number."""
    open_standard_streams()
    escape_tracebacks()
    open_files.raise_soft_limit()
    # They may contain secrets of a run.
    remove_abandoned()
    try:
        code = command()
    except ObswarmError as error:
        echo_error(error)
        code = exit_codes.USAGE
    except BrokenPipeError:
        # `obswarm runs list | head`: the reader of the output has closed it.
        discard(sys.stdout)
        code = exit_codes.OK
    except OSError as error:
        # A full disk, or standard output on one.
        where = f"{error.filename}: " if error.filename else ""
        echo_error(f"{where}{reason_of(error)}.")
        discard(sys.stdout)
        code = exit_codes.USAGE
    sys.exit(code if isinstance(code, int) else exit_codes.OK)

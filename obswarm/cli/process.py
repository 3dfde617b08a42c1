"""What every process of the command line does first, and users' errors as a sentence with exit code 2. Without click,
which worker processes do not need."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from obswarm import open_files
from obswarm.app import exit_codes
from obswarm.cli.tracebacks import escape_tracebacks
from obswarm.errors import ObswarmError, reason_of
from obswarm.streams import discard, echo_error, open_standard_streams
from obswarm.temporary import remove_abandoned


class CommandProcess:
    """The process of one command; `code` is what the command returns: its exit code, 0 if that is no number."""

    code: object = None


@contextmanager
def command_process() -> Iterator[CommandProcess]:
    """Set the process up for a command, which the block calls. The end of the block ends the process with its code."""
    open_standard_streams()
    escape_tracebacks()
    open_files.raise_soft_limit()
    # They may contain secrets of a run.
    remove_abandoned()
    process = CommandProcess()
    try:
        yield process
    except ObswarmError as error:
        echo_error(error)
        process.code = exit_codes.USAGE
    except BrokenPipeError:
        # `obswarm runs list | head`: the reader of the output has closed it.
        discard(sys.stdout)
        process.code = exit_codes.OK
    except OSError as error:
        # A full disk, or standard output on one.
        where = f"{error.filename}: " if error.filename else ""
        echo_error(f"{where}{reason_of(error)}.")
        discard(sys.stdout)
        process.code = exit_codes.USAGE
    sys.exit(process.code if isinstance(process.code, int) else exit_codes.OK)

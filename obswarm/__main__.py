"""The `obswarm` command; `python -m obswarm` is the same."""

import os
import signal
import sys
from collections.abc import Callable

from obswarm.ending_signals import ending_signals

_INTERRUPTED = 130
"""Same as in obswarm.app.exit_codes, which may not be imported yet."""

_WORKER_PROCESS = "worker-process"
"""Not a command of the user's: how obswarm starts its worker processes."""


def main() -> None:
    """Entry point."""
    run = _imported()
    run()


def _imported() -> Callable[[], None]:
    """Import the command, and return it. A terminating signal during the import ends the process silently."""
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in ending_signals()}
    ours = [number for number, handler in before.items() if handler in defaults]
    for number in ours:
        # Not by an exception, which would pass through half-imported modules.
        signal.signal(number, lambda *_: os._exit(_INTERRUPTED))
    from obswarm import command_line

    # Before the rest is imported, since other users can read the command line.
    command_line.hide_secrets()
    run: Callable[[], None]
    if sys.argv[1:2] == [_WORKER_PROCESS]:
        from obswarm.cli.worker_process import main as run
    else:
        from obswarm.cli.main import main as run

    for number in ours:
        signal.signal(number, before[number])
    return run


if __name__ == "__main__":
    main()

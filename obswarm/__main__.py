"""The `obswarm` command; `python -m obswarm` is the same."""

import os
import signal
from collections.abc import Callable

from obswarm.ending_signals import ending_signals

_INTERRUPTED = 130
"""As obswarm.app.exit_codes has it, which is not imported yet when it is needed."""


def main() -> None:
    """Entry point."""
    run = _imported()
    run()


def _imported() -> Callable[[], None]:
    """Import the command, which takes a moment; a signal that ends the process meanwhile does so without a word."""
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in ending_signals()}
    ours = [number for number, handler in before.items() if handler in defaults]
    for number in ours:
        # An exception would pass through the code of modules that are half imported.
        signal.signal(number, lambda *_: os._exit(_INTERRUPTED))
    from obswarm import command_line

    # Others can read the command line while the rest is imported.
    command_line.hide_secrets()
    from obswarm.cli.main import main as run

    for number in ours:
        signal.signal(number, before[number])
    return run


if __name__ == "__main__":
    main()

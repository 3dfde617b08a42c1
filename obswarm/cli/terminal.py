"""Outputs of a run for a terminal: the live display or plain lines, the log, the summary.

A run without a live display imports rich at its end, for the summary.
"""

import os
import sys
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from obswarm.api import ObswarmError
from obswarm.app.guards_setup import EvaluateRequirements
from obswarm.app.locust_constants import console_interval_s
from obswarm.cli.guards_seen import GuardsSeen
from obswarm.cli.plain import EVERY_S, PlainProgress
from obswarm.config import RunConfig
from obswarm.engine import Output, RunResult
from obswarm.record import Snapshot
from obswarm.streams import STANDARD_OUTPUT, LogFile, echo_error, set_up_logging, write_to_stream

if TYPE_CHECKING:
    from obswarm.cli.text_console import TextConsole

_WITHOUT_CURSOR_CONTROL = ("", "dumb", "unknown")
"""Values of TERM."""


def can_redraw(stream: TextIO) -> bool:
    """Whether a live display can be redrawn in place on this stream.

    That is a terminal with cursor control that shows UTF-8, unless the variable CI is set. NO_COLOR
    (https://no-color.org) affects only colours, which rich then omits.
    """
    if not stream.isatty() or not stream.encoding.lower().startswith("utf"):
        return False
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        return False
    if os.environ.get("TERM", "").lower() in _WITHOUT_CURSOR_CONTROL:
        return False
    try:
        import curses
    except ImportError:
        return True
    try:
        curses.setupterm(fd=stream.fileno())
        return bool(curses.tigetstr("cuu1") or curses.tigetstr("cuu"))
    except (curses.error, OSError):
        # Terminals that are not in this machine's database are new ones, and have cursor control.
        return True


class TerminalDisplay:
    """The outputs of a run for a terminal. Sets up logging; raises ObswarmError if the log file cannot be written."""

    def __init__(self, config: RunConfig) -> None:
        wanted = config.outputs
        # Results go to stdout, progress to stderr; if the JSON result is on stdout, the summary goes to stderr, too.
        self._results = sys.stderr if STANDARD_OUTPUT in (wanted.json_file, wanted.stats_json) else sys.stdout
        self.live = can_redraw(sys.stderr) and not wanted.headless and not wanted.only_summary
        handler = None
        if self.live:
            from obswarm.cli.text_console import console_handler

            handler = console_handler(self.progress_console)
        self._log = None if wanted.skip_log_setup else set_up_logging(wanted.loglevel, wanted.logfile, handler)
        self._summary: Summary | None = None
        self.progress: list[Output] = []
        if self.live:
            from obswarm.cli.display import LiveDisplay

            self.progress.append(LiveDisplay(self.progress_console))
        elif not wanted.only_summary:
            self.progress.append(PlainProgress(sys.stderr, console_interval_s() or EVERY_S))

    @cached_property
    def progress_console(self) -> "TextConsole":
        """The console of the live display."""
        from obswarm.cli.text_console import TextConsole

        return TextConsole(stderr=True)

    @cached_property
    def summary_console(self) -> "TextConsole":
        """The console of the summary."""
        from obswarm.cli.text_console import stdout_console

        return stdout_console(self._results)

    def closing(self, evaluate: EvaluateRequirements) -> list[Output]:
        """Return the outputs at the end of the run."""
        self._summary = Summary(lambda: self.summary_console, evaluate)
        return [self._summary] if self._log is None else [Log(self._log), self._summary]

    def finished(self, result: RunResult) -> None:
        """Print outputs that failed after the summary, if the log that names them goes to a file."""
        if self._log is not None and self._summary is not None:
            for failed in result.failed_outputs[self._summary.shown_failures :]:
                echo_error(f"{failed.output} is not complete: {failed.reason}.")


class Summary(Output):
    """Prints the summary."""

    name = "The summary"

    def __init__(self, console: "Callable[[], TextConsole]", evaluate: EvaluateRequirements) -> None:
        self._console = console
        self._evaluate = evaluate
        self.shown_failures = 0
        """Number of failed outputs in the printed summary."""
        self._guards_seen = GuardsSeen()

    def snapshot(self, snapshot: Snapshot) -> None:
        self._guards_seen.add(snapshot)

    def finish(self, result: RunResult) -> None:
        from obswarm.cli.summary import print_summary

        console = self._console()
        # rich ends the process if a pipe is closed, so it does not write to the stream itself.
        with console.capture() as text:
            print_summary(console, result, self._evaluate(result), self._guards_seen)
        write_to_stream(console.file, text.get())
        self.shown_failures = len(result.failed_outputs)


class Log(Output):
    """Creates the log file of a run, and fails at the end if the file is incomplete."""

    def __init__(self, file: LogFile) -> None:
        self._file = file

    @property
    def name(self) -> str:
        return f"--logfile {self._file.named}"

    def snapshot(self, snapshot: Snapshot) -> None:
        self._file.make()

    def finish(self, result: RunResult) -> None:
        self._file.make()
        if self._file.failure is not None:
            raise ObswarmError(self._file.failure)

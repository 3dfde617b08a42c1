"""Outputs of a run for a terminal: the live display or plain lines, the log, the summary."""

import sys

from obswarm.api import ObswarmError
from obswarm.app.guards_setup import EvaluateRequirements
from obswarm.cli.display import LiveDisplay
from obswarm.cli.guards_seen import GuardsSeen
from obswarm.cli.plain import PlainProgress
from obswarm.cli.summary import print_summary
from obswarm.cli.text_console import TextConsole, can_redraw, console_handler, stdout_console
from obswarm.config import RunConfig
from obswarm.engine import Output, RunResult
from obswarm.record import Snapshot
from obswarm.streams import STANDARD_OUTPUT, LogFile, say_error, set_up_logging, write_to_stream


class TerminalDisplay:
    """The outputs of a run for a terminal. Sets up logging; raises ObswarmError if the log file cannot be written."""

    def __init__(self, config: RunConfig) -> None:
        wanted = config.outputs
        # Results go to stdout, progress to stderr; if the JSON result is on stdout, the summary goes to stderr, too.
        self.progress_console = TextConsole(stderr=True)
        self.summary_console = stdout_console(sys.stderr if wanted.json_file == STANDARD_OUTPUT else sys.stdout)
        self.live = can_redraw(sys.stderr) and not wanted.headless and not wanted.only_summary
        handler = console_handler(self.progress_console) if self.live else None
        self._log = set_up_logging(wanted.loglevel, wanted.logfile, handler)
        self._summary: Summary | None = None
        self.progress: list[Output] = []
        if self.live:
            self.progress.append(LiveDisplay(self.progress_console))
        elif not wanted.only_summary:
            self.progress.append(PlainProgress(sys.stderr))

    def closing(self, evaluate: EvaluateRequirements) -> list[Output]:
        """Return the outputs at the end of the run."""
        self._summary = Summary(self.summary_console, evaluate)
        return [self._summary] if self._log is None else [Log(self._log), self._summary]

    def finished(self, result: RunResult) -> None:
        """Print outputs that failed after the summary, if the log that names them goes to a file."""
        if self._log is not None and self._summary is not None:
            for failed in result.failed_outputs[self._summary.shown_failures :]:
                say_error(f"{failed.output} is not complete: {failed.reason}.")


class Summary(Output):
    """Prints the summary."""

    name = "The summary"

    def __init__(self, console: TextConsole, evaluate: EvaluateRequirements) -> None:
        self._console = console
        self._evaluate = evaluate
        self.shown_failures = 0
        """Number of failed outputs in the printed summary."""
        self._guards_seen = GuardsSeen()

    def snapshot(self, snapshot: Snapshot) -> None:
        self._guards_seen.add(snapshot)

    def finish(self, result: RunResult) -> None:
        # rich ends the process if a pipe is closed, so it does not write to the stream itself.
        with self._console.capture() as text:
            print_summary(self._console, result, self._evaluate(result), self._guards_seen)
        write_to_stream(self._console.file, text.get())
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

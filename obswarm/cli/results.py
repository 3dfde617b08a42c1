"""What is left of a run when it has ended, besides CSV files and the store: summary, JSON result, JUnit's XML."""

from collections.abc import Callable, Sequence

from obswarm.api import ObswarmError
from obswarm.cli.guards_seen import GuardsSeen
from obswarm.cli.streams import (
    STANDARD_OUTPUT,
    LogFile,
    is_missing,
    result_stream,
    write_to_file,
    write_to_stream,
)
from obswarm.cli.summary import print_summary
from obswarm.cli.text_console import TextConsole
from obswarm.engine import Output, RunResult, reason_of
from obswarm.guards import RequirementResult
from obswarm.json_text import to_json
from obswarm.private_files import check_writable
from obswarm.report import junit_document, result_document
from obswarm.stats import Snapshot

EvaluateRequirements = Callable[[RunResult], Sequence[RequirementResult]]
"""How the result meets what was required of it."""


class Summary(Output):
    """Prints the summary."""

    name = "The summary"

    def __init__(self, console: TextConsole, evaluate: EvaluateRequirements) -> None:
        self._console = console
        self._evaluate = evaluate
        self.shown_failures = 0
        """How many failed outputs it has named."""
        self._guards_seen = GuardsSeen()

    def snapshot(self, snapshot: Snapshot) -> None:
        self._guards_seen.add(snapshot)

    def finish(self, result: RunResult) -> None:
        # rich ends the process when a pipe is closed, so that it is not let near one.
        with self._console.capture() as text:
            print_summary(self._console, result, self._evaluate(result), self._guards_seen)
        write_to_stream(self._console.file, text.get())
        self.shown_failures = len(result.failed_outputs)


class Log(Output):
    """Sees to it that a run has its log file, and tells, when it has ended, that this is incomplete."""

    def __init__(self, option: str, file: LogFile) -> None:
        self._option = option
        self._file = file

    @property
    def name(self) -> str:
        return f"--logfile {self._option}"

    def snapshot(self, snapshot: Snapshot) -> None:
        self._file.make()

    def finish(self, result: RunResult) -> None:
        self._file.make()
        if self._file.failure is not None:
            raise ObswarmError(self._file.failure)


class JsonResult(Output):
    """Writes the result as JSON: to a file, or to standard output (`-`, and what is left when the file fails).

    Raises ObswarmError at once when the file cannot be written.
    """

    def __init__(self, path: str, evaluate: EvaluateRequirements) -> None:
        self._path = path
        self._evaluate = evaluate
        if path != STANDARD_OUTPUT:
            try:
                check_writable(path)
            except OSError as error:
                raise ObswarmError(f"--json {path}: the file cannot be written: {error.strerror}.") from None
        elif is_missing(result_stream()):
            raise ObswarmError("--json -: this command was started without a standard output. Name a file.")

    @property
    def name(self) -> str:
        return f"--json {self._path}"

    def finish(self, result: RunResult) -> None:
        text = to_json(result_document(result, self._evaluate(result)), indent=2) + "\n"
        if self._path == STANDARD_OUTPUT:
            write_to_stream(result_stream(), text)
            return
        try:
            write_to_file(self._path, text)
        except OSError as error:
            if is_missing(result_stream()):
                raise
            # It could be written when the run began; what was measured still goes somewhere.
            write_to_stream(result_stream(), text)
            raise ObswarmError(f"{reason_of(error)}; it is on standard output instead") from None


class JUnitResult(Output):
    """Writes requirements and guards as JUnit's XML."""

    def __init__(self, path: str, evaluate: EvaluateRequirements) -> None:
        self._path = path
        self._evaluate = evaluate

    @property
    def name(self) -> str:
        return f"--junit {self._path}"

    def finish(self, result: RunResult) -> None:
        write_to_file(self._path, junit_document(result, self._evaluate(result)))

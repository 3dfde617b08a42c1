"""Result files at the end of a run: JSON and JUnit XML."""

from obswarm.api import ObswarmError
from obswarm.app.guards_setup import EvaluateRequirements
from obswarm.engine import Output, RunResult
from obswarm.errors import reason_of
from obswarm.json_text import to_json
from obswarm.private_files import check_writable
from obswarm.record import Snapshot
from obswarm.report import LocustStatistics, result_document
from obswarm.streams import STANDARD_OUTPUT, is_missing, result_stream, write_to_file, write_to_stream


class JsonResult(Output):
    """Writes the result as JSON to a file, or to standard output (`-`, or if the file cannot be written at the end).

    Raises ObswarmError at once if the file cannot be written.
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
            raise ObswarmError("--json -: this command was started without a standard output. Use --json FILE.")

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
            # The check at the start succeeded; the result must not be lost now.
            write_to_stream(result_stream(), text)
            raise ObswarmError(f"{reason_of(error)}; it is on standard output instead") from None


class StatsJson(Output):
    """Writes the statistics of all endpoints as Locust's --json and --json-file do: to NAME.json, or to standard output
    (`-`). Raises ObswarmError at once if the file cannot be written."""

    def __init__(self, name: str) -> None:
        self._path = name if name == STANDARD_OUTPUT else f"{name}.json"
        self._statistics = LocustStatistics()
        if self._path != STANDARD_OUTPUT:
            try:
                check_writable(self._path)
            except OSError as error:
                raise ObswarmError(f"{self.name}: {self._path} cannot be written: {error.strerror}.") from None
        elif is_missing(result_stream()):
            raise ObswarmError(f"{self.name}: this command was started without a standard output. Give it a name.")

    @property
    def name(self) -> str:
        return f"--json-file {self._path.removesuffix('.json')}"

    def snapshot(self, snapshot: Snapshot) -> None:
        self._statistics.add(snapshot)

    def finish(self, result: RunResult) -> None:
        text = to_json(self._statistics.document(result.final), indent=4) + "\n"
        if self._path == STANDARD_OUTPUT:
            write_to_stream(result_stream(), text)
        else:
            write_to_file(self._path, text)


class JUnitResult(Output):
    """Writes the results of requirements and guards as JUnit XML.

    Raises ObswarmError at once if the file cannot be written.
    """

    def __init__(self, path: str, evaluate: EvaluateRequirements) -> None:
        self._path = path
        self._evaluate = evaluate
        # Few runs write it, and this imports an XML parser.
        from obswarm.report import junit_document

        self._document = junit_document
        try:
            check_writable(path)
        except OSError as error:
            raise ObswarmError(f"--junit: the file cannot be written: {error.strerror}.") from None

    @property
    def name(self) -> str:
        return f"--junit {self._path}"

    def finish(self, result: RunResult) -> None:
        write_to_file(self._path, self._document(result, self._evaluate(result)))

"""The outputs of a run, in the order in which they are finished; result files as JSON and JUnit XML."""

from collections.abc import Sequence

from obswarm.api import ObswarmError
from obswarm.app.guards_setup import EvaluateRequirements
from obswarm.app.locust_constants import report_percentiles
from obswarm.app.output_plugins import make_outputs
from obswarm.app.recording import Recording, configuration_of
from obswarm.app.session import Display
from obswarm.config import RunConfig
from obswarm.engine import Output, RunResult
from obswarm.errors import reason_of
from obswarm.json_text import to_json
from obswarm.private_files import check_writable
from obswarm.record import Snapshot
from obswarm.report import result_document
from obswarm.streams import STANDARD_OUTPUT, is_missing, result_stream, write_to_file, write_to_stream


def outputs_of(
    config: RunConfig,
    display: Display,
    evaluate: EvaluateRequirements,
    recording: Recording | None,
    others: Sequence[Output] = (),
) -> list[Output]:
    """Return the outputs of a run in the order in which they are finished: the JSON result is last, since it lists all
    failed outputs. Raises ObswarmError if a file cannot be written, or a third party's output cannot be created."""
    plugins = make_outputs(config.outputs.output, configuration_of(config, None))
    files, last = file_outputs(config, evaluate)
    outputs = [*others, *display.progress, *plugins, *files, *display.closing(evaluate)]
    if recording is not None:
        outputs += [recording, *recording.reports]
    return [*outputs, *last]


def file_outputs(config: RunConfig, evaluate: EvaluateRequirements) -> tuple[list[Output], list[Output]]:
    """Return the outputs that write files: those before the summary, and those after all others. Raises ObswarmError if
    a file cannot be written."""
    wanted = config.outputs
    if wanted.csv_full_history and not wanted.csv:
        raise ObswarmError(f"{config.label('csv_full_history')} needs --csv PREFIX, the path of the files.")
    files: list[Output] = []
    if wanted.csv:
        from obswarm.report import CsvFiles

        files.append(CsvFiles(wanted.csv, wanted.csv_full_history, report_percentiles()))
    if wanted.junit:
        files.append(JUnitResult(wanted.junit, evaluate))
    if wanted.json_file == wanted.stats_json == STANDARD_OUTPUT:
        raise ObswarmError("--json - and --json-file - would both be on standard output; write one of them to a file.")
    if wanted.stats_json:
        files.append(StatsJson(wanted.stats_json))
    return files, [JsonResult(wanted.json_file, evaluate)] if wanted.json_file else []


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
        # Before the run: an import would delay its users.
        from obswarm.report import LocustStatistics

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

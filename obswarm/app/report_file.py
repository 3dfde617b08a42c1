"""The report of a stored run as a file."""

from collections.abc import Callable
from pathlib import Path

from obswarm.api import ObswarmError
from obswarm.engine import Output, RunResult
from obswarm.private_files import make_private_folder, write_private
from obswarm.record import RunInfo
from obswarm.store import Store, read_run
from obswarm.streams import echo


def write_report(store: Store, run: RunInfo, path: Path) -> None:
    """Write the report of a run as one HTML file. Raises ObswarmError."""
    # Not before the run has ended: it imports Jinja2 and the analysis, which take megabytes.
    from obswarm.report import run_page

    write_page(path, run_page(read_run(store, run)))


def write_page(path: Path, page: str) -> None:
    """Write an HTML file, readable only by its owner if it is new. Raises ObswarmError."""
    try:
        make_private_folder(path.parent)
        write_private(path, page)
    except OSError as error:
        raise ObswarmError(f"The report {path} cannot be written: {error.strerror}.") from None


class ReportFile(Output):
    """Writes the report from the store to the path that `path_of` returns, and prints that path."""

    def __init__(self, store: Path, path_of: Callable[[RunInfo], Path], name: str = "The report") -> None:
        self._store = store
        self._path_of = path_of
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def finish(self, result: RunResult) -> None:
        with Store(self._store) as store:
            run = next((each for each in store.runs() if each.run_id == result.run_id), None)
            if run is None:
                # Its first record could not be written.
                raise ObswarmError("The run is not in the store, from which its report is made.")
            path = self._path_of(run)
            write_report(store, run, path)
        echo(f"Report: {path}", err=True)

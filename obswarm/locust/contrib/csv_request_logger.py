"""`locust.contrib.csv_request_logger`: a row in a CSV file for each request."""

from pathlib import Path
from typing import Any, TextIO, cast

from obswarm import clock
from obswarm.api import Environment
from obswarm.cluster import MasterRunner
from obswarm.csv_text import CsvRows
from obswarm.private_files import make_private_folder, open_private
from obswarm.sanitize import to_text

CSV_COLUMNS = (
    "timestamp",
    "request_type",
    "name",
    "response_time_ms",
    "response_length",
    "status_code",
    "exception",
)

__all__ = ["CSV_COLUMNS", "CsvRequestLogger"]


class CsvRequestLogger:
    """Writes requests to a file, from `register(environment)` in a listener of `init` until `quitting`.

    Times are wall time in seconds and milliseconds, sizes in bytes. Each process with users has a file of its own: the
    first one `filepath`, further ones the same name with their worker index (`requests-1.csv`).
    """

    def __init__(self, filepath: str, *, flush_interval: int = 1) -> None:
        """The file is flushed after `flush_interval` rows, at least 1."""
        self.filepath = filepath
        self.flush_interval = max(1, flush_interval)
        self._file: TextIO | None = None
        self._unflushed = 0

    def register(self, environment: Environment) -> None:
        """Open the file, replacing an earlier one, and listen for requests. A master, which makes none, has no file.
        Raises OSError if it cannot be written."""
        if isinstance(environment.runner, MasterRunner):
            return
        self.close()
        index = getattr(environment.runner, "worker_index", 0)
        path = Path(self.filepath)
        if index > 0:
            path = path.with_stem(f"{path.stem}-{index}")
        make_private_folder(path.parent)
        self._file = cast(TextIO, open_private(path, "w", newline="", encoding="utf-8"))
        CsvRows(self._file).write(CSV_COLUMNS)
        self._file.flush()
        environment.events.request.add_listener(self._write)
        environment.events.quitting.add_listener(lambda **_: self.close())

    def close(self) -> None:
        """Write what is left, and close the file, if it is open."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def _write(
        self,
        *,
        request_type: str,
        name: str,
        response_time: float | None,
        response_length: int,
        exception: Any = None,
        response: Any = None,
        start_time: float | None = None,
        **_: Any,
    ) -> None:
        if self._file is None:
            return
        CsvRows(self._file).write(
            [
                round(clock.wall() if start_time is None else start_time, 6),
                request_type,
                name,
                "" if response_time is None else round(response_time, 2),
                response_length,
                _status_code(response),
                "" if exception is None else to_text(exception),
            ]
        )
        self._unflushed += 1
        if self._unflushed >= self.flush_interval:
            self._file.flush()
            self._unflushed = 0


def _status_code(response: Any) -> int:
    """Return HTTP's status code, 0 without one."""
    try:
        return int(response.status_code)
    except (AttributeError, TypeError, ValueError):
        return 0

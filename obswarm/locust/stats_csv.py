"""Statistics as CSV with Locust's columns, for programs that write them themselves; `obswarm run --csv` has a writer of
its own. Times are in milliseconds."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TextIO, cast

import gevent

from obswarm import clock
from obswarm.api import Environment
from obswarm.csv_text import CsvRows
from obswarm.locust.util.date import format_utc_timestamp
from obswarm.private_files import make_private_folder, open_private

__all__ = ["StatsCSV", "StatsCSVFileWriter"]

_MISSING = "N/A"


class _Writer(Protocol):
    def writerow(self, row: Iterable[Any], /) -> Any: ...


class StatsCSV:
    """Writes the statistics of an environment to a writer of the module csv. `percentiles_to_report` are shares."""

    def __init__(self, environment: Environment, percentiles_to_report: Sequence[float]) -> None:
        self.environment = environment
        self.percentiles_to_report = list(percentiles_to_report)
        self.percentiles_na = [_MISSING] * len(self.percentiles_to_report)
        names = [f"{round(share * 100, 6):g}%" for share in self.percentiles_to_report]
        self.requests_csv_columns = [
            *("Type", "Name", "Request Count", "Failure Count", "Median Response Time", "Average Response Time"),
            *("Min Response Time", "Max Response Time", "Average Content Size", "Requests/s", "Failures/s", *names),
        ]
        self.failures_columns = ["Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen"]
        self.exceptions_columns = ["Count", "Message", "Traceback", "Nodes"]
        self.stats_history_csv_columns = [
            *("Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s", *names, "Total Request Count"),
            *("Total Failure Count", "Total Median Response Time", "Total Average Response Time"),
            *("Total Min Response Time", "Total Max Response Time", "Total Average Content Size"),
        ]

    def requests_csv(self, csv_writer: _Writer) -> None:
        """Write a row for each endpoint, and one for all of them, below a heading."""
        _write(csv_writer, self.requests_csv_columns, self._request_rows())

    def failures_csv(self, csv_writer: _Writer) -> None:
        """Write a row for each error, below a heading."""
        _write(csv_writer, self.failures_columns, self._failure_rows())

    def exceptions_csv(self, csv_writer: _Writer) -> None:
        """Write a row for each exception of the load test, below a heading."""
        _write(csv_writer, self.exceptions_columns, self._exception_rows())

    def close_files(self) -> None:
        """Close the files, if there are any."""

    def _entries(self) -> Iterator[tuple[str, str, Any]]:
        """Return method, name and entry of each endpoint, then those of all together."""
        stats = self.environment.stats
        for _, entry in sorted(stats.entries.items()):
            yield entry.method, entry.name, entry
        yield "", "Aggregated", stats.total

    def _request_rows(self) -> Iterator[list[Any]]:
        for method, name, entry in self._entries():
            percentiles = [int(entry.get_response_time_percentile(share) or 0) for share in self.percentiles_to_report]
            yield [
                *(method, name, entry.num_requests, entry.num_failures, *_averages(entry)),
                *(entry.total_rps, entry.total_fail_per_sec),
                *(percentiles if entry.num_requests else self.percentiles_na),
            ]

    def _failure_rows(self) -> Iterator[list[Any]]:
        errors = self.environment.stats.errors
        for each in sorted(errors.values(), key=lambda each: (each.method, each.name, str(each.error))):
            moments_s = (each.first_seen, each.last_seen)
            seen = ("" if moment_s is None else format_utc_timestamp(moment_s) for moment_s in moments_s)
            yield [each.method, each.name, str(each.error), each.occurrences, *seen]

    def _exception_rows(self) -> Iterator[list[Any]]:
        runner = self.environment.runner
        for found in runner.exceptions.values() if runner is not None else ():
            yield [found["count"], found["msg"], found["traceback"], ", ".join(found["nodes"])]


class StatsCSVFileWriter(StatsCSV):
    """Writes four files, whose names begin with `base_filepath`, again and again while `stats_writer` runs. Raises
    OSError if they cannot be written."""

    write_every_s: float = 1
    flush_every_s: float = 5

    def __init__(
        self,
        environment: Environment,
        percentiles_to_report: Sequence[float],
        base_filepath: str,
        full_history: bool = False,
    ) -> None:
        super().__init__(environment, percentiles_to_report)
        self.base_filepath = base_filepath
        self.full_history = full_history
        self._files = {kind: _open(f"{base_filepath}_{kind}.csv") for kind in ("stats", "failures", "exceptions")}
        self._history = _open(self.stats_history_file_name())
        CsvRows(self._history).write(self.stats_history_csv_columns)

    def __call__(self) -> None:
        self.stats_writer()

    def stats_history_file_name(self) -> str:
        """Return the path of the history."""
        return f"{self.base_filepath}_stats_history.csv"

    def stats_writer(self) -> None:
        """Write the files every `write_every_s` seconds, until the greenlet is killed or they are closed. They are
        flushed every `flush_every_s` seconds."""
        flushed_s = -float("inf")
        while not self._history.closed:
            self._write()
            if clock.monotonic() - flushed_s >= self.flush_every_s:
                flushed_s = clock.monotonic()
                for file in (self._history, *self._files.values()):
                    file.flush()
            gevent.sleep(self.write_every_s)

    def close_files(self) -> None:
        """Write the files a last time, and close them."""
        if self._history.closed:
            return
        self._write()
        for file in (self._history, *self._files.values()):
            file.close()

    def _write(self) -> None:
        history = CsvRows(self._history)
        for row in self._history_rows():
            history.write(row)
        for kind, columns, rows in (
            ("stats", self.requests_csv_columns, self._request_rows()),
            ("failures", self.failures_columns, self._failure_rows()),
            ("exceptions", self.exceptions_columns, self._exception_rows()),
        ):
            file = self._files[kind]
            file.seek(0)
            writer = CsvRows(file)
            for each in chain([columns], rows):
                writer.write(each)
            file.truncate()

    def _history_rows(self) -> Iterator[list[Any]]:
        runner = self.environment.runner
        users = runner.user_count if runner is not None else 0
        entries = list(self._entries())
        for method, name, entry in entries if self.full_history else entries[-1:]:
            current = [entry.get_current_response_time_percentile(share) for share in self.percentiles_to_report]
            yield [
                *(int(clock.wall()), users, method, name),
                *(f"{entry.current_rps:.6f}", f"{entry.current_fail_per_sec:.6f}"),
                *(_MISSING if value is None else int(value) for value in current),
                *(entry.num_requests, entry.num_failures, *_averages(entry)),
            ]


def _averages(entry: Any) -> tuple[float, ...]:
    return (
        entry.median_response_time,
        entry.avg_response_time,
        entry.min_response_time or 0,
        entry.max_response_time,
        entry.avg_content_length,
    )


def _write(writer: _Writer, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    for row in chain([columns], rows):
        writer.writerow(row)


def _open(path: str) -> TextIO:
    make_private_folder(Path(path).parent)
    return cast(TextIO, open_private(path, "w", newline="", encoding="utf-8"))

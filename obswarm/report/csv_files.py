"""Write CSV files with Locust's file names and columns, so that scripts for those keep working.

Times are in milliseconds. `PREFIX_stats.csv`, `_failures.csv` and `_exceptions.csv` are written at the end, as is
`PREFIX_metrics.csv` if the load test has its own metrics. `PREFIX_stats_history.csv` grows by one row a second during
the run, also when the master is killed and another takes over. Texts are escaped against formula injection in
spreadsheets; see `CsvRows`.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple, TextIO, cast

from obswarm.api import ObswarmError
from obswarm.csv_text import CsvRows
from obswarm.engine import Output, RunResult
from obswarm.private_files import check_writable, make_private_folder, open_private
from obswarm.record import Annotation, RunState, Snapshot
from obswarm.report.custom_table import custom_values
from obswarm.stats import TOTAL, EndpointKey, EndpointStats, total_of

PERCENTILES = (0.5, 0.66, 0.75, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 0.9999, 1.0)
_STATS_COLUMNS = [
    "Type",
    "Name",
    "Request Count",
    "Failure Count",
    "Median Response Time",
    "Average Response Time",
    "Min Response Time",
    "Max Response Time",
    "Average Content Size",
    "Requests/s",
    "Failures/s",
]
_RECENT_COLUMNS = [
    "Timestamp",
    "User Count",
    "Type",
    "Name",
    "Requests/s",
    "Failures/s",
]
_TOTAL_COLUMNS = [
    "Total Request Count",
    "Total Failure Count",
    "Total Median Response Time",
    "Total Average Response Time",
    "Total Min Response Time",
    "Total Max Response Time",
    "Total Average Content Size",
]
_METRICS = "metrics"
_METRICS_COLUMNS = {
    "Count": "count",
    "Sum": "sum",
    "Per Second": "per second",
    "Last": "last",
    "Average": "mean",
    "Min": "min",
    "50%": "p50",
    "90%": "p90",
    "95%": "p95",
    "99%": "p99",
    "Max": "max",
}
_SUFFIXES = ("stats", "failures", "exceptions", "stats_history")
_LINE_END = b"\r\n"
"""Line terminator of the csv module. No cell contains it, see `text_cell`."""
_LONGEST_ROW_BYTES = 64 * 1024
_ROUNDING_S = 1
"""The computed start of a restored run may be off by one second."""


class CsvFiles(Output):
    """Output that writes the history during the run and the other three files at its end.

    The constructor raises ObswarmError if the files are not writable. Files of an earlier run are kept until this run
    has something to write. A restored run appends to the history of the previous process.
    """

    def __init__(self, prefix: str, full_history: bool = False, percentiles: Sequence[float] = PERCENTILES) -> None:
        """`percentiles` are shares of 1, each with a column."""
        self._prefix = prefix
        self._percentiles = tuple(percentiles)
        names = [f"{share * 100:.6g}%" for share in self._percentiles]
        self._stats_columns = [*_STATS_COLUMNS, *names]
        self._history_columns = [*_RECENT_COLUMNS, *names, *_TOTAL_COLUMNS]
        self._full_history = full_history
        self._started_s = 0.0
        self._second = 0
        self._parts: list[Snapshot] = []
        """Snapshots of the second `_second`, which has no row yet."""
        self._written = 0
        self._before: Snapshot | None = None
        """The last snapshot of the last second with a row."""
        self._history: TextIO | None = None
        self._append_at: int | None = None
        """End of a previous process' rows in the file, in bytes; None if there are none."""
        self._continues = False
        """Whether the next row is the first after those of a previous process."""
        try:
            for suffix in _SUFFIXES:
                check_writable(_path(prefix, suffix))
        except OSError as error:
            raise ObswarmError(f"--csv {prefix}: the files cannot be written: {error.strerror}.") from None

    @property
    def name(self) -> str:
        return f"--csv {self._prefix}"

    def snapshot(self, snapshot: Snapshot) -> None:
        """Add a snapshot, and write the row of a second once a snapshot of a later one arrives.

        Snapshots in the middle of a second, and the rest at the end of a run, belong to the nearest second; those in
        the first half of the first second belong to that.
        """
        second = round(snapshot.elapsed_s)
        if self._parts and second > self._second > 0:
            self._write_second()
        self._second = max(second, self._second)
        self._parts.append(snapshot)
        self._started_s = snapshot.started_s

    def restored(self, snapshot: Snapshot, annotations: Sequence[Annotation]) -> None:
        """Append to the existing history, if it is of this run."""
        started_s = int(snapshot.started_s)
        found = _unfinished_history(_path(self._prefix, "stats_history"), started_s, self._history_columns)
        if found is None:
            return
        self._append_at, self._before, self._continues = found.end_bytes, snapshot, True
        self._written = max(0, found.last_s - started_s)
        # One row per second, even if the clock was set back in between.
        self._second = self._written + 1

    def _open_history(self) -> TextIO:
        if self._history is None and self._append_at is not None:
            history = _open(self._prefix, "stats_history", "r+")
            history.seek(self._append_at)
            history.truncate()
            self._history = history
        elif self._history is None:
            self._history = _open(self._prefix, "stats_history")
            CsvRows(self._history).write(self._history_columns)
        return self._history

    def _write_second(self) -> None:
        parts, self._parts = self._parts, []
        if not parts:
            return
        history = self._open_history()
        last = parts[-1]
        interval_s = sum(part.interval_s for part in parts)
        recents = {
            key: total_of(part.interval[key] for part in parts if key in part.interval) for key in self._keys(last)
        }
        recents[TOTAL] = total_of(part.interval_total for part in parts)
        # Seconds without snapshots (blocked event loop, no master, the unwritten last second of a previous master) get
        # rows with the values of the first snapshot after them.
        known_s = self._second - self._written
        missed = max(0, (known_s if self._continues else min(known_s, round(interval_s))) - 1)
        self._continues = False
        for second in range(self._second - missed, self._second):
            users = 0 if self._before is None else self._before.user_count
            self._write_rows(history, second, users, self._before, recents, interval_s)
        self._write_rows(history, self._second, self._users(parts, interval_s), last, recents, interval_s)
        history.flush()
        self._written, self._before = self._second, last

    def _users(self, parts: Sequence[Snapshot], interval_s: float) -> int:
        """Return the users of a second. The final snapshot, taken after the end, has none; if there was load for most
        of the time until then, or a request finished, the users are those of the snapshot before."""
        with_users = [part for part in parts if part.state is not RunState.STOPPED]
        if with_users or self._before is None:
            return (with_users or parts)[-1].user_count
        had_load = (parts[-1].load_s - self._before.load_s) * 2 > interval_s
        had_load = had_load or any(part.interval_total.requests for part in parts)
        return self._before.user_count if had_load else parts[-1].user_count

    def _keys(self, snapshot: Snapshot) -> list[EndpointKey]:
        return sorted(snapshot.endpoints) if self._full_history else []

    def _write_rows(
        self,
        history: TextIO,
        second: int,
        users: int,
        known: Snapshot | None,
        recents: Mapping[EndpointKey, EndpointStats],
        interval_s: float,
    ) -> None:
        """Write the rows of a second: totals of the run from `known`, values of the interval from `recents`."""
        rows = CsvRows(history)
        for key, recent in recents.items():
            total = EndpointStats(key)
            if known is not None:
                total = known.total if key is TOTAL else known.endpoints.get(key, total)
            rows.write(
                [
                    int(self._started_s) + second,
                    users,
                    *_names(total),
                    f"{recent.requests / interval_s:.6f}",
                    f"{recent.failures / interval_s:.6f}",
                    *_percentiles(recent, self._percentiles),
                    total.requests,
                    total.failures,
                    *_averages(total),
                ]
            )

    def finish(self, result: RunResult) -> None:
        """Write the final files and close the history. An error with one file does not prevent the others."""
        final = result.final
        steps: list[Callable[[], None]] = [
            self._write_second,
            lambda: self._open_history().close(),
            *(partial(write, final) for write in (self._write_stats, self._write_failures, self._write_exceptions)),
        ]
        if final.custom or _path(self._prefix, _METRICS).exists():
            # Also to replace those of an earlier run.
            steps.append(partial(self._write_metrics, final))
        failures: list[OSError] = []
        for step in steps:
            try:
                step()
            except OSError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def close(self) -> None:
        if self._history is not None and self._history.closed:
            return
        try:
            self._write_second()
        finally:
            if self._history is not None:
                self._history.close()

    def _write_stats(self, final: Snapshot) -> None:
        stats = [*(stats for _, stats in sorted(final.endpoints.items())), final.total]
        self._write(
            "stats",
            self._stats_columns,
            (
                [
                    *_names(entry),
                    entry.requests,
                    entry.failures,
                    *_averages(entry),
                    f"{entry.rate(final.load_s):.6f}",
                    f"{entry.failure_rate(final.load_s):.6f}",
                    *_percentiles(entry, self._percentiles),
                ]
                for entry in stats
            ),
        )

    def _write_failures(self, final: Snapshot) -> None:
        self._write(
            "failures",
            ["Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen", "Example"],
            (
                [*key, seen.count, _timestamp_text(seen.first_seen_s), _timestamp_text(seen.last_seen_s), seen.example]
                for key, seen in sorted(final.errors.items())
            ),
        )

    def _write_exceptions(self, final: Snapshot) -> None:
        self._write(
            "exceptions",
            ["Count", "Message", "Traceback", "Nodes"],
            ([found.count, found.message, found.traceback, "local"] for found in final.exceptions.values()),
        )

    def _write_metrics(self, final: Snapshot) -> None:
        rows = [(key, custom_values(key, stats, final.load_s)) for key, stats in sorted(final.custom.items())]
        self._write(
            _METRICS,
            ["Name", "Kind", "Unit", "Labels", *_METRICS_COLUMNS],
            (
                [
                    key.name,
                    str(key.kind),
                    key.unit,
                    ", ".join(f"{name}={value}" for name, value in key.labels),
                    *("" if values.get(name) is None else values[name] for name in _METRICS_COLUMNS.values()),
                ]
                for key, values in rows
            ),
        )

    def _write(self, suffix: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        with _open(self._prefix, suffix) as file:
            writer = CsvRows(file)
            for row in (columns, *rows):
                writer.write(row)


def _path(prefix: str, suffix: str) -> Path:
    return Path(f"{prefix}_{suffix}.csv")


def _open(prefix: str, suffix: str, mode: str = "w") -> TextIO:
    path = _path(prefix, suffix)
    make_private_folder(path.parent)
    return cast(TextIO, open_private(path, mode, newline="", encoding="utf-8"))


class _UnfinishedHistory(NamedTuple):
    """Timestamp of the last row, and the offset of its end."""

    last_s: int
    end_bytes: int


def _unfinished_history(path: Path, started_s: int, columns: Sequence[str]) -> _UnfinishedHistory | None:
    """Find the rows that a previous process wrote for the run started at `started_s`.

    Returns None if the file is not of this run (its first row is earlier). An incomplete last row is ignored. Raises
    OSError.
    """
    if not path.is_file():
        return None
    header = ",".join(columns).encode() + _LINE_END
    with open(path, "rb") as file:
        if file.read(len(header)) != header:
            return None
        first_s = _timestamp(file.read(_LONGEST_ROW_BYTES))
        size = file.seek(0, io.SEEK_END)
        begin = file.seek(max(len(header) - len(_LINE_END), size - 2 * _LONGEST_ROW_BYTES))
        tail = file.read()
    end = tail.rfind(_LINE_END)
    last_s = _timestamp(tail[tail.rfind(_LINE_END, 0, max(0, end)) + len(_LINE_END) :])
    if first_s is None or last_s is None or first_s < started_s - _ROUNDING_S:
        return None
    return _UnfinishedHistory(last_s, begin + end + len(_LINE_END))


def _timestamp(rows: bytes) -> int | None:
    """Return the Timestamp of the first row; None if that is incomplete."""
    cell, comma, rest = rows.partition(b",")
    return int(cell) if comma and cell.isdigit() and _LINE_END in rest else None


def _names(stats: EndpointStats) -> list[object]:
    return [stats.key.method, stats.key.full_name]


def _averages(stats: EndpointStats) -> list[object]:
    size = stats.response_bytes / stats.requests if stats.requests else 0
    median = stats.quantile(0.5)
    return [*map(_milliseconds, (median, stats.duration.mean_s, stats.min_s, stats.max_s)), f"{size:.2f}"]


def _percentiles(stats: EndpointStats, shares: tuple[float, ...]) -> list[object]:
    return [_milliseconds(value) for value in stats.quantiles(shares)] or ["N/A"] * len(shares)


def _milliseconds(seconds: float | None) -> str:
    return f"{(seconds or 0) * 1000:.3f}"


def _timestamp_text(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="seconds")

"""CSV files with the names and columns that Locust writes, so that scripts that read those go on working.

Times are in milliseconds. `PREFIX_stats.csv`, `_failures.csv` and `_exceptions.csv` are written at the end,
`PREFIX_stats_history.csv` grows while the run goes on, by one row a second of it, also when the run's master is killed
and started again. Texts are made harmless for spreadsheets; see `CsvRows`.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple, TextIO, cast

from obswarm.api import ObswarmError
from obswarm.engine import Output, RunResult
from obswarm.private_files import check_writable, make_private_folder, open_private
from obswarm.sanitize import escape_lines, to_text
from obswarm.stats import TOTAL, Annotation, EndpointKey, EndpointStats, RunState, Snapshot, total_of

PERCENTILES = (0.5, 0.66, 0.75, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 0.9999, 1.0)
_PERCENTILE_NAMES = [f"{percentile * 100:.6g}%" for percentile in PERCENTILES]
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
    *_PERCENTILE_NAMES,
]
_HISTORY_COLUMNS = [
    "Timestamp",
    "User Count",
    "Type",
    "Name",
    "Requests/s",
    "Failures/s",
    *_PERCENTILE_NAMES,
    "Total Request Count",
    "Total Failure Count",
    "Total Median Response Time",
    "Total Average Response Time",
    "Total Min Response Time",
    "Total Max Response Time",
    "Total Average Content Size",
]
_SUFFIXES = ("stats", "failures", "exceptions", "stats_history")
_LINE_END = b"\r\n"
"""The csv module's; no cell has it, see `text_cell`."""
_LONGEST_ROW_BYTES = 64 * 1024
_ROUNDING_S = 1
"""The start of a run that is taken up may be computed to lie in the second before or after."""


_FORMULA = re.compile(r"\s*[=+\-@\uff0b\uff0d\uff1d\uff20]")
"""What a cell begins with that a spreadsheet takes for a formula, full-width forms included
(https://owasp.org/www-community/attacks/CSV_Injection)."""

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def text_cell(value: object) -> str:
    """A cell as it is written: no control characters but line feeds and tabs, and an apostrophe before a text that a
    spreadsheet would take for a formula. Numbers stay as they are."""
    text = escape_lines(to_text(value))
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


class CsvRows:
    """Writes rows to a stream, each cell as by `text_cell`."""

    def __init__(self, stream: TextIO) -> None:
        self._writer = csv.writer(stream)

    def write(self, row: Iterable[object]) -> None:
        self._writer.writerow([text_cell(value) for value in row])


class CsvFiles(Output):
    """Writes the history, and, at the end, the other three files.

    Raises ObswarmError at once when the files cannot be written. What is there of an earlier run stays as it is until
    this one has something to write. A run that is taken up goes on with the history that the process before has begun.
    """

    def __init__(self, prefix: str, full_history: bool = False) -> None:
        self._prefix = prefix
        self._full_history = full_history
        self._started_s = 0.0
        self._second = 0
        self._parts: list[Snapshot] = []
        """Of that second of the run, which has no row yet."""
        self._written = 0
        self._before: Snapshot | None = None
        """The last second that has a row, and what it was made from."""
        self._history: TextIO | None = None
        self._goes_on_at: int | None = None
        """Where rows of an earlier process end, in bytes."""
        self._goes_on = False
        """Whether the next row is the first one after those of an earlier process."""
        try:
            for suffix in _SUFFIXES:
                check_writable(_path(prefix, suffix))
        except OSError as error:
            raise ObswarmError(f"--csv {prefix}: the files cannot be written: {error.strerror}.") from None

    @property
    def name(self) -> str:
        return f"--csv {self._prefix}"

    def snapshot(self, snapshot: Snapshot) -> None:
        """Write the row of a second once the next one has come: what is left at the end of a run, or came in the middle
        of a second, is a part of the nearest one; what came in the first half of the first second is a part of that."""
        second = round(snapshot.elapsed_s)
        if self._parts and second > self._second > 0:
            self._write_second()
        self._second = max(second, self._second)
        self._parts.append(snapshot)
        self._started_s = snapshot.started_s

    def restored(self, snapshot: Snapshot, annotations: Sequence[Annotation]) -> None:
        """Have rows added to the history, if it is this run's."""
        started_s = int(snapshot.started_s)
        found = _unfinished_history(_path(self._prefix, "stats_history"), started_s)
        if found is None:
            return
        self._goes_on_at, self._before, self._goes_on = found.end_bytes, snapshot, True
        self._written = max(0, found.last_s - started_s)
        # A second has one row, also where a clock was set back meanwhile.
        self._second = self._written + 1

    def _open_history(self) -> TextIO:
        if self._history is None and self._goes_on_at is not None:
            history = _open(self._prefix, "stats_history", "r+")
            history.seek(self._goes_on_at)
            history.truncate()
            self._history = history
        elif self._history is None:
            self._history = _open(self._prefix, "stats_history")
            CsvRows(self._history).write(_HISTORY_COLUMNS)
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
        # Seconds in which the program was held up have no snapshot: theirs is that of the first one afterwards; also
        # those without a master, and the last one of the master before, which had not written its row.
        known_s = self._second - self._written
        missed = max(0, (known_s if self._goes_on else min(known_s, round(interval_s))) - 1)
        self._goes_on = False
        for second in range(self._second - missed, self._second):
            users = 0 if self._before is None else self._before.user_count
            self._write_rows(history, second, users, self._before, recents, interval_s)
        self._write_rows(history, self._second, self._users(parts, interval_s), last, recents, interval_s)
        history.flush()
        self._written, self._before = self._second, last

    def _users(self, parts: Sequence[Snapshot], interval_s: float) -> int:
        """Who was there: a run's last snapshot is of the moment after its end, in which nobody is, also where there was
        load until then."""
        there = [part for part in parts if part.state is not RunState.STOPPED]
        if there or self._before is None:
            return (there or parts)[-1].user_count
        had_load = (parts[-1].load_s - self._before.load_s) * 2 > interval_s
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
        """`known` is what was known at its end of the run until then, `recents` what an interval has added."""
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
                    *_percentiles(recent),
                    total.requests,
                    total.failures,
                    *_averages(total),
                ]
            )

    def finish(self, result: RunResult) -> None:
        """Write the files of the end and close the history. Each is tried, also when another cannot be written."""
        final = result.final
        steps: list[Callable[[], None]] = [
            self._write_second,
            lambda: self._open_history().close(),
            *(partial(write, final) for write in (self._write_stats, self._write_failures, self._write_exceptions)),
        ]
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
            _STATS_COLUMNS,
            (
                [
                    *_names(entry),
                    entry.requests,
                    entry.failures,
                    *_averages(entry),
                    f"{entry.rate(final.load_s):.6f}",
                    f"{entry.failure_rate(final.load_s):.6f}",
                    *_percentiles(entry),
                ]
                for entry in stats
            ),
        )

    def _write_failures(self, final: Snapshot) -> None:
        self._write(
            "failures",
            ["Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen", "Example"],
            (
                [*key, seen.count, _stamp(seen.first_seen_s), _stamp(seen.last_seen_s), seen.example]
                for key, seen in sorted(final.errors.items())
            ),
        )

    def _write_exceptions(self, final: Snapshot) -> None:
        self._write(
            "exceptions",
            ["Count", "Message", "Traceback", "Nodes"],
            ([found.count, found.message, found.traceback, "local"] for found in final.exceptions.values()),
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
    """The Timestamp of its last row, and where that row ends."""

    last_s: int
    end_bytes: int


def _unfinished_history(path: Path, started_s: int) -> _UnfinishedHistory | None:
    """Find what an earlier process has written of the run that began at `started_s`; None when the file is something
    else: that of an earlier run has a first row from before. A row that was cut off by the end of the process does not
    count. Raises OSError."""
    if not path.is_file():
        return None
    header = ",".join(_HISTORY_COLUMNS).encode() + _LINE_END
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
    """That of the first row, None if that is not whole."""
    cell, comma, rest = rows.partition(b",")
    return int(cell) if comma and cell.isdigit() and _LINE_END in rest else None


def _names(stats: EndpointStats) -> list[object]:
    return [stats.key.method, stats.key.name]


def _averages(stats: EndpointStats) -> list[object]:
    size = stats.response_bytes / stats.requests if stats.requests else 0
    median = stats.quantile(0.5)
    return [*map(_milliseconds, (median, stats.duration.mean_s, stats.min_s, stats.max_s)), f"{size:.2f}"]


def _percentiles(stats: EndpointStats) -> list[object]:
    return [_milliseconds(value) for value in stats.quantiles(PERCENTILES)] or ["N/A"] * len(PERCENTILES)


def _milliseconds(seconds: float | None) -> str:
    return f"{(seconds or 0) * 1000:.3f}"


def _stamp(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="seconds")

"""CSV files with the names and columns that Locust writes, so that scripts that read those go on working.

Times are in milliseconds. `PREFIX_stats.csv`, `_failures.csv` and `_exceptions.csv` are written at the end,
`PREFIX_stats_history.csv` grows while the run goes on. Texts are made harmless for spreadsheets; see `CsvRows`.
"""

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TextIO

from obswarm.api import ObswarmError
from obswarm.engine import Output, RunResult
from obswarm.sanitize import escape_lines, to_text
from obswarm.stats import EndpointStats, Snapshot

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

    Raises ObswarmError at the start when the files cannot be written.
    """

    def __init__(self, prefix: str, full_history: bool = False) -> None:
        self._prefix = prefix
        self._full_history = full_history
        try:
            Path(prefix).parent.mkdir(parents=True, exist_ok=True)
            self._history = _open(prefix, "stats_history")
            self._rows = CsvRows(self._history)
            self._rows.write(_HISTORY_COLUMNS)
        except OSError as error:
            raise ObswarmError(f"--csv {prefix}: the files cannot be written: {error.strerror}.") from None

    @property
    def name(self) -> str:
        return f"--csv {self._prefix}"

    def snapshot(self, snapshot: Snapshot) -> None:
        rows: list[tuple[EndpointStats, EndpointStats | None]] = []
        if self._full_history:
            rows.extend((stats, snapshot.interval.get(key)) for key, stats in sorted(snapshot.endpoints.items()))
        rows.append((snapshot.total, snapshot.interval_total))
        for total, recent in rows:
            self._rows.write(
                [
                    int(snapshot.time_s),
                    snapshot.user_count,
                    *_names(total),
                    f"{(recent.requests if recent else 0) / snapshot.interval_s:.6f}",
                    f"{(recent.failures if recent else 0) / snapshot.interval_s:.6f}",
                    *_percentiles(recent),
                    total.requests,
                    total.failures,
                    *_averages(total),
                ]
            )
        self._history.flush()

    def finish(self, result: RunResult) -> None:
        """Write the files of the end and close the history. Each is tried, also when another cannot be written."""
        final = result.final
        steps: list[Callable[[], None]] = [
            self._history.close,
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
        self._history.close()

    def _write_stats(self, final: Snapshot) -> None:
        elapsed_s = final.stats_elapsed_s or 1.0
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
                    f"{entry.requests / elapsed_s:.6f}",
                    f"{entry.failures / elapsed_s:.6f}",
                    *_percentiles(entry),
                ]
                for entry in stats
            ),
        )

    def _write_failures(self, final: Snapshot) -> None:
        self._write(
            "failures",
            ["Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen"],
            (
                [*key, seen.count, _stamp(seen.first_seen_s), _stamp(seen.last_seen_s)]
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


def _open(prefix: str, suffix: str) -> TextIO:
    return open(f"{prefix}_{suffix}.csv", "w", newline="", encoding="utf-8")


def _names(stats: EndpointStats) -> list[object]:
    return [stats.key.method, stats.key.name]


def _averages(stats: EndpointStats) -> list[object]:
    size = stats.response_bytes / stats.requests if stats.requests else 0
    median = stats.quantile(0.5)
    return [*map(_milliseconds, (median, stats.duration.mean_s, stats.min_s, stats.max_s)), f"{size:.2f}"]


def _percentiles(stats: EndpointStats | None) -> list[object]:
    values = stats.quantiles(PERCENTILES) if stats is not None else ()
    return [_milliseconds(value) for value in values] or ["N/A"] * len(PERCENTILES)


def _milliseconds(seconds: float | None) -> str:
    return f"{(seconds or 0) * 1000:.3f}"


def _stamp(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="seconds")

"""Find, list, tag, annotate, remove and read the runs of a store."""

import json
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from obswarm.api import ObswarmError
from obswarm.record import Annotation, GuardState, LoadTestText, RunInfo
from obswarm.redact import redact_text, redact_value
from obswarm.sanitize import escape_lines
from obswarm.store.schema import connect, convert_errors

_TAG = re.compile(r"[\w][\w.:/-]{0,63}")
LATEST = "latest"


_COLUMNS = (
    "id, run_id, test, host, started_s, ended_s, (SELECT max(time_s) FROM seconds WHERE run = runs.id), planned_s,"
    " version, configuration, revision, result, note"
)


class Store:
    """The runs in the file at `path`, as a context manager. All methods raise ObswarmError if the file is unusable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = connect(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _query(self, sql: str, *values: Any) -> list[Any]:
        with convert_errors(self.path):
            # SQLite rejects surrogates, which a command line may have.
            clean = [escape_lines(value) if isinstance(value, str) else value for value in values]
            return self._connection.execute(sql, clean).fetchall()

    def runs(self, test: str | None = None, tag: str | None = None) -> list[RunInfo]:
        """Return the runs, optionally of one load test or with one tag, the newest first."""
        conditions, values = ["1"], []
        if test is not None:
            conditions.append("test = ?")
            values.append(test)
        if tag is not None:
            conditions.append("id IN (SELECT run FROM tags WHERE tag = ?)")
            values.append(tag)
        sql = f"SELECT {_COLUMNS} FROM runs WHERE {' AND '.join(conditions)} ORDER BY started_s DESC, id"
        tags: dict[int, list[str]] = {}
        for run, name in self._query("SELECT run, tag FROM tags ORDER BY tag"):
            tags.setdefault(run, []).append(name)
        return [_info(row, tags.get(row[0], ())) for row in self._query(sql, *values)]

    def find(self, name: str) -> RunInfo:
        """Return the run with this id, prefix of an id, or tag; or the newest one for `latest`. Raises ObswarmError
        unless there is exactly one."""
        runs = self.runs()
        if not runs:
            raise ObswarmError(f"There are no runs in {self.path}.")
        if name == LATEST:
            return runs[0]
        exactly = [run for run in runs if run.run_id == name]
        fitting = exactly or [run for run in runs if name and run.run_id.startswith(name)]
        fitting = fitting or [run for run in runs if name in run.tags]
        if len(fitting) == 1:
            return fitting[0]
        if not fitting:
            raise ObswarmError(f"There is no run {name!r} in {self.path}. `obswarm runs list` lists the runs.")
        some = ", ".join(run.run_id for run in fitting[:5])
        raise ObswarmError(f"{name!r} matches {len(fitting)} runs: {some}{', …' if len(fitting) > 5 else ''}.")

    def tag(self, run: RunInfo, tags: Sequence[str]) -> None:
        """Add tags to a run. Raises ObswarmError for an invalid tag."""
        for tag in tags:
            if not _TAG.fullmatch(tag):
                raise ObswarmError(f"{tag!r} is not a valid tag: up to 64 letters, digits, and . _ : / -")
        for tag in tags:
            self._query("INSERT OR IGNORE INTO tags VALUES (?, ?)", run.key, tag)

    def untag(self, run: RunInfo, tags: Sequence[str]) -> None:
        """Remove tags of a run."""
        for tag in tags:
            self._query("DELETE FROM tags WHERE run = ? AND tag = ?", run.key, tag)

    def note(self, run: RunInfo, text: str) -> None:
        """Set the note of a run."""
        self._query("UPDATE runs SET note = ? WHERE id = ?", text, run.key)

    def remove(self, runs: Sequence[RunInfo]) -> None:
        """Remove runs, and the load tests that no other run has. Shrinks the file."""
        with convert_errors(self.path):
            for run in runs:
                self._connection.execute("DELETE FROM runs WHERE id = ?", [run.key])
            self._connection.execute("DELETE FROM loadtests WHERE hash NOT IN (SELECT hash FROM run_loadtests)")
            self._connection.execute("VACUUM")

    def loadtests(self, run: RunInfo) -> list[LoadTestText]:
        sql = "SELECT name, text FROM run_loadtests JOIN loadtests USING (hash) WHERE run = ? ORDER BY position"
        return [LoadTestText(name, zlib.decompress(text)) for name, text in self._query(sql, run.key)]

    def annotations(self, run: RunInfo) -> list[Annotation]:
        sql = "SELECT time_s, kind, text FROM annotations WHERE run = ? ORDER BY number"
        return [Annotation(*row) for row in self._query(sql, run.key)]

    def size_bytes(self, run: RunInfo) -> int:
        """Return the size of a run's measurements in the store."""
        sql = (
            "SELECT coalesce((SELECT sum(length(content)) FROM seconds WHERE run = ?1), 0)"
            " + coalesce((SELECT sum(length(content)) FROM samples WHERE run = ?1), 0)"
        )
        return int(self._query(sql, run.key)[0][0])

    def names(self, run: RunInfo) -> dict[int, tuple[str, ...]]:
        rows = self._query("SELECT number, name FROM names WHERE run = ?", run.key)
        return {number: tuple(json.loads(name)) for number, name in rows}

    def contents(self, run: RunInfo, table: str, since_s: float = 0.0) -> Iterator[tuple[float, bytes]]:
        """Yield (time, content) of each row of a run in the table `seconds` or `samples`, after a wall time."""
        with convert_errors(self.path):
            yield from self._connection.execute(
                f"SELECT time_s, content FROM {table} WHERE run = ? AND time_s > ? ORDER BY number", [run.key, since_s]
            )

    def totals(self, run: RunInfo) -> bytes | None:
        """Return the packed statistics of all endpoints over the whole run, None if the run was interrupted."""
        content: bytes | None = self._query("SELECT whole FROM runs WHERE id = ?", run.key)[0][0]
        return content

    def custom_totals(self, run: RunInfo) -> bytes | None:
        """Return the packed totals of the load test's own metrics, None if the run was interrupted, or was stored by a
        version without them."""
        content: bytes | None = self._query("SELECT custom FROM runs WHERE id = ?", run.key)[0][0]
        return content


def _info(row: Sequence[Any], tags: Sequence[str]) -> RunInfo:
    key, run_id, test, host, started_s, ended_s, last_s, planned_s, version, configuration, revision, result, note = row
    return RunInfo(
        key=key,
        run_id=run_id,
        test=test,
        host=None if host is None else redact_text(host),
        started_s=started_s,
        ended_s=ended_s,
        last_s=last_s,
        planned_s=planned_s,
        version=version,
        # Earlier versions stored URLs with their passwords.
        configuration=redact_value("", json.loads(configuration)),
        revision=revision,
        result=None if result is None else _current(json.loads(result)),
        note=note,
        tags=tuple(tags),
    )


def _current(result: dict[str, Any]) -> dict[str, Any]:
    """Rename keys in a result of obswarm 0.1."""
    if "strangers" in result:
        result["rejected"] = result.pop("strangers")
    for guard in result.get("guards", ()):
        guard["state"] = GuardState(guard["state"])
        guard["no_data_reason"] = guard.pop("blind_reason", None) or guard.get("no_data_reason")
    return result

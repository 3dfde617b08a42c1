"""Keeps a run in the store while it goes: hands each second to a thread of its own."""

import logging
import math
import secrets
import sqlite3
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gevent.threadpool import ThreadPool

from obswarm.api import ObswarmError
from obswarm.json_text import to_json
from obswarm.record import Annotation, MetricKey, RunMetadata, Snapshot
from obswarm.sanitize import escape_lines
from obswarm.stats import EndpointKey, EndpointStats, ErrorKey, ErrorKinds, total_in_flight
from obswarm.stats.codec import pack_row
from obswarm.store.pack import Names, pack, pack_values, unpack
from obswarm.store.schema import connect, describe
from obswarm.units import counted

logger = logging.getLogger(__name__)

_MOST_WAITING = 3600
"""Seconds of a run that wait while the disk is full or slow."""

_SAME_EPOCH_S = 0.5
_MIB = 1024 * 1024


class StoreIncomplete(ObswarmError):
    """A part of the run could not be kept."""


class RunWriter:
    """Raises ObswarmError at once when there can be no store at `path`.

    Each second is committed on its own. What cannot be written waits and is tried again with the next second; the run
    goes on meanwhile. A run that is in the store already (its master was started again) is continued.
    """

    def __init__(self, path: Path, about: RunMetadata) -> None:
        self._connection = connect(path)
        self._pool = ThreadPool(1)
        self._record = _Record(path, self._connection, about)
        self._waiting = self._left_out = 0
        self._told: str | None = None

    def snapshot(self, snapshot: Snapshot) -> None:
        """Keep a second."""
        self._tell()
        self._do(self._record.second, snapshot)

    def annotation(self, mark: Annotation) -> None:
        """Keep a mark."""
        self._do(self._record.mark, mark)

    def sample(self, time_s: float, values: Mapping[MetricKey, float]) -> None:
        """Keep the targets' figures of one moment."""
        self._do(self._record.samples, time_s, dict(values))

    def finish(
        self, final: Snapshot, ended_s: float, result: Mapping[str, Any], marks: Sequence[Annotation] = ()
    ) -> None:
        """Keep how it ended, and wait until everything is written. `marks` are all of the
        run, of which the last may not have been given before. Raises StoreIncomplete when something is missing."""
        self._pool.spawn(self._record.end, final, ended_s, to_json(result), marks)
        self._pool.join()
        trouble = self._record.trouble
        missing = self._record.seconds_pending + self._left_out
        if trouble is not None:
            raise StoreIncomplete(f"{trouble} The end of the run and {missing} of its seconds are not kept.")
        if missing:
            verb = "is" if missing == 1 else "are"
            raise StoreIncomplete(
                f"The run store was too slow: {counted(missing, 'second')} of the run {verb} not kept."
            )

    def close(self) -> None:
        self._pool.join()
        self._pool.kill()
        self._connection.close()

    def _do(self, what: Callable[..., None], *arguments: Any) -> None:
        if self._waiting >= _MOST_WAITING:
            self._left_out += what == self._record.second
            return
        self._waiting += 1
        self._pool.spawn(self._in_thread, what, arguments)

    def _in_thread(self, what: Callable[..., None], arguments: Sequence[Any]) -> None:
        self._waiting -= 1
        what(*arguments)

    def _tell(self) -> None:
        """Once for each trouble, and once when it is over."""
        trouble = self._record.trouble
        if trouble == self._told:
            return
        self._told = trouble
        if trouble is None:
            logger.warning("The run is kept again; nothing of it is missing.")
        else:
            logger.error("%s The run goes on; what could not be written is tried again.", trouble)


class _Record:
    """The rows of one run. All of it happens in the writer's thread; others only read `trouble`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, about: RunMetadata) -> None:
        self.trouble: str | None = None
        """Why the last attempt to write failed."""
        self._path = path
        self._connection = connection
        self._about = about
        self._run: int | None = None
        self._names = Names()
        self._pending: list[tuple[str, Sequence[Any]]] = []
        self._early: list[Annotation] = []
        self._rows = dict.fromkeys(("seconds", "samples", "marks"), 0)
        self._errors: dict[ErrorKey, int] = {}
        self._epoch, self._stats_since_s = 0, -math.inf
        self._values: dict[int, float] = {}

    @property
    def seconds_pending(self) -> int:
        return sum(sql.startswith("INSERT INTO seconds") for sql, _ in self._pending)

    def second(self, snapshot: Snapshot) -> None:
        self._begin(snapshot)
        self._insert("seconds", snapshot.time_s, pack(self._pack_second(snapshot)))
        self._commit()

    def mark(self, mark: Annotation) -> None:
        if self._run is None:
            self._early.append(mark)
            return
        self._insert("marks", mark.time_s, mark.kind, mark.text)
        self._commit()

    def samples(self, time_s: float, values: Mapping[MetricKey, float]) -> None:
        if self._run is None:
            return
        now = {
            self._names.number("figure", each.target, each.kind, each.name, each.unit): value
            for each, value in values.items()
        }
        changed = {number: value for number, value in now.items() if self._values.get(number) != value}
        # A figure that is gone is a gap, not a line that goes on.
        changed |= dict.fromkeys(self._values.keys() - now.keys(), math.nan)
        self._values = now
        self._insert("samples", time_s, pack_values(changed))
        self._commit()

    def end(self, final: Snapshot, ended_s: float, result: str, marks: Sequence[Annotation]) -> None:
        self._begin(final)
        for mark in marks[self._rows["marks"] :]:
            self._insert("marks", mark.time_s, mark.kind, mark.text)
        whole = pack([self._pack_endpoint(key, stats) for key, stats in final.endpoints.items()])
        self._add("UPDATE runs SET ended_s = ?, whole = ?, result = ? WHERE id = ?", ended_s, whole, result, self._run)
        self._commit()

    def _begin(self, snapshot: Snapshot) -> None:
        if self._run is not None:
            return
        try:
            found = self._connection.execute("SELECT id FROM runs WHERE run_id = ?", [snapshot.run_id]).fetchone()
            if found is not None:
                self._continue(found[0])
        except sqlite3.Error as error:
            self.trouble = describe(self._path, error)
            found = None
        if found is None:
            self._new(snapshot)
        for mark in self._early:
            self._insert("marks", mark.time_s, mark.kind, mark.text)
        self._early.clear()

    def _new(self, snapshot: Snapshot) -> None:
        about = self._about
        # Chosen here and not by SQLite, so that rows can wait for their run to be written.
        self._run = secrets.randbits(62)
        self._add(
            "INSERT INTO runs (id, run_id, test, host, started_s, planned_s, version, configuration, revision)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            self._run,
            snapshot.run_id,
            snapshot.test,
            snapshot.host,
            snapshot.started_s,
            snapshot.planned_s,
            about.version,
            to_json(about.configuration),
            about.revision,
        )
        for position, each in enumerate(about.loadtests):
            self._add(
                "INSERT OR IGNORE INTO loadtests VALUES (?, ?, ?)", each.hash, each.name, zlib.compress(each.text)
            )
            self._add("INSERT INTO run_loadtests VALUES (?, ?, ?)", self._run, position, each.hash)

    def _continue(self, run: int) -> None:
        """As if this process had written what is there."""
        connection = self._connection
        self._run = run
        self._names.restore(connection.execute("SELECT number, name FROM names WHERE run = ?", [run]))
        for table in self._rows:
            query = f"SELECT coalesce(max(number) + 1, 0) FROM {table} WHERE run = ?"
            (self._rows[table],) = connection.execute(query, [run]).fetchone()
        keys = {number: name[1:] for name, number in self._names.numbers.items() if name[0] == "error"}
        for (content,) in connection.execute("SELECT content FROM seconds WHERE run = ? ORDER BY number", [run]):
            second = unpack(content)
            if second["epoch"] != self._epoch:
                self._errors.clear()
            self._epoch, self._stats_since_s = second["epoch"], second["stats_since_s"]
            for number, count, *_ in second["errors"]:
                key = ErrorKey(*keys[number][:3])
                self._errors[key] = self._errors.get(key, 0) + count

    def _pack_second(self, snapshot: Snapshot) -> dict[str, Any]:
        number = self._names.number
        if abs(snapshot.stats_since_s - self._stats_since_s) > _SAME_EPOCH_S:
            self._epoch += self._stats_since_s > -math.inf
            self._errors.clear()
        self._stats_since_s = snapshot.stats_since_s
        under_way = total_in_flight(snapshot.in_flight.values())
        return {
            "epoch": self._epoch,
            "stats_since_s": snapshot.stats_since_s,
            "elapsed_s": round(snapshot.elapsed_s, 3),
            "load_s": round(snapshot.load_s, 6),
            # Never nothing: rates are divided by it.
            "interval_s": max(round(snapshot.interval_s, 4), 0.0001),
            "state": str(snapshot.state),
            "users": dict(snapshot.users),
            "users_target": dict(snapshot.users_target),
            "users_max": snapshot.users_max,
            "endpoints": [self._pack_endpoint(key, stats) for key, stats in snapshot.interval.items()],
            "errors": self._pack_errors(snapshot),
            "exceptions": [
                [number("exception", each.message, each.traceback), each.count] for each in snapshot.exceptions.values()
            ],
            "iterations": dict(snapshot.iterations),
            "interrupted": snapshot.interrupted,
            "in_flight": [under_way.count, round(under_way.oldest_s, 3)],
            "workers": [
                [
                    number("worker", each.worker),
                    each.users,
                    round(each.cpu_ratio, 3),
                    round(each.loop_lag_s, 4),
                    round(each.memory_bytes / _MIB),
                    each.saturated,
                    each.state,
                    round(each.stats_lag_s, 1),
                ]
                for each in snapshot.workers
            ],
            "guards": [[number("guard", each.name), each.state, each.value] for each in snapshot.guards],
        }

    def _pack_errors(self, snapshot: Snapshot) -> list[list[Any]]:
        """[number, how often since the last second, first and last seen] of those that have come again."""
        rows: list[list[Any]] = []
        gone = self._errors.keys() - snapshot.errors.keys()
        if gone:
            # Their endpoints have got many kinds, and they were grouped.
            kinds = ErrorKinds(snapshot.errors)
            for key in gone:
                form, count = kinds.key_of(key), self._errors.pop(key)
                self._errors[form] = self._errors.get(form, 0) + count
        for key, seen in snapshot.errors.items():
            fresh = seen.count - self._errors.get(key, 0)
            if fresh:
                example = (seen.example,) if seen.example else ()
                rows.append([self._names.number("error", *key, *example), fresh, seen.first_seen_s, seen.last_seen_s])
                self._errors[key] = seen.count
        return rows

    def _pack_endpoint(self, key: EndpointKey, stats: EndpointStats) -> list[Any]:
        return [self._names.number("endpoint", *key), *pack_row(stats)]

    def _insert(self, table: str, *values: Any) -> None:
        marks = ", ".join("?" * (len(values) + 2))
        self._add(f"INSERT INTO {table} VALUES ({marks})", self._run, self._rows[table], *values)
        self._rows[table] += 1

    def _add(self, sql: str, *values: Any) -> None:
        # SQLite takes no surrogates.
        fit = [escape_lines(value) if isinstance(value, str) else value for value in values]
        self._pending.append((sql, fit))

    def _commit(self) -> None:
        for number, name in self._names.fresh:
            self._add("INSERT INTO names VALUES (?, ?, ?)", self._run, number, name)
        self._names.fresh.clear()
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for sql, values in self._pending:
                connection.execute(sql, values)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self.trouble = describe(self._path, error)
        else:
            self._pending.clear()
            self.trouble = None

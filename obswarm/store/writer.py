"""Write a run to the store as it goes, in a thread of its own."""

import logging
import math
import secrets
import sqlite3
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from gevent.event import Event
from gevent.threadpool import ThreadPool

from obswarm.api import ObswarmError
from obswarm.greenlets import Supervisor
from obswarm.json_text import to_json
from obswarm.record import Annotation, MetricKey, RunMetadata, SampleSeries, Snapshot
from obswarm.sanitize import escape_lines
from obswarm.stats import CustomKey, CustomStats, EndpointKey, EndpointStats, ErrorKey, ErrorKinds, total_in_flight
from obswarm.stats.codec import pack_row
from obswarm.store.pack import METRIC, SERIES, Names, pack, pack_values, unpack
from obswarm.store.schema import connect, describe
from obswarm.units import counted, rounded

logger = logging.getLogger(__name__)

_MOST_WAITING = 3600
"""Maximum number of queued rows while the disk is slow."""

_SAME_EPOCH_S = 0.5
_MIB = 1024 * 1024


class StoreIncomplete(ObswarmError):
    """Part of a run could not be stored."""


class RunWriter:
    """Write a run to the store at `path`. Raises ObswarmError if the store cannot be opened.

    Each interval is committed on its own. Rows that cannot be written are queued and written with the next interval,
    without affecting the run. A run that is in the store already, as its master was restarted, is continued.
    """

    def __init__(self, path: Path, metadata: RunMetadata) -> None:
        self._connection = connect(path)
        self._pool = ThreadPool(1)
        self._record = _Record(path, self._connection, metadata)
        self._queue: deque[tuple[Callable[..., None], Sequence[Any]]] = deque()
        self._queued, self._is_idle = Event(), Event()
        self._is_idle.set()
        self._dropped = 0
        self._logged: str | None = None
        self._writing = Supervisor().keep("The writing of the run store", self._write_all)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Write an interval."""
        self._log_failure()
        # Without the whole run's statistics, which only its end needs: rows may wait for long.
        self._do(self._record.interval, replace(snapshot, endpoints={}, custom={}))

    def annotation(self, annotation: Annotation) -> None:
        """Write an annotation."""
        self._do(self._record.annotation, annotation)

    def sample(self, time_s: float, values: Mapping[MetricKey, float]) -> None:
        """Write the values of the targets' metrics at a wall time."""
        self._do(self._record.samples, time_s, dict(values))

    def series(self, time_s: float, values: Mapping[MetricKey, float]) -> None:
        """Write the values of further series of the targets at a wall time."""
        self._do(self._record.series, time_s, dict(values))

    def past_series(self, found: Mapping[MetricKey, SampleSeries]) -> None:
        """Write further series of the targets, all of them over the whole run."""
        self._queue.append((self._record.past_series, (found,)))

    def finish(
        self, final: Snapshot, ended_s: float, result: Mapping[str, Any], annotations: Sequence[Annotation] = ()
    ) -> None:
        """Write the end of the run, and wait until all rows are written. `annotations` are all annotations of the run,
        of which the last may not have been written yet. Raises StoreIncomplete if rows are missing."""
        self._queue.append((self._record.end, (final, ended_s, to_json(result), annotations)))
        self._write_rest()
        failure = self._record.failure
        missing = self._record.intervals_pending + self._dropped
        if failure is not None:
            raise StoreIncomplete(f"{failure} The end of the run and {missing} of its seconds are not stored.")
        if missing:
            verb = "is" if missing == 1 else "are"
            raise StoreIncomplete(
                f"The run store was too slow: {counted(missing, 'second')} of the run {verb} not stored."
            )

    def wait_until_written(self, longest_s: float) -> None:
        """Wait until the rows so far are written, or cannot be written, at most `longest_s` seconds."""
        self._is_idle.wait(longest_s)

    def close(self) -> None:
        self._write_rest()
        self._pool.kill()
        self._connection.close()

    def _do(self, what: Callable[..., None], *arguments: Any) -> None:
        """Run a function in the writer's thread. Does not wait, however slow the disk is: the caller drives the run."""
        if len(self._queue) >= _MOST_WAITING:
            self._dropped += what == self._record.interval
            return
        self._queue.append((what, arguments))
        self._is_idle.clear()
        self._queued.set()

    def _write_all(self) -> None:
        while True:
            self._queued.wait()
            self._queued.clear()
            self._drain()
            self._is_idle.set()

    def _drain(self) -> None:
        while self._queue:
            # All together: where another program holds the lock, each transaction waits for it for seconds.
            rows = tuple(self._queue)
            # Waits while the thread is at work, and may be killed then.
            written = self._pool.spawn(self._record.write, rows)
            for _ in rows:
                self._queue.popleft()
            written.wait()

    def _write_rest(self) -> None:
        self._writing.kill()
        self._pool.join()
        self._drain()

    def _log_failure(self) -> None:
        """Log each failure once, and recovery."""
        failure = self._record.failure
        if failure == self._logged:
            return
        self._logged = failure
        if failure is None:
            logger.warning("The run store can be written again; no data is missing.")
        else:
            logger.error("%s The run continues, and writing will be retried.", failure)


class _Record:
    """The rows of one run. Its methods run in the writer's thread; other threads only read `failure`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, metadata: RunMetadata) -> None:
        self.failure: str | None = None
        """Error message of the last attempt to write, None if it succeeded."""
        self._path = path
        self._connection = connection
        self._metadata = metadata
        self._run: int | None = None
        self._names = Names()
        self._pending: list[tuple[str, Sequence[Any]]] = []
        self._early: list[Annotation] = []
        self._rows = dict.fromkeys(("seconds", "samples", "annotations"), 0)
        self._errors: dict[ErrorKey, int] = {}
        self._epoch, self._stats_since_s = 0, -math.inf
        self._values: dict[str, dict[int, float]] = {}

    def write(self, rows: Sequence[tuple[Callable[..., None], Sequence[Any]]]) -> None:
        """Write rows in one transaction: each is a method of this object, and its arguments. What one raises is raised
        in the end."""
        failed: BaseException | None = None
        for what, arguments in rows:
            try:
                what(*arguments)
            except Exception as error:
                failed = failed or error
        self._commit()
        if failed is not None:
            raise failed

    @property
    def intervals_pending(self) -> int:
        return sum(sql.startswith("INSERT INTO seconds") for sql, _ in self._pending)

    def interval(self, snapshot: Snapshot) -> None:
        self._begin(snapshot)
        self._insert("seconds", snapshot.time_s, pack(self._pack_interval(snapshot)))

    def annotation(self, annotation: Annotation) -> None:
        if self._run is None:
            self._early.append(annotation)
            return
        self._insert("annotations", annotation.time_s, annotation.kind, annotation.text)

    def samples(self, time_s: float, values: Mapping[MetricKey, float]) -> None:
        self._write_values(METRIC, time_s, values)

    def series(self, time_s: float, values: Mapping[MetricKey, float]) -> None:
        self._write_values(SERIES, time_s, values)

    def past_series(self, found: Mapping[MetricKey, SampleSeries]) -> None:
        rows: dict[float, dict[int, float]] = {}
        for key, points in found.items():
            number = self._number_of(SERIES, key)
            for time_s, value in points:
                rows.setdefault(time_s, {})[number] = value
        for time_s in sorted(rows):
            self._insert("samples", time_s, pack_values(rows[time_s]))

    def _write_values(self, what: str, time_s: float, values: Mapping[MetricKey, float]) -> None:
        """Write a row with the values that have changed; `what` is METRIC or SERIES, which have rows of their own."""
        if self._run is None:
            return
        now = {self._number_of(what, each): value for each, value in values.items()}
        before = self._values.get(what, {})
        changed = {number: value for number, value in now.items() if before.get(number) != value}
        # NaN marks the gap of a metric that has disappeared.
        changed |= dict.fromkeys(before.keys() - now.keys(), math.nan)
        self._values[what] = now
        self._insert("samples", time_s, pack_values(changed))

    def _number_of(self, what: str, key: MetricKey) -> int:
        return self._names.number(what, key.target, key.kind, key.name, key.unit)

    def end(self, final: Snapshot, ended_s: float, result: str, annotations: Sequence[Annotation]) -> None:
        self._begin(final)
        for annotation in annotations[self._rows["annotations"] :]:
            self._insert("annotations", annotation.time_s, annotation.kind, annotation.text)
        totals = pack([self._pack_endpoint(key, stats) for key, stats in final.endpoints.items()])
        custom = pack(self._pack_custom(final.custom))
        self._add(
            "UPDATE runs SET ended_s = ?, whole = ?, custom = ?, result = ? WHERE id = ?",
            ended_s,
            totals,
            custom,
            result,
            self._run,
        )

    def _begin(self, snapshot: Snapshot) -> None:
        if self._run is not None:
            return
        try:
            found = self._connection.execute("SELECT id FROM runs WHERE run_id = ?", [snapshot.run_id]).fetchone()
            if found is not None:
                self._continue(found[0])
        except sqlite3.Error as error:
            self.failure = describe(self._path, error)
            found = None
        if found is None:
            self._new(snapshot)
        for annotation in self._early:
            self._insert("annotations", annotation.time_s, annotation.kind, annotation.text)
        self._early.clear()

    def _new(self, snapshot: Snapshot) -> None:
        metadata = self._metadata
        # Chosen here and not by SQLite, so that rows can be queued before their run is written.
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
            metadata.version,
            to_json(metadata.configuration),
            metadata.revision,
        )
        for position, each in enumerate(metadata.loadtests):
            self._add(
                "INSERT OR IGNORE INTO loadtests VALUES (?, ?, ?)", each.hash, each.name, zlib.compress(each.text)
            )
            self._add("INSERT INTO run_loadtests VALUES (?, ?, ?)", self._run, position, each.hash)

    def _continue(self, run: int) -> None:
        """Continue the stored rows of an earlier process."""
        connection = self._connection
        self._run = run
        self._names.restore(connection.execute("SELECT number, name FROM names WHERE run = ?", [run]))
        for table in self._rows:
            query = f"SELECT coalesce(max(number) + 1, 0) FROM {table} WHERE run = ?"
            (self._rows[table],) = connection.execute(query, [run]).fetchone()
        keys = {number: name[1:] for name, number in self._names.numbers.items() if name[0] == "error"}
        for (content,) in connection.execute("SELECT content FROM seconds WHERE run = ? ORDER BY number", [run]):
            interval = unpack(content)
            if interval["epoch"] != self._epoch:
                self._errors.clear()
            self._epoch, self._stats_since_s = interval["epoch"], interval["stats_since_s"]
            for number, count, *_ in interval["errors"]:
                key = ErrorKey(*keys[number][:3])
                self._errors[key] = self._errors.get(key, 0) + count

    def _pack_interval(self, snapshot: Snapshot) -> dict[str, Any]:
        number = self._names.number
        if abs(snapshot.stats_since_s - self._stats_since_s) > _SAME_EPOCH_S:
            self._epoch += self._stats_since_s > -math.inf
            self._errors.clear()
        self._stats_since_s = snapshot.stats_since_s
        in_flight = total_in_flight(snapshot.in_flight.values())
        return {
            "epoch": self._epoch,
            "stats_since_s": snapshot.stats_since_s,
            "elapsed_s": round(snapshot.elapsed_s, 3),
            "load_s": rounded(snapshot.load_s),
            # Not 0, since it is the divisor of rates.
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
            **({"rates_target": dict(snapshot.rates_target)} if snapshot.rates_target else {}),
            **({"dropped": [[*key, count] for key, count in snapshot.dropped.items()]} if snapshot.dropped else {}),
            "interrupted": snapshot.interrupted,
            "in_flight": [in_flight.count, round(in_flight.oldest_s, 3)],
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
            # Few load tests have any, and a row of nothing takes space in each second.
            **({"custom": self._pack_custom(snapshot.interval_custom)} if snapshot.interval_custom else {}),
        }

    def _pack_custom(self, series: Mapping[CustomKey, CustomStats]) -> list[list[Any]]:
        names = ((key.name, key.kind, key.unit, *chain.from_iterable(key.labels)) for key in series)
        numbers = (self._names.number("custom", *name) for name in names)
        return [[number, *stats.pack()] for number, stats in zip(numbers, series.values(), strict=True)]

    def _pack_errors(self, snapshot: Snapshot) -> list[list[Any]]:
        """Return [number, occurrences in this interval, first seen, last seen] of the errors of the interval."""
        rows: list[list[Any]] = []
        gone = self._errors.keys() - snapshot.errors.keys()
        if gone:
            # They have been grouped, since their endpoints have many kinds of errors.
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
        return [self._names.number("endpoint", *key.labels), *pack_row(stats)]

    def _insert(self, table: str, *values: Any) -> None:
        row = self._run, self._rows[table], *values
        self._add(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", *row)
        self._rows[table] += 1

    def _add(self, sql: str, *values: Any) -> None:
        # SQLite rejects surrogates.
        clean = [escape_lines(value) if isinstance(value, str) else value for value in values]
        self._pending.append((sql, clean))

    def _commit(self) -> None:
        """Write the pending rows; those that cannot be written stay."""
        for number, name in self._names.fresh:
            self._add("INSERT INTO names VALUES (?, ?, ?)", self._run, number, name)
        self._names.fresh.clear()
        if not self._pending:
            return
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for sql, values in self._pending:
                connection.execute(sql, values)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self.failure = describe(self._path, error)
        else:
            self._pending.clear()
            self.failure = None

"""A run is in the store as it was measured, while it goes and afterwards."""

import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gevent
import pytest
from gevent.monkey import get_original

from obswarm.record import Annotation, GuardState, GuardView, LoadTestText, MetricKey, RunMetadata, RunRecord, value_at
from obswarm.stats import EndpointStats, ErrorKey, ErrorStats, StatsTable
from obswarm.store import RunWriter, Store, StoreIncomplete, read_run
from tests.support.recorded import LOGIN, PAGE, MadeUpRun

ABOUT = RunMetadata("1.2.3", {"users": 5}, [LoadTestText("shop.py", b"print('hello')")], "abc-dirty")
THREADS = MetricKey("db", "mysql", "threads running", "number")
QUERIES = MetricKey("db", "mysql", "queries", "per_second")


def read(path: Path, name: str = "latest") -> RunRecord:
    with Store(path) as store:
        return read_run(store, store.find(name))


def figures(stats: EndpointStats) -> tuple[object, ...]:
    return stats.duration, stats.successes, stats.failures_by, stats.min_s, stats.max_s, stats.response_bytes


def test_every_second_is_there_as_soon_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    writer = RunWriter(path, ABOUT)
    run = MadeUpRun([writer])
    writer.annotation(Annotation(1.0, "start", "It starts"))
    run.second({PAGE: [0.01, 0.02]})
    last = run.second({PAGE: [0.03], LOGIN: [0.5]}, failed=[LOGIN])
    writer.close()
    record = read(path)
    assert record.info.ended_s is None
    assert (record.info.test, record.info.host, record.info.version) == ("shop.py", "http://shop.example", "1.2.3")
    assert (record.info.configuration, record.info.revision) == ({"users": 5}, "abc-dirty")
    assert [second.total().requests for second in record.intervals] == [2, 3]
    assert {key: figures(stats) for key, stats in record.endpoints.items()} == {
        key: figures(stats) for key, stats in last.endpoints.items()
    }
    assert {tuple(key): seen.count for key, seen in record.errors.items()} == {
        (LOGIN.method, LOGIN.name, "HTTP 500"): 1
    }
    second = record.intervals[1]
    assert (second.users, second.users_target, second.state) == ({"Visitor": 3}, {"Visitor": 5}, "running")
    assert second.iterations == {"Visitor": 2}
    worker = second.workers["w1"]
    assert (worker.cpu_ratio, worker.loop_lag_s, worker.memory_bytes) == (0.256, 0.0123, 64 * 1024 * 1024)
    assert [annotation.text for annotation in record.annotations] == ["It starts"]
    with Store(path) as store:
        assert store.loadtests(record.info) == list(ABOUT.loadtests)


def test_how_it_ended_is_exact_even_where_seconds_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    writer = RunWriter(path, ABOUT)
    run = MadeUpRun([])
    run.second({PAGE: [0.01] * 10})
    run.outputs = (writer,)
    final = run.second({PAGE: [0.02] * 5})
    marks = [Annotation(1.0, "start", "a"), Annotation(2.0, "stop", "b")]
    writer.annotation(marks[0])
    writer.finish(final, 99.5, {"totals": {"requests": 15}}, marks)
    writer.close()
    record = read(path)
    assert (record.info.ended_s, record.info.result) == (99.5, {"totals": {"requests": 15}})
    assert record.endpoints[PAGE].requests == 15
    assert [annotation.text for annotation in record.annotations] == ["a", "b"], "none twice"


def test_names_of_obswarm_0_1_are_read_as_those_of_today(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    writer = RunWriter(path, ABOUT)
    snapshot = MadeUpRun([]).second({PAGE: [0.01]})
    guard = GuardView("g", "promql(up) < 1", "stop", "blind", None, "–", None, ())  # type: ignore[arg-type]  # as it was
    writer.snapshot(replace(snapshot, guards=(guard,)))
    guards = [
        {"name": "g", "state": "blind", "blind_reason": "no answer", "no_data_reason": "HTTP 500"},
        {"name": "h", "state": "ok", "blind_reason": None, "no_data_reason": "HTTP 500"},
        {"name": "i", "state": "tripped", "blind_reason": None},
    ]
    writer.finish(snapshot, 99.5, {"guards": guards, "strangers": {"dropped_frames": 3}})
    writer.close()
    record = read(path)
    assert record.intervals[0].guards == {"g": (GuardState.NO_DATA, None)}
    assert record.info.result == {
        "guards": [
            {"name": "g", "state": "no_data", "no_data_reason": "no answer"},
            {"name": "h", "state": "ok", "no_data_reason": "HTTP 500"},
            {"name": "i", "state": "tripped", "no_data_reason": None},
        ],
        "rejected": {"dropped_frames": 3},
    }


def test_statistics_that_begin_anew(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    writer = RunWriter(path, ABOUT)
    run = MadeUpRun([writer])
    run.second({PAGE: [0.01] * 10}, failed=[PAGE])
    run.statistics.reset(run.statistics.started_s + 30)
    run.second({PAGE: [0.02]}, failed=[PAGE, PAGE])
    writer.close()
    record = read(path)
    assert [second.epoch for second in record.intervals] == [0, 1]
    assert record.endpoints[PAGE].requests == 3
    assert [seen.count for seen in record.errors.values()] == [2]


@pytest.mark.parametrize("first", [0, 400], ids=["numbers", "statuses at first"])
def test_kinds_of_errors_that_were_grouped_meanwhile_are_counted_once(tmp_path: Path, first: int) -> None:
    path = tmp_path / "runs.sqlite"
    run = MadeUpRun([])
    last, writer = first, RunWriter(path, ABOUT)
    for second, number in enumerate([3, 6, 4, 200, 1]):
        table = StatsTable()
        for order in range(last, last + number):
            table.endpoint(PAGE).record(0.01, 1, "5xx", True)
            table.count_error(
                ErrorKey(PAGE.method, PAGE.name, f"order {order} is gone"), ErrorStats(1, float(order), float(order))
            )
        last += number
        run.statistics.add(table)
        writer.snapshot(run.second({LOGIN: [0.01]}))
        if second == 1:
            # A master that was started again goes on with what the one before has written.
            writer.close()
            writer = RunWriter(path, ABOUT)
    writer.close()
    record = read(path)
    form = ErrorKey(PAGE.method, PAGE.name, "order <number> is gone")
    assert record.errors == {form: ErrorStats(214, first, first + 213.0, f"order {first} is gone")}
    assert [second.errors[form].count for second in record.intervals] == [3, 6, 4, 200, 1]
    assert [len(second.errors) for second in record.intervals] == [1] * 5


def test_samples_are_kept_where_they_change(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    writer = RunWriter(path, ABOUT)
    MadeUpRun([writer]).second({})
    writer.sample(10.0, {THREADS: 4.0, QUERIES: 1.5})
    writer.sample(11.0, {THREADS: 4.0, QUERIES: 2.5})
    writer.sample(12.0, {QUERIES: 2.5})
    writer.close()
    samples = read(path).samples
    assert dict(samples[QUERIES]) == {10.0: 1.5, 11.0: 2.5, 12.0: 2.5}
    assert [value for _, value in samples[THREADS]][:2] == [4.0, 4.0]
    assert (value_at(samples[THREADS], 11.9), value_at(samples[QUERIES], 10.5)) == (4.0, 1.5)
    assert value_at(samples[THREADS], 12.0) != value_at(samples[THREADS], 12.0), "it is gone"
    assert value_at(samples[QUERIES], 9.0) != value_at(samples[QUERIES], 9.0), "it was not there yet"


def test_a_master_that_was_started_again_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    first = RunWriter(path, ABOUT)
    run = MadeUpRun([first])
    first.annotation(Annotation(1.0, "start", "a"))
    run.second({PAGE: [0.01]}, failed=[PAGE])
    first.close()
    again = RunWriter(path, ABOUT)
    run.outputs = (again,)
    run.second({LOGIN: [0.02]}, failed=[PAGE])
    again.annotation(Annotation(2.0, "start", "b"))
    again.close()
    record = read(path)
    assert len(record.intervals) == 2
    assert {key: stats.requests for key, stats in record.endpoints.items()} == {PAGE: 3, LOGIN: 1}
    assert [seen.count for seen in record.errors.values()] == [2]
    assert [annotation.text for annotation in record.annotations] == ["a", "b"]


class _Full:
    """A connection that cannot write for a while."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.full = True

    def execute(self, sql: str, *values: object) -> object:
        if self.full and sql.startswith("INSERT"):
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return self._connection.execute(sql, *values)

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


def test_while_the_disk_is_full_the_run_goes_on_and_what_waits_is_written_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "runs.sqlite"
    writer = RunWriter(path, ABOUT)
    disk = _Full(writer._connection)
    writer._record._connection = disk  # type: ignore[assignment]
    run = MadeUpRun([writer])
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            run.second({PAGE: [0.01]})
            writer._is_idle.wait(60)
        disk.full = False
        run.second({PAGE: [0.01]})
        writer._is_idle.wait(60)
        run.second({PAGE: [0.01]})
    writer.close()
    assert [record.getMessage() for record in caplog.records] == [
        f"The run store {path} cannot grow: no space is left on its disk. The run continues, and writing will be"
        " retried.",
        "The run store can be written again; no data is missing.",
    ]
    assert read(path).endpoints[PAGE].requests == 5


def test_what_is_never_written_is_told_at_the_end(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "runs.sqlite", ABOUT)
    writer._record._connection = _Full(writer._connection)  # type: ignore[assignment]
    run = MadeUpRun([writer])
    final = run.second({PAGE: [0.01]})
    with pytest.raises(StoreIncomplete, match="The end of the run and 1 of its seconds are not stored."):
        writer.finish(final, 1.0, {})
    writer.close()


class _Slow:
    """A connection on which a transaction begins only when the test says so."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.may_begin = False

    def execute(self, sql: str, *values: object) -> object:
        # In a thread of the system.
        while sql.startswith("BEGIN") and not self.may_begin:
            get_original("time", "sleep")(0.001)
        return self._connection.execute(sql, *values)

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[RunWriter, _Slow]]:
    writer = RunWriter(tmp_path / "runs.sqlite", ABOUT)
    disk = _Slow(writer._connection)
    writer._record._connection = disk  # type: ignore[assignment]
    yield writer, disk
    disk.may_begin = True
    writer.close()


def test_a_run_does_not_wait_for_a_store_that_is_slow_or_locked(tmp_path: Path, slow: tuple[RunWriter, _Slow]) -> None:
    writer, disk = slow
    run = MadeUpRun([writer])
    with gevent.Timeout(30):
        for _ in range(20):
            final = run.second({PAGE: [0.01]})
            writer.annotation(Annotation(1.0, "start", "It starts"))
            gevent.sleep(0)
    disk.may_begin = True
    writer.finish(final, 99.5, {})
    record = read(tmp_path / "runs.sqlite")
    assert [second.total().requests for second in record.intervals] == [1] * 20
    assert len(record.annotations) == 20


def test_rows_that_have_waited_wait_for_the_lock_together(tmp_path: Path) -> None:
    """Each transaction waits for it for ten seconds: the end of a run is not to take that for each of its seconds."""
    writer = RunWriter(tmp_path / "runs.sqlite", ABOUT)
    begun: list[str] = []

    class Locked:
        def __init__(self, connection: sqlite3.Connection) -> None:
            self._connection = connection

        def execute(self, sql: str, *values: object) -> object:
            if sql.startswith("BEGIN"):
                begun.append(sql)
                raise sqlite3.OperationalError("database is locked")
            return self._connection.execute(sql, *values)

        def __getattr__(self, name: str) -> object:
            return getattr(self._connection, name)

    writer._record._connection = Locked(writer._connection)  # type: ignore[assignment]
    run = MadeUpRun([writer])
    for _ in range(20):
        final = run.second({PAGE: [0.01]})
    with pytest.raises(StoreIncomplete, match="The end of the run and 20 of its seconds are not stored"):
        writer.finish(final, 99.5, {})
    writer.close()
    assert len(begun) <= 2


def test_rows_that_wait_do_not_hold_the_statistics_of_the_whole_run(slow: tuple[RunWriter, _Slow]) -> None:
    writer, _ = slow
    run = MadeUpRun([writer])
    for _ in range(3):
        run.second({PAGE: [0.01]})
    waiting = [arguments[0] for _, arguments in writer._queue]
    assert [len(snapshot.endpoints) for snapshot in waiting] == [0] * len(waiting)
    assert waiting[-1].interval[PAGE].requests == 1


def test_seconds_for_which_there_was_no_room_are_counted_at_the_end(
    slow: tuple[RunWriter, _Slow], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, disk = slow
    monkeypatch.setattr("obswarm.store.writer._MOST_WAITING", 5)
    run = MadeUpRun([writer])
    for _ in range(6):
        final = run.second({PAGE: [0.01]})
    writer.sample(1.0, {THREADS: 4.0})
    disk.may_begin = True
    with pytest.raises(StoreIncomplete, match=r"^The run store was too slow: 1 second of the run is not stored\.$"):
        writer.finish(final, 99.5, {})


def test_what_waits_is_written_although_its_greenlet_was_killed(tmp_path: Path, slow: tuple[RunWriter, _Slow]) -> None:
    """As by a load test that kills all greenlets that it finds."""
    writer, disk = slow
    run = MadeUpRun([writer])
    for _ in range(4):
        final = run.second({PAGE: [0.01]})
        gevent.sleep(0)
    writer._writing.kill()
    run.second({PAGE: [0.01]})
    disk.may_begin = True
    writer.finish(final, 99.5, {})
    assert [second.total().requests for second in read(tmp_path / "runs.sqlite").intervals] == [1] * 5

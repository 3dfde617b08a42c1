"""The command `obswarm explain` on runs that are not as usual: running, empty, without targets, of earlier versions."""

import json
import sqlite3
from pathlib import Path

from click.testing import CliRunner

from obswarm.cli.main import cli
from obswarm.engine import StopReason
from obswarm.record import MetricKey, RunMetadata, StopKind
from obswarm.store import FILE, RunWriter
from obswarm.store.pack import pack, unpack
from tests.support.recorded import PAGE, MadeUpRun, result_of

WAITS = MetricKey("db", "mysql", "waiting for row locks", "number")
RESULT = {"stop_reason": {"kind": "time", "detail": "the planned time is over"}}


def store_run(folder: Path, *, seconds: int = 60, targets: bool = True, ends: bool = True, requests: int = 20) -> None:
    writer = RunWriter(folder / FILE, RunMetadata("1.0.0"))
    run = MadeUpRun([writer])
    for second in range(seconds):
        is_slow = second >= 30
        run.pass_a_second({PAGE: [(1.0 if is_slow else 0.05) * (1 + number / 100) for number in range(requests)]})
        if targets:
            writer.sample(run.last.time_s, {WAITS: 12.0 if is_slow else 0.0})
    if ends:
        reason = StopReason(StopKind.TIME, "the planned time is over")
        writer.finish(run.last, result_of(run.last, reason).ended_s, RESULT)
    writer.close()


def explain(folder: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["explain", "--store", str(folder), *arguments])
    return done.exit_code, done.output


def test_a_run_that_has_not_ended_is_explained_as_far_as_it_goes(tmp_path: Path) -> None:
    store_run(tmp_path, ends=False)
    code, text = explain(tmp_path)
    assert code == 0
    assert text.startswith("MySQL (db) saturated first, at 3 users: waiting for row locks rose from 0 to 12 at 0:31")
    assert text.endswith("  It is still running, or did not end properly: this is about its first 1m.\n")
    assert json.loads(explain(tmp_path, "--json")[1])["has_ended"] is False


def test_of_a_run_that_has_ended_nothing_is_said_of_that(tmp_path: Path) -> None:
    store_run(tmp_path)
    assert "did not end properly" not in explain(tmp_path)[1]
    assert json.loads(explain(tmp_path, "--json")[1])["has_ended"] is True


def test_a_run_without_targets_says_so(tmp_path: Path) -> None:
    store_run(tmp_path, targets=False)
    code, text = explain(tmp_path)
    assert code == 0
    assert text.splitlines()[0].endswith("No targets were observed, so nothing is known of the cause.")


def test_a_run_without_a_second_says_so(tmp_path: Path) -> None:
    store_run(tmp_path, seconds=1, ends=False)
    connection = sqlite3.connect(tmp_path / FILE)
    with connection:
        connection.execute("DELETE FROM seconds")
        connection.execute("DELETE FROM samples")
    connection.close()
    code, text = explain(tmp_path)
    assert code == 0
    assert text.splitlines()[0] == "The run cannot be explained: it has 0s with load, and at least 12s are needed."


def test_a_run_without_requests_has_nothing_to_explain(tmp_path: Path) -> None:
    store_run(tmp_path, requests=0)
    code, text = explain(tmp_path)
    assert code == 0
    assert text.startswith("The run cannot be explained: it has no requests.")


def test_a_run_of_an_earlier_version_is_explained(tmp_path: Path) -> None:
    store_run(tmp_path)
    connection = sqlite3.connect(tmp_path / FILE)
    with connection:
        for number, content in connection.execute("SELECT number, content FROM seconds").fetchall():
            row = unpack(content)
            # What the first version did not have.
            for key in ("in_flight", "load_s", "users_max", "custom"):
                row.pop(key, None)
            connection.execute("UPDATE seconds SET content = ? WHERE number = ?", [pack(row), number])
        connection.execute("ALTER TABLE annotations RENAME TO marks")
        connection.execute("ALTER TABLE runs DROP COLUMN custom")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    code, text = explain(tmp_path)
    assert code == 0
    assert text.startswith("MySQL (db) saturated first, at 3 users: waiting for row locks rose from 0 to 12 at 0:31")

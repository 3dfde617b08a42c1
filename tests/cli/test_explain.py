"""The command `obswarm explain`, on stored runs."""

import json
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from click.testing import CliRunner

from obswarm.api import ObswarmError
from obswarm.cli.main import cli
from obswarm.record import MetricKey, RunMetadata
from obswarm.store import RunWriter, Store
from tests.support.recorded import PAGE, MadeUpRun
from tests.support.trace_servers import TraceServer, around, trace_server

RUN = "20260131-120000-abcd"


def store_run(folder: Path, seconds: int = 60, slow_from: int = 30) -> None:
    """A run whose page takes 20 times as long from a second on, with row lock waits in the database from then on."""
    writer = RunWriter(folder / "runs.sqlite", RunMetadata("1.0.0"))
    run = MadeUpRun([writer], RUN)
    for second in range(seconds):
        is_slow = second >= slow_from
        run.pass_a_second({PAGE: [(1.0 if is_slow else 0.05) * (1 + number / 100) for number in range(20)]})
        waits = MetricKey("db", "mysql", "waiting for row locks", "number")
        writer.sample(run.last.time_s, {waits: 12.0 if is_slow else 0.0})
    writer.close()


def explain(folder: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["explain", "--store", str(folder), *arguments], env={"COLUMNS": "300"})
    return done.exit_code, done.output


def test_the_first_line_says_what_saturated_first(tmp_path: Path) -> None:
    store_run(tmp_path)
    code, text = explain(tmp_path)
    assert code == 0
    lines = text.splitlines()
    assert lines[0].startswith(
        "MySQL (db) saturated first, at 3 users: waiting for row locks rose from 0 to 12 at 0:31"
    )
    assert "Cause: MySQL (db)" in lines
    assert any("Look next at who holds the rows" in line for line in lines)


def test_json_has_the_same(tmp_path: Path) -> None:
    store_run(tmp_path)
    code, text = explain(tmp_path, RUN[:10], "--json")
    document = json.loads(text)
    assert (code, document["run"]) == (0, RUN)
    (suspect,) = document["suspects"]
    assert (suspect["target"], suspect["layer"], suspect["role"]) == ("db", "database", "cause")
    (finding,) = suspect["findings"]
    assert (finding["before"], finding["after"], finding["time_s"]) == (0, 12, 31)


@pytest.mark.parametrize(
    ("seconds", "slow_from", "headline"),
    [
        (60, 100, "Nothing saturated: latency and errors stayed as they were up to 3 users."),
        (5, 100, "The run cannot be explained: it has 5s with load, and at least 12s are needed."),
    ],
)
def test_runs_without_anything_to_explain_are_said_to_be_so(
    seconds: int, slow_from: int, headline: str, tmp_path: Path
) -> None:
    store_run(tmp_path, seconds, slow_from)
    assert explain(tmp_path)[1].splitlines()[0] == headline


def test_a_run_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    store_run(tmp_path)
    done = CliRunner().invoke(cli, ["explain", "--store", str(tmp_path), "nothing"])
    assert isinstance(done.exception, ObswarmError)


def store_and_serve(folder: Path, kind: str) -> AbstractContextManager[TraceServer]:
    store_run(folder)
    with Store(folder / "runs.sqlite") as store:
        return trace_server(kind, around(store.find(RUN).started_s + 31))


@pytest.mark.parametrize("kind", ["tempo", "jaeger"])
def test_traces_show_the_slowest_requests_and_the_span_that_grew(kind: str, tmp_path: Path) -> None:
    with store_and_serve(tmp_path, kind) as server:
        code, text = explain(tmp_path, "--traces", server.url)
        _, as_json = explain(tmp_path, "--traces", server.url, "--json")
    assert code == 0
    lines = text.splitlines()
    assert lines[lines.index("Traces") + 1].startswith(
        "  Slowest traces: 17, POST /submit (shop), 2.12 s; 16, POST /submit"
    )
    assert lines[lines.index("Traces") + 2].startswith(
        "  The span that grew: UPDATE standings (mysql) itself took 2.00 s of"
    )
    found = json.loads(as_json)["traces"]
    assert (found["growth"]["service"], found["growth"]["after_s"]) == ("mysql", 2.0)
    assert (found["growth"]["before_traces"], found["growth"]["after_traces"]) == (8, 8)


def test_a_run_is_explained_when_its_traces_cannot_be_read_and_the_exit_code_is_1(tmp_path: Path) -> None:
    with store_and_serve(tmp_path, "tempo") as server:
        server.replies["/api/search"] = ("404 Not Found", b"")
        code, text = explain(tmp_path, "--traces", server.url)
    assert code == 1
    assert text.startswith("MySQL (db) saturated first")
    assert f"The traces are missing: Tempo at {server.url} has neither Tempo's nor Jaeger's API at /api/search" in text


def test_what_is_no_url_is_refused(tmp_path: Path) -> None:
    store_run(tmp_path)
    code, text = explain(tmp_path, "--traces", "tempo:3200")
    assert code == 2
    assert "--traces: 'tempo:3200' is not a URL; write it like http" in text

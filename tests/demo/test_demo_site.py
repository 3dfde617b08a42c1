"""The demo's site: what it answers, and that it says so in its metrics."""

import io
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from obswarm.demo import site as module
from obswarm.demo.site import PROBLEMS, Metrics, Site


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the site of this module."""
    return tmp_path_factory.mktemp("site") / "contest.sqlite"


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    return Metrics(8)


@pytest.fixture(scope="module")
def site(database: Path, metrics: Metrics) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SEEDED_SUBMISSIONS", 1_000)
        patch.setattr(Site, "_time_scoring", lambda self, rows: module.LOCK_HELD_S)
        made = Site(database, metrics)
        yield made
        made._connection().close()


Answer = tuple[str, dict[str, str], Any]


@pytest.fixture
def ask(site: Site) -> Callable[..., Answer]:
    """Status, headers and document of a request."""

    def call(method: str, path: str, body: bytes = b"") -> Answer:
        started: list[tuple[str, list[tuple[str, str]]]] = []
        environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": io.BytesIO(body)}
        content = b"".join(site(environ, lambda status, headers: started.append((status, headers))))
        ((status, headers),) = started
        assert dict(headers)["Content-Length"] == str(len(content))
        return status, dict(headers), json.loads(content)

    return call


def test_a_problem_is_read_by_its_number(ask: Callable[..., Answer]) -> None:
    status, headers, document = ask("GET", "/problems/7")
    assert (status, headers["Content-Type"]) == ("200 OK", "application/json")
    assert (document["id"], document["title"]) == (7, "Problem 7")


@pytest.mark.parametrize("number", [str(PROBLEMS), "-1", "x", "", "1 OR 1"])
def test_a_problem_that_is_not_there_is_not_found(ask: Callable[..., Answer], number: str) -> None:
    status, _, document = ask("GET", f"/problems/{number}")
    assert status == "404 Not Found"
    assert document == {"error": f"there is no problem {number}"}


def test_the_leaderboard_has_the_best_twenty(ask: Callable[..., Answer]) -> None:
    _, _, rows = ask("GET", "/leaderboard")
    points = [row["points"] for row in rows]
    assert len(rows) == 20
    assert points == sorted(points, reverse=True)


def test_points_of_a_submission_are_added_to_those_of_its_user(ask: Callable[..., Answer], database: Path) -> None:
    def standing() -> int:
        connection = sqlite3.connect(database)
        try:
            found = connection.execute("SELECT points FROM standings WHERE user = 'new one'").fetchone()
        finally:
            connection.close()
        return found[0] if found is not None else 0

    points = []
    for _ in range(2):
        status, _, document = ask("POST", "/submit", b'{"user": "new one", "problem": 3}')
        assert (status, document["status"]) == ("200 OK", "accepted")
        points.append(document["points"])
    assert standing() == sum(points)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"user": "x"}', b'{"user": "x", "problem": "y"}', b"7"])
def test_a_submission_that_makes_no_sense_is_refused(ask: Callable[..., Answer], body: bytes) -> None:
    status, _, document = ask("POST", "/submit", body)
    assert status == "400 Bad Request"
    assert "error" in document


def test_a_submission_that_waits_too_long_for_the_lock_fails_and_leaves_nothing(
    ask: Callable[..., Answer], site: Site, database: Path
) -> None:
    site._connection().execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(database, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        status, _, document = ask("POST", "/submit", b'{"user": "late", "problem": 3}')
        other.execute("ROLLBACK")
        assert (status, document) == ("500 Internal Server Error", {"error": "database is locked"})
        assert other.execute("SELECT count(*) FROM submissions WHERE user = 'late'").fetchone() == (0,)
    finally:
        other.close()


def test_a_submission_that_fails_in_between_is_taken_back(
    ask: Callable[..., Answer], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(connection: sqlite3.Connection, rows: int) -> int:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(site, "_score", fails)
    assert ask("POST", "/submit", b'{"user": "x", "problem": 3}')[0] == "500 Internal Server Error"
    assert not site._connection().in_transaction


def test_other_paths_and_methods(ask: Callable[..., Answer]) -> None:
    assert ask("GET", "/")[2] == {"site": "obswarm demo contest", "problems": PROBLEMS}
    for method, path in [("GET", "/nothing"), ("GET", "/submit"), ("POST", "/leaderboard")]:
        status, _, document = ask(method, path)
        assert (status, document) == ("404 Not Found", {"error": f"there is no {path}"})


def test_every_answer_is_counted_by_endpoint_and_status(ask: Callable[..., Answer], metrics: Metrics) -> None:
    def counted(endpoint: str, status: str) -> float:
        return metrics.registry.get_sample_value("app_requests_total", {"endpoint": endpoint, "status": status}) or 0.0

    before = counted("problem", "200"), counted("problem", "404"), counted("unknown", "404")
    ask("GET", "/problems/1")
    ask("GET", "/problems/x")
    ask("GET", "/nothing")
    assert (counted("problem", "200"), counted("problem", "404"), counted("unknown", "404")) == tuple(
        each + 1 for each in before
    )
    page = generate_latest(metrics.registry).decode()
    assert 'app_db_query_duration_seconds_count{operation="problem"}' in page
    assert "app_workers 8.0" in page


@pytest.mark.parametrize(("rows_per_s", "scored"), [(1e9, 20_000), (1.0, 500), (200_000.0, None)])
def test_scoring_takes_equally_long_on_a_fast_and_on_a_slow_machine(
    monkeypatch: pytest.MonkeyPatch, rows_per_s: float, scored: int | None
) -> None:
    monkeypatch.setattr(module, "SEEDED_SUBMISSIONS", 20_000)

    class Machine(Site):
        def __init__(self) -> None: ...

        def _time_scoring(self, rows: int) -> float:
            return rows / rows_per_s

    rows = Machine()._calibrate()
    if scored is not None:
        assert rows == scored, "at most what there is, at least a few"
    else:
        assert module.LOCK_HELD_S <= rows / rows_per_s < 2 * module.LOCK_HELD_S

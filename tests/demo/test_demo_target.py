"""The front end of the demo's site, its process, and the load test: with a site and a process that are made up."""

import io
import json
import subprocess
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.event import Event

from obswarm.api import ObswarmError
from obswarm.demo import loadtest as loadtest_module
from obswarm.demo import process as process_module
from obswarm.demo import target as target_module
from obswarm.demo.loadtest import Contestant
from obswarm.demo.process import TargetProcess
from obswarm.demo.site import Metrics
from obswarm.demo.target import Front


class Pool:
    """In place of a ThreadPool: one greenlet a request."""

    def __init__(self, size: int) -> None:
        self.size = size

    def apply(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        return function(*arguments)


class SlowSite:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.may_answer = Event()
        self.bodies: list[bytes] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.bodies.append(environ["wsgi.input"].read())
        self.may_answer.wait()
        if environ["PATH_INFO"] == "/fails":
            raise ValueError("a fault")
        start_response("200 OK", [("X-Site", "yes")])
        return [b"o", b"k"]


class Fronted:
    def __init__(self, workers: int, longest_queue: int) -> None:
        self.site, self.metrics = SlowSite(), Metrics(workers)
        self.front = Front(self.site, self.metrics, workers, longest_queue)  # type: ignore[arg-type]

    def ask(self, path: str, body: bytes = b"") -> tuple[str, dict[str, str], bytes]:
        started: list[tuple[str, list[tuple[str, str]]]] = []
        environ = {"PATH_INFO": path, "wsgi.input": io.BytesIO(body)}
        content = b"".join(self.front(environ, lambda status, headers: started.append((status, headers))))
        ((status, headers),) = started
        return status, dict(headers), content

    def gauges(self) -> tuple[float | None, float | None]:
        """(busy workers, requests in the queue)."""
        value = self.metrics.registry.get_sample_value
        return value("app_workers_busy"), value("app_queue_length")


@pytest.fixture
def fronted(monkeypatch: pytest.MonkeyPatch) -> Fronted:
    monkeypatch.setattr(target_module, "ThreadPool", Pool)
    return Fronted(workers=2, longest_queue=1)


def test_a_request_is_answered_by_the_site(fronted: Fronted) -> None:
    fronted.site.may_answer.set()
    assert fronted.ask("/submit", b"body") == ("200 OK", {"X-Site": "yes"}, b"ok")
    assert fronted.site.bodies == [b"body"]
    assert fronted.gauges() == (0, 0)


def test_when_all_workers_are_busy_requests_queue_and_then_are_turned_away(fronted: Fronted) -> None:
    waiting = []
    for expected in [(1, 0), (2, 0), (2, 1)]:
        waiting.append(gevent.spawn(fronted.ask, "/leaderboard"))
        gevent.sleep(0)
        assert fronted.gauges() == expected
    status, _, body = fronted.ask("/leaderboard")
    assert status == "503 Service Unavailable"
    assert json.loads(body) == {"error": "every app worker is busy and the queue is full"}
    turned_away = {"endpoint": "turned away", "status": "503"}
    assert fronted.metrics.registry.get_sample_value("app_requests_total", turned_away) == 1
    assert fronted.ask("/health") == ("204 No Content", {}, b"")
    assert b"app_queue_length 1.0" in fronted.ask("/metrics")[2]
    fronted.site.may_answer.set()
    gevent.joinall(waiting, timeout=5)
    assert {greenlet.value[0] for greenlet in waiting} == {"200 OK"}
    assert fronted.gauges() == (0, 0)


def test_a_request_that_fails_makes_room_for_the_next_one(fronted: Fronted) -> None:
    fronted.site.may_answer.set()
    for _ in range(5):
        with pytest.raises(ValueError, match="a fault"):
            fronted.ask("/fails")
    assert fronted.gauges() == (0, 0)
    assert fronted.ask("/")[0] == "200 OK"


# Its process.
class Pipe:
    def __init__(self, line: bytes = b"") -> None:
        self.line = line
        self.is_closed = False

    def readline(self) -> bytes:
        return self.line

    def close(self) -> None:
        self.is_closed = True


class Process:
    """In place of a subprocess.Popen."""

    made: "Process"
    line = b'{"url": "http://127.0.0.1:4711"}\n'
    hangs = False

    def __init__(self, command: list[str], **options: Any) -> None:
        self.command, self.options = command, options
        self.stdin, self.stdout = Pipe(), Pipe(self.line)
        self.was_killed = False
        Process.made = self

    def poll(self) -> int:
        return 1

    def wait(self, timeout: float | None = None) -> int:
        assert self.stdin.is_closed, "that is what ends it"
        if self.hangs and not self.was_killed:
            raise subprocess.TimeoutExpired(self.command, timeout or 0.0)
        return 0

    def kill(self) -> None:
        self.was_killed = True


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> type[Process]:
    monkeypatch.setattr(process_module.subprocess, "Popen", Process)
    return Process


def test_the_process_of_the_target_says_where_it_is_and_ends_with_the_block(process: type[Process]) -> None:
    with TargetProcess() as target:
        assert target.url == "http://127.0.0.1:4711"
        assert Process.made.options["start_new_session"], "Ctrl-C is for the load test"
        assert not Process.made.stdin.is_closed
    assert Process.made.stdin.is_closed
    assert Process.made.stdout.is_closed
    assert not Process.made.was_killed


def test_a_target_that_does_not_end_is_killed(process: type[Process], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "hangs", True)
    with TargetProcess():
        pass
    assert Process.made.was_killed


def test_a_target_that_does_not_start_is_a_sentence(process: type[Process], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "line", b"")
    with pytest.raises(ObswarmError, match=r"The demo's target did not start \(exit code 1\)"), TargetProcess():
        raise AssertionError("it has not started")
    assert Process.made.stdin.is_closed


def test_a_block_that_was_never_entered_ends_nothing() -> None:
    TargetProcess().__exit__(None, None, None)


# Its load test.
class Response:
    def __init__(self, status_code: int, status: str) -> None:
        self.status_code = status_code
        self._status = status
        self.failures: list[str] = []

    def __enter__(self) -> "Response":
        return self

    def __exit__(self, *_: object) -> None: ...

    def json(self) -> dict[str, str]:
        return {"status": self._status}

    def failure(self, text: str) -> None:
        self.failures.append(text)


@pytest.mark.parametrize(
    ("status_code", "status", "failures"),
    [(200, "accepted", []), (200, "queued", ["not accepted"]), (500, "", [])],
)
def test_a_contestant_fails_a_submission_that_was_not_accepted(
    status_code: int, status: str, failures: list[str]
) -> None:
    response = Response(status_code, status)
    calls: list[tuple[Any, ...]] = []

    def post(path: str, json: Any, catch_response: bool) -> Response:
        calls.append((path, json, catch_response))
        return response

    contestant: Any = SimpleNamespace(client=SimpleNamespace(post=post))
    Contestant.on_start(contestant)
    Contestant.submit(contestant)
    ((path, sent, catches),) = calls
    assert (path, sent["user"], catches) == ("/submit", contestant.name, True)
    assert 0 <= sent["problem"] < loadtest_module.PROBLEMS
    assert response.failures == failures


def test_a_contestant_reads_problems_under_one_name_and_the_leaderboard() -> None:
    requested: list[tuple[str, str | None]] = []
    contestant: Any = SimpleNamespace(
        client=SimpleNamespace(get=lambda path, name=None: requested.append((path, name)))
    )
    Contestant.read_problem(contestant)
    Contestant.leaderboard(contestant)
    (problem, name), leaderboard = requested
    assert problem.startswith("/problems/")
    assert name == "/problems/{id}"
    assert leaderboard == ("/leaderboard", None)

"""The API of a master that stays: who may, what is accepted, and that every news reaches who asks."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import gevent
import msgpack
import pytest
from werkzeug.test import Client

from obswarm.api import ObswarmError
from obswarm.app import run_service as module
from obswarm.app.run_service import MasterRunService
from obswarm.config import RunConfig, to_wire
from obswarm.web import RunEvents, RunRequest, RunsApp

TOKEN = "the right one"
ORDER = RunRequest(RunConfig.of({"users": 5}, {}), ["a.py"], False, "", b"x")


def changed(**values: Any) -> bytes:
    """ORDER, packed, with other values."""
    packed: bytes = msgpack.packb({**msgpack.unpackb(ORDER.pack()), **values})
    return packed


class Control:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def stop(self, reason: Any) -> None:
        self.calls.append(("stop", reason.kind, reason.detail))

    def abort(self, reason: Any) -> None:
        self.calls.append(("abort", reason.kind, reason.detail))


@pytest.fixture
def taken() -> list[RunRequest]:
    return []


def service_with(
    accept: Callable[[RunRequest], None], workers: Callable[[], Mapping[str, int]], max_wait_s: float = 0.0
) -> MasterRunService:
    """One that makes no run, for which those workers wait."""
    service = MasterRunService(accept, workers_max_wait_s=max_wait_s)
    service.wait_with(workers)
    return service


@pytest.fixture
def service(taken: list[RunRequest]) -> MasterRunService:
    return service_with(taken.append, lambda: {"w1": 1, "w2": 4})


def ask(
    service: MasterRunService, method: str, path: str, body: bytes = b"", token: str | None = TOKEN, query: str = ""
) -> tuple[int, bytes]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = Client(RunsApp(service, TOKEN)).open(path, method=method, data=body, query_string=query, headers=headers)
    return answer.status_code, answer.data


@pytest.mark.parametrize("token", [None, "", "wrong", "the right on"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_api_of_runs_requires_the_token(service, taken, token, method) -> None:
    for path in ("/api/v1/service", "/api/v1/runs", "/api/v1/runs/x/news", "/api/v1/runs/x/stop"):
        assert ask(service, method, path, ORDER.pack(), token)[0] == 401
    assert taken == []


def test_an_order_is_taken_once(service, taken) -> None:
    code, answer = ask(service, "POST", "/api/v1/runs", ORDER.pack())
    assert code == 201
    assert json.loads(answer) == {"id": taken[0].id, "workers": 2, "run_id": taken[0].run_id}
    assert taken[0].run_id
    assert replace(taken[0], id="", run_id="", workers=0) == ORDER
    code, answer = ask(service, "POST", "/api/v1/runs", ORDER.pack())
    assert code == 409
    assert len(taken) == 1
    assert json.loads(ask(service, "GET", "/api/v1/service")[1])["state"] == "running"


def test_a_request_that_cannot_be_stored_leaves_the_service_free() -> None:
    def full(order: RunRequest) -> None:
        raise ObswarmError("the disk is full")

    service = service_with(full, lambda: {"w1": 1})
    code, answer = ask(service, "POST", "/api/v1/runs", ORDER.pack())
    assert (code, json.loads(answer)["error"]) == (400, "the disk is full")
    assert json.loads(ask(service, "GET", "/api/v1/service")[1])["state"] == "waiting"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "not a request for a run"),
        (b"\x80", "not a request for a run"),
        (b"nonsense", "not a request for a run"),
        (changed(config=to_wire(ORDER.config, "0.0.1")), "the versions have to be the same"),
        (changed(config=5), "not the configuration of a run"),
        (changed(files=[1]), "files has a value that is not a string"),
        (changed(mounted=1), "mounted has the wrong type"),
    ],
)
def test_what_is_no_order(service, taken, body: bytes, text: str) -> None:
    code, answer = ask(service, "POST", "/api/v1/runs", body)
    assert code == 400
    assert text in json.loads(answer)["error"]
    assert taken == []


def test_without_workers_there_is_no_run_unless_they_are_on_their_way_back(taken) -> None:
    service = service_with(taken.append, dict)
    assert ask(service, "POST", "/api/v1/runs", ORDER.pack())[0] == 409
    service.expect_back(3)
    assert ask(service, "POST", "/api/v1/runs", ORDER.pack())[0] == 201
    assert taken[0].workers == 3


def test_workers_that_a_run_has_killed_are_waited_for(taken) -> None:
    workers: dict[str, int] = {}
    service = service_with(taken.append, lambda: workers)
    service.expect_back(0)
    gevent.spawn_later(0.3, workers.update, {"again": 1})
    assert ask(service, "POST", "/api/v1/runs", ORDER.pack())[0] == 201
    assert taken[0].workers == 1


def test_workers_that_do_not_come_back_are_not_waited_for_without_end(taken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STARTED_AGAIN_S", 0.1)
    service = service_with(taken.append, dict)
    service.expect_back(0)
    assert ask(service, "POST", "/api/v1/runs", ORDER.pack())[0] == 409


def test_a_worker_that_is_connecting_again_takes_part(taken) -> None:
    workers = {"one": 1}
    service = service_with(taken.append, lambda: workers, 30.0)
    gevent.spawn_later(0.3, workers.update, {"two": 1})
    assert ask(service, "POST", "/api/v1/runs", replace(ORDER, workers=2).pack())[0] == 201
    assert taken[0].workers == 2


def test_a_run_is_not_refused_while_all_workers_are_connecting_again(taken) -> None:
    workers: dict[str, int] = {}
    service = service_with(taken.append, lambda: workers, 30.0)
    gevent.spawn_later(0.3, workers.update, {"one": 1})
    assert ask(service, "POST", "/api/v1/runs", ORDER.pack())[0] == 201
    assert taken[0].workers == 1


def test_a_run_begins_with_the_workers_that_are_there(taken) -> None:
    service = service_with(taken.append, lambda: {"one": 1}, 0.1)
    assert ask(service, "POST", "/api/v1/runs", replace(ORDER, workers=2).pack())[0] == 201
    assert taken[0].workers == 1


def test_stopping(service) -> None:
    command = json.dumps({"kind": "signal", "detail": "Ctrl-C", "abort": False}).encode()
    assert ask(service, "POST", "/api/v1/runs/one/stop", command)[0] == 404
    control = Control()
    service.begin("one", RunEvents())
    service.began(control, "run", "a.py")
    assert ask(service, "POST", "/api/v1/runs/other/stop", command)[0] == 404
    for body in (
        b"",
        b"{}",
        b'{"kind": "x", "detail": "", "abort": true}',
        b'{"kind": "user", "detail": 1, "abort": 1}',
    ):
        assert ask(service, "POST", "/api/v1/runs/one/stop", body)[0] == 400
    assert control.calls == []
    assert ask(service, "POST", "/api/v1/runs/one/stop", command)[0] == 200
    assert ask(service, "POST", "/api/v1/runs/one/stop", command.replace(b"false", b"true"))[0] == 200
    assert control.calls == [("stop", "signal", "Ctrl-C"), ("abort", "signal", "Ctrl-C")]


def test_news_come_once_and_anew_after_a_restart(service) -> None:
    events = RunEvents()
    service.begin("one", events)
    events.log(20, "obswarm", "first")
    events.end(None, 2, "it broke")

    def fetch(boot: str, after: int) -> tuple[str, list[list[Any]]]:
        code, content = ask(service, "GET", "/api/v1/runs/one/news", query=f"boot={boot}&after={after}")
        assert code == 200
        boot, found = msgpack.unpackb(content)
        return boot, found

    boot, found = fetch("", 0)
    assert found == [[1, "log", 20, "obswarm", "first"], [2, "end", None, 2, "it broke"]]
    assert fetch(boot, 1)[1] == found[1:]
    assert fetch("another", 2)[1] == found, "another boot has other numbers"
    assert fetch(boot, "x")[1] == found


def test_the_paths_of_the_page_are_left_to_it(service) -> None:
    runs = RunsApp(service, TOKEN)
    assert runs.serves("POST", "/api/v1/runs")
    assert runs.serves("GET", "/api/v1/runs/x/news")
    for path in ("/api/v1/runs", "/api/v1/runs/x", "/api/v1/runs/x/report", "/api/v1/status", "/"):
        assert not runs.serves("GET", path)
    assert not runs.serves("POST", "/api/v1/stop")
    assert ask(service, "GET", "/api/v1/runs")[0] == 405
    assert ask(service, "GET", "/api/v1/other")[0] == 404


def test_a_body_is_read_after_the_token_and_up_to_a_limit(service, taken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obswarm.web.runs_application.LARGEST_REQUEST_BYTES", 20_000)
    assert ask(service, "POST", "/api/v1/runs", b"x" * 20_001, "wrong")[0] == 401
    code, answer = ask(service, "POST", "/api/v1/runs", b"x" * 20_000)
    assert (code, json.loads(answer)["error"]) == (413, "the body has to have less than 20000 bytes")
    assert "not a request" in json.loads(ask(service, "POST", "/api/v1/runs", b"x" * 19_999)[1])["error"]
    service.begin("one", RunEvents())
    service.began(Control(), "run", "a.py")
    assert ask(service, "POST", "/api/v1/runs/one/stop", b"x" * 10_001)[0] == 413
    assert taken == []


@pytest.mark.parametrize(("size", "status"), [(9_999, 400), (10_000, 413), (50_000, 413)])
def test_a_body_without_a_length_has_the_same_limit(service, size: int, status: int) -> None:
    service.begin("one", RunEvents())
    service.began(Control(), "run", "a.py")
    answer = Client(RunsApp(service, TOKEN)).post(
        "/api/v1/runs/one/stop",
        input_stream=io.BytesIO(b"{" * size),
        headers={"Authorization": f"Bearer {TOKEN}"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.status_code == status

"""The REST API on a service without runs: documents, commands, errors, ETags."""

import json
from typing import Any

import pytest

from obswarm.record import Annotation, AnnotationKind
from obswarm.web.rest.documents import LogRow
from obswarm.web.rest.operations import OPERATIONS, PREFIX
from obswarm.web.rest.requests import ChangeLoad, Start
from obswarm.web.rest.series import COLUMNS
from obswarm.web.rest.service import Unavailable
from tests.support.recorded import LOGIN, PAGE, MadeUpRun
from tests.support.stub_test_service import STORED, StubTestService, client_of


@pytest.fixture
def service() -> StubTestService:
    return StubTestService()


def measured(service: StubTestService, seconds: int = 3) -> MadeUpRun:
    """Let the service have the snapshots of a run."""
    run = MadeUpRun([service.live])
    service.live.run_id = "r"
    for second in range(seconds):
        run.pass_a_second({PAGE: [0.1, 0.2], LOGIN: [1.0]}, [LOGIN] if second == 1 else [])
    return run


def test_each_state_is_there_without_a_run(service: StubTestService) -> None:
    client = client_of(service)
    for operation in OPERATIONS:
        if operation.method == "GET" and "{" not in operation.path and operation.path != "/compare":
            answer = client.get(PREFIX + operation.path)
            assert (answer.status_code, answer.content_type) == (200, "application/json"), operation.path


def test_the_measurements_are_those_of_the_last_snapshot(service: StubTestService) -> None:
    measured(service)
    client = client_of(service)
    found = client.get("/api/v1/endpoints").json
    assert (found["run_id"], found["total"]["name"], found["total"]["requests"]) == ("r", "Aggregated", 10)
    login, page = found["endpoints"]
    assert (login["method"], login["name"], login["requests"], login["failures"]) == ("POST", "/login", 4, 1)
    assert (page["requests"], page["rps"], page["now"]["rps"], page["min_s"], page["max_s"]) == (6, 2.0, 2.0, 0.1, 0.2)
    assert client.get("/api/v1/errors").json["errors"][0]["error"] == "HTTP 500"
    assert client.get("/api/v1/workers").json["workers"][0]["worker"] == "w1"
    assert client.get("/api/v1/guards").json["requirements"][0]["met"] is True
    (scenario,) = client.get("/api/v1/scenarios").json["scenarios"]
    assert (scenario["user_class"], scenario["users"], scenario["users_target"]) == ("Visitor", 3, 5)
    whole = client.get("/api/v1/snapshot").json
    assert whole["endpoints"] == found["endpoints"]
    assert whole["status"]["loadtest"] == "shop.py"


def test_series_have_the_seconds_after_a_time(service: StubTestService) -> None:
    run = measured(service, 5)
    service.live.annotation(Annotation(7.0, AnnotationKind.NOTE, "deployed"))
    client = client_of(service)
    every = client.get("/api/v1/series").json
    assert set(every["columns"]) == set(COLUMNS)
    assert {len(column) for column in every["columns"].values()} == {5}
    assert every["columns"]["rps"] == [3.0, 4.0, 3.0, 3.0, 3.0]
    assert [sum(count for _, count in second) for second in every["heat"]["counts"]] == [3, 4, 3, 3, 3]
    assert every["annotations"] == [{"time_s": 7.0, "kind": "note", "text": "deployed"}]
    rest = client.get(f"/api/v1/series?since={run.last.started_s + 3.5}").json
    assert rest["time_s"] == every["time_s"][3:]


def test_values_that_json_does_not_have_are_null(service: StubTestService) -> None:
    found = client_of(service).get("/api/v1/targets/series?metric=a&metric=b").json
    assert [(each["id"], each["values"]) for each in found["series"]] == [("a", [3.0, None]), ("b", [3.0, None])]


def test_texts_of_the_target_are_json_whatever_they_are(service: StubTestService) -> None:
    service.live.log(LogRow(1.0, "INFO", "x", 'odd \udcff text <script> "quoted"'))
    answer = client_of(service).get("/api/v1/logs")
    assert "odd" in json.loads(answer.data)["logs"][0]["text"]


@pytest.mark.parametrize(
    ("path", "body", "command"),
    [
        ("load", {"users": 7, "spawn_rate": 2.5}, ("load", ChangeLoad(users=7, spawn_rate=2.5))),
        ("hold", {}, ("hold",)),
        ("release", {"by": "slow"}, ("release", "slow")),
        ("stop", {"reason": "enough", "abort": True}, ("stop", "enough", True)),
        ("reset", {}, ("reset",)),
        ("annotate", {"text": "deployed"}, ("annotate", "deployed")),
    ],
)
def test_commands_reach_the_run(service: StubTestService, path: str, body: Any, command: Any) -> None:
    client = client_of(service)
    refused = client.post(f"/api/v1/{path}", json=body)
    assert (refused.status_code, refused.json["detail"]) == (409, "There is no run.")
    service.is_running = True
    answer = client.post(f"/api/v1/{path}", json=body)
    assert (answer.status_code, answer.json["state"]) == (200, "running")
    assert service.commands == [command]


def test_a_start_has_the_values_that_are_given(service: StubTestService) -> None:
    client = client_of(service)
    answer = client.post("/api/v1/start", json={"users": 5, "host": "http://a", "options": {"pin": "1", "deep": True}})
    assert (answer.status_code, answer.json) == (201, {"run_id": STORED.id})
    assert service.commands == [("start", Start(users=5, host="http://a", options={"pin": "1", "deep": True}))]
    client.post("/api/v1/start", json={"users": 5.0, "spawn_rate": 2.5, "options": {"size": 3.0}})
    assert service.commands[-1] == ("start", Start(users=5, spawn_rate=2.5, options={"size": 3}))
    service.is_running = True
    assert client.post("/api/v1/start", json={}).status_code == 409


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"users": 0}, "`int` >= 1"),
        ({"users": "5"}, "$.users"),
        ({"user": 5}, "unknown field `user`"),
        ({"spawn_rate": -1}, "> 0"),
        ([], "`object`"),
    ],
)
def test_wrong_bodies_are_refused_with_the_place(service: StubTestService, body: Any, detail: str) -> None:
    answer = client_of(service).post("/api/v1/start", json=body)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert (answer.json["title"], answer.json["status"]) == ("Bad Request", 400)
    assert detail in answer.json["detail"]
    assert service.commands == []


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("POST", "/api/v1/start", {"data": b"{", "content_type": "application/json"}, 400),
        ("POST", "/api/v1/start", {"data": b"\xff", "content_type": "application/json"}, 400),
        ("POST", "/api/v1/start", {"data": b"[" * 100_000, "content_type": "application/json"}, 400),
        ("POST", "/api/v1/start", {"data": b"users=5"}, 415),
        ("POST", "/api/v1/start", {"data": b" " * 2_000_000, "content_type": "application/json"}, 413),
        ("GET", "/api/v1/start", {}, 405),
        ("GET", "/api/v1/nothing", {}, 404),
        ("GET", "/api/v1/runs/other", {}, 404),
        ("GET", "/api/v1/runs/other/report", {}, 404),
        ("GET", f"/api/v1/runs/{STORED.id}/csv/passwords", {}, 404),
        ("GET", "/api/v1/runs?limit=0", {}, 400),
        ("GET", "/api/v1/runs?limit=many", {}, 400),
        ("GET", "/api/v1/series?since=nan", {}, 400),
        ("GET", "/api/v1/compare", {}, 400),
        ("GET", "/api/v1/targets/series?" + "&".join(["metric=a"] * 21), {}, 400),
    ],
)
def test_errors_are_problems(service: StubTestService, method: str, path: str, options: Any, status: int) -> None:
    answer = client_of(service).open(path, method=method, **options)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert answer.json["status"] == status
    assert answer.json["detail"]
    if status == 405:
        assert "POST" in answer.headers["Allow"]


def test_what_the_server_cannot_do_now_is_503(service: StubTestService, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(run_id: str) -> None:
        raise Unavailable("It took longer than 25s.")

    monkeypatch.setattr(service, "explain", fail)
    answer = client_of(service).get(f"/api/v1/runs/{STORED.id}/explain")
    assert (answer.status_code, answer.json["detail"]) == (503, "It took longer than 25s.")


def test_a_failure_of_the_server_is_a_problem_and_logged(service: StubTestService, caplog, monkeypatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError("in here")

    monkeypatch.setattr(service, "status", fail)
    answer = client_of(service).get("/api/v1/status")
    assert (answer.status_code, "in here" in answer.get_data(as_text=True)) == (500, False)
    assert "GET /api/v1/status failed" in caplog.text


def test_an_unchanged_document_is_not_sent_again(service: StubTestService) -> None:
    client = client_of(service)
    first = client.get("/api/v1/runs")
    again = client.get("/api/v1/runs", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    before = client.get("/api/v1/status").headers["ETag"]
    service.is_running = True
    assert client.get("/api/v1/status", headers={"If-None-Match": before}).status_code == 200


def test_stored_runs_can_be_saved_as_files(service: StubTestService) -> None:
    client = client_of(service)
    report = client.get(f"/api/v1/runs/{STORED.id}/report?download=1")
    assert report.headers["Content-Disposition"] == f'attachment; filename="{STORED.id}.html"'
    assert report.headers["Content-Security-Policy"].startswith("sandbox allow-scripts")
    table = client.get(f"/api/v1/runs/{STORED.id}/csv/stats?download=true")
    assert (table.data, table.content_type) == (b"stats\r\n", "text/csv; charset=utf-8")
    assert table.headers["Content-Disposition"] == f'attachment; filename="{STORED.id}_stats.csv"'
    assert "Content-Disposition" not in client.get(f"/api/v1/runs/{STORED.id}/result").headers

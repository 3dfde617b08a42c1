"""A process that makes runs from the page: several of them, what its load test adds, and the paths of Locust."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import pytest

from obswarm.api import events
from obswarm.app.web_session import WebSession
from obswarm.config import RunConfig
from obswarm.web.rest.service import NotPossible
from tests.app.test_build import Display
from tests.support import patience
from tests.support.patience import HANG_S

_LOADTEST = """
import json
from flask import request
from obswarm import User, constant, events, task

@events.init_command_line_parser.add_listener
def options(parser):
    parser.add_argument("--account", default="demo", choices=["demo", "paid"], help="Account to use.")
    parser.add_argument("--pin", default="1234", is_secret=True)
    parser.add_argument("--size", type=int, default=3)
    parser.add_argument("--deep", action="store_true")

inits = []

@events.init.add_listener
def init(environment, runner, web_ui, **_):
    inits.append(runner)
    runner.register_message("greeting", lambda environment, msg: None)

    web_ui.template_args["extended_tabs"] = [{"key": "sizes", "title": "Sizes"}]
    web_ui.template_args["extended_tables"] = [{"key": "sizes", "structure": [{"key": "name", "title": "Name"}]}]
    web_ui.template_args["extended_csv_files"] = [{"href": "/sizes/csv", "title": "sizes"}, {"href": "//evil.example/"}]

    @web_ui.app.after_request
    def with_sizes(response):
        if request.path == "/stats/requests":
            sizes = [{"key": "sizes", "data": [{"name": "/read"}]}]
            response.set_data(json.dumps({**response.json, "extended_stats": sizes}))
        return response

    @web_ui.app.route("/inits")
    def number():
        options = environment.parsed_options
        values = [options.account, options.size, options.deep]
        return {"inits": len(inits), "same": environment.runner is inits[0], "state": environment.runner.state, "options": values}

class Visitor(User):
    wait_time = constant(0.05)

    @task(3)
    def read(self):
        with self.environment.request("GET", "/read"):
            pass

    @task
    def fail(self):
        with self.environment.request("GET", "/<b>fail"):
            raise ValueError("no <i>luck")

class Admin(Visitor):
    pass
"""


wait_until = partial(patience.wait_until, every_s=0.1)


class Client:
    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, path: str, body: Any = None, form: str | None = None) -> Any:
        data = form.encode() if form is not None else None if body is None else json.dumps(body).encode()
        kind = "application/x-www-form-urlencoded" if form is not None else "application/json"
        request = urllib.request.Request(self.url + path, data, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=HANG_S) as answer:
            content = answer.read().decode()
            return json.loads(content) if answer.headers.get_content_type() == "application/json" else content

    @property
    def state(self) -> str:
        return str(self("/api/v1/status")["state"])


@contextmanager
def served(session: WebSession) -> Iterator[Client]:
    """Serve a session while the block goes on, after which its run is stopped, and it is interrupted."""
    greenlet = gevent.spawn(session.execute)
    wait_until(lambda: session.server.port and session.page.web_ui._is_open)
    with gevent.Timeout(HANG_S):
        call = Client(session.server.url)
        yield call
        # Of a run that ends at this moment there is nothing to stop.
        with suppress(NotPossible):
            session.page.service.stop("", False)
        wait_until(lambda: not session._is_busy)
        session._next.set(None)
        greenlet.join()
    assert greenlet.successful(), greenlet.exception


@pytest.fixture
def own_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load tests add theirs to the events of the process."""
    for hook in vars(events).values():
        monkeypatch.setattr(hook, "listeners", list(hook.listeners))


@pytest.fixture
def session(
    tmp_path: Path,
    loadtest: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    own_imports: None,
    own_listeners: None,
) -> WebSession:
    monkeypatch.chdir(tmp_path)
    values = {
        "arguments": (str(loadtest(_LOADTEST)),),
        "web": True,
        "web_port": 0,
        "workers": 0,
        "host": "http://shop.example",
        "stop_timeout": 1.0,
        "no_report": True,
        "requirements": ("error_ratio < 90%",),
    }
    return WebSession(RunConfig.of(values, {}), lambda config: Display())


def test_one_run_after_the_other(session: WebSession) -> None:
    with served(session) as call:
        assert call("/inits") == {"inits": 1, "same": True, "state": "ready", "options": ["demo", 3, False]}
        assert [each["name"] for each in call("/api/v1/loadtest")["user_classes"]] == ["Visitor", "Admin"]
        columns = [{"key": "name", "title": "Name"}]
        assert call("/api/v1/panels") == {
            "panels": [{"key": "sizes", "title": "Sizes", "columns": columns}],
            "files": [{"href": "/sizes/csv", "title": "sizes"}],
        }
        assert call("/stats/requests")["extended_stats"] == [{"key": "sizes", "data": [{"name": "/read"}]}]
        options = {each["name"]: each for each in call("/api/v1/loadtest")["options"]}
        assert (options["account"]["choices"], options["size"]["type"]) == (["demo", "paid"], "integer")
        assert (options["pin"]["secret"], options["pin"]["default"], options["deep"]["type"]) == (True, None, "flag")

        wanted = {
            "users": 2,
            "spawn_rate": 100,
            "user_classes": ["Visitor"],
            "options": {"account": "paid", "size": 5, "deep": True},
        }
        first = call("/api/v1/start", wanted)["run_id"]
        wait_until(lambda: call("/api/v1/status")["requests"] > 5)
        found = call("/api/v1/status")
        assert (found["run_id"], found["state"], found["users_by_class"]) == (first, "running", {"Visitor": 2})
        assert call("/inits") == {"inits": 1, "same": True, "state": "running", "options": ["paid", 5, True]}
        with pytest.raises(urllib.error.HTTPError, match="409"):
            call("/api/v1/start", {})

        assert call("/api/v1/hold", {})["in_force"] == [{"by": "page", "action": "hold"}]
        wait_until(lambda: call.state == "holding")
        call("/api/v1/release", {})
        call("/api/v1/load", {"users": 4, "spawn_rate": 100})
        wait_until(lambda: call("/api/v1/status")["users"] == 4)
        call("/api/v1/annotate", {"text": "deployed"})
        assert call("/api/v1/annotations")["annotations"][-1]["text"] == "deployed"
        # More than there can be in the second after the reset, which the status has first.
        gevent.sleep(3)
        before = call("/api/v1/status")["requests"]
        call("/api/v1/reset", {})
        wait_until(lambda: 0 < call("/api/v1/status")["requests"] < before)
        call("/api/v1/stop", {"reason": "enough"})
        wait_until(lambda: call("/api/v1/status")["exit_code"] is not None)
        ended = call("/api/v1/status")
        assert (ended["state"], ended["users"], ended["exit_code"]) == ("stopped", 0, 1)
        assert ended["stop_reason"] == {"kind": "user", "detail": "stopped on the page: enough"}

        second = call("/api/v1/start", {"run_time": "1s", "profile": "nightly"})["run_id"]
        assert second != first
        assert call("/inits")["options"] == ["demo", 3, False]
        wait_until(lambda: call("/api/v1/status")["exit_code"] is not None)
        assert call("/api/v1/status")["users_by_class"] == {}
        runs = call("/api/v1/runs")
        assert [(each["id"], each["tag"]) for each in runs["runs"]] == [(second, "nightly"), (first, None)]
        assert [each["id"] for each in call("/api/v1/runs?tag=nightly")["runs"]] == [second]
        assert call(f"/api/v1/runs?limit=1&before={second}")["runs"][0]["id"] == first
        assert call(f"/api/v1/runs/{first}/result")["run_id"] == first
        head = call("/api/v1/runs/last/csv/stats").splitlines()[0]
        assert head.startswith("Type,Name,Request Count")
        assert "headline" in call("/api/v1/runs/last/explain")
        assert call(f"/api/v1/compare?before={first}&after={second}")["base"] == first
        assert "<title>" in call("/api/v1/runs/last/report")


def test_a_start_that_cannot_be_prepared_says_why_and_another_can(session: WebSession) -> None:
    with served(session) as call:
        for wrong, why in (
            ({"user_classes": ["Nobody"]}, "no user class 'Nobody'"),
            ({"options": {"account": "other"}}, "invalid choice"),
            ({"options": {"unknown": 1}}, "no option 'unknown'"),
            ({"users": 1, "stages": "1s:1"}, "exclude each other"),
            ({"stages": "soon"}, "stages:"),
            ({"arrival_rate": "/etc/passwd"}, "arrival_rate"),
            ({"run_time": "0s"}, "run_time"),
            ({"tags": ["none"]}, "No task matches"),
        ):
            with pytest.raises(urllib.error.HTTPError) as caught:
                call("/api/v1/start", wrong)
            assert (caught.value.code, why in json.loads(caught.value.read())["detail"]) == (400, True), wrong
        assert call.state == "ready"
        call("/api/v1/start", {"arrival_rate": "50/s"})
        wait_until(lambda: call("/api/v1/status")["requests"] > 5)
        assert call("/api/v1/status")["model"] == "open"
        call("/api/v1/load", {"arrival_rate": "20/s"})
        wait_until(lambda: call("/api/v1/status")["iterations_per_s_target"] == 20.0)


EXPORTER_FIELDS = {
    "method": str,
    "name": str,
    "num_requests": int,
    "num_failures": int,
    "avg_response_time": float,
    "min_response_time": float,
    "max_response_time": float,
    "current_rps": float,
    "median_response_time": float,
    "avg_content_length": float,
}
"""What the exporters for Locust in Go read of each endpoint, and as what."""


def test_automation_and_exporters_for_locust(session: WebSession) -> None:
    with served(session) as call:
        before = call("/stats/requests")
        assert (before["state"], before["stats"], before["user_count"]) == ("ready", [], 0)
        answer = call("/swarm", form="user_count=3&spawn_rate=100&account=paid")
        assert answer == {"success": True, "message": "Swarming started", "host": "http://shop.example"}
        wait_until(lambda: call("/stats/requests")["total_rps"] > 0 and call("/stats/requests")["errors"])
        found = call("/stats/requests")
        assert (found["state"], found["user_count"], call("/inits")["options"][0]) == ("running", 3, "paid")
        for row in found["stats"]:
            for name, kind in EXPORTER_FIELDS.items():
                assert isinstance(row[name], int if kind is int else (int, float) if kind is float else str), name
        assert found["stats"][-1]["name"] == "Aggregated"
        assert isinstance(found["fail_ratio"], float)
        (error,) = found["errors"]
        assert {"method", "name", "error", "occurrences"} <= error.keys()
        assert (error["name"], error["error"]) == ("/<b>fail", "ValueError: no <i>luck")
        for workers in (found["workers"], found["slaves"]):
            assert {"id", "state", "user_count"} <= workers[0].keys()
        assert call("/swarm", form="user_count=1&spawn_rate=100")["success"]
        wait_until(lambda: call("/stats/requests")["user_count"] == 1)
        assert call("/stats/requests/csv").startswith("Type,Name,Request Count,Failure Count")
        assert "ValueError: no <i>luck" in call("/stats/failures/csv")
        assert call("/exceptions") == {"exceptions": []}
        assert call("/tasks")["per_class"]["Visitor"]["tasks"]["read"] == {"ratio": 0.75}
        assert set(call("/logs")) == {"master", "workers"}
        assert call("/stats/reset") == "ok"
        assert call("/stop") == {"success": True, "message": "Test stopped"}
        wait_until(lambda: call("/stats/requests")["state"] == "stopped")
        refused = call("/swarm", form="user_count=many&spawn_rate=1")
        assert (refused["success"], refused["message"]) == (False, "user_count is 'many'; it has to be a number.")


def test_a_link_of_another_page_does_not_stop_the_run(session: WebSession) -> None:
    with served(session) as call:
        # Over plain HTTP to other addresses than loopback ones, browsers do not say where a link is.
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}):
            request = urllib.request.Request(call.url + "/stop", headers=headers)
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(request, timeout=HANG_S)
        assert call("/stop")["success"]


def test_the_process_ends_some_time_after_a_run(session: WebSession) -> None:
    assert session._wait(0.01) is None
    session._next.set(None)
    assert session.execute() == 0, "without a run"

"""The page of a master service, whose runs are started in a browser; and who may use it."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.e2e.test_web_page import LOADTEST
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import ROOT, CountingServer, QuickServer
from tests.support.service import TOKEN, Service


def test_runs_are_started_watched_and_stopped_in_a_browser(tmp_path: Path) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    with QuickServer() as quick:
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.service_page", tmp_path, quick.url],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=3 * HANG_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr


def ask(service: Service, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(service.url + path, data, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=HANG_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error) if "json" in error.headers["Content-Type"] else None


def test_a_pipeline_starts_a_run_and_finds_it_stored(tmp_path: Path, target: CountingServer) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    token = {"Authorization": f"Bearer {TOKEN}"}
    with Service(tmp_path, "loadtest.py", "-H", target.url, "--store", "runs", workers=(1,)) as service:
        assert ask(service, "/api/v1/status")[0] == 401
        assert ask(service, "/api/v1/start", {})[0] == 401
        assert ask(service, "/api/v1/status", Origin="http://evil.example", **token)[0] == 403
        assert ask(service, "/api/v1/service", Host="evil.example", **token)[0] == 421
        status, found = ask(service, "/api/v1/loadtest", **token)
        assert status == 200
        assert [each["name"] for each in found["options"]] == ["greeting"]
        status, refusal = ask(service, "/api/v1/start", {"user_classes": ["Nobody"]}, **token)
        assert status == 400
        assert "Nobody" in refusal["detail"]
        order = {"users": 3, "spawn_rate": 50, "run_time": "2s", "profile": "nightly", "options": {"greeting": "hi"}}
        status, started = ask(service, "/api/v1/start", order, **token)
        assert (status, list(started)) == (201, ["run_id"]), started
        run = f"/api/v1/runs/{started['run_id']}"
        wait_until(lambda: ask(service, f"{run}/result", **token)[0] == 200, service.log)
        # Its client adds the tag when it has stored the run.
        wait_until(lambda: ask(service, run, **token)[1]["tags"] == ["nightly"], service.log)
        stored = ask(service, run, **token)[1]
        assert stored["requests"] == target.total() > 0
        service.wait_for_workers()
        ended = ask(service, "/api/v1/status", **token)[1]
        assert (ended["run_id"], ended["state"], ended["workers"]) == (started["run_id"], "stopped", 1)

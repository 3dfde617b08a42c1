"""Dashboards and rules for a Grafana and a Prometheus that are there already."""

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import obswarm
from tests.support.prometheus import program


class Grafana:
    """Folders and dashboards as in Grafana's HTTP API (https://grafana.com/docs/grafana/latest/developers/http_api/)."""

    def __init__(self) -> None:
        self.folders: list[dict[str, str]] = []
        self.orders: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200, outer.folders)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.headers["Authorization"] != "Bearer right":
                    self._answer(401, {"message": "Invalid API key"})
                elif self.path == "/api/folders":
                    outer.folders.append({"uid": "f1", "title": body["title"]})
                    self._answer(200, outer.folders[-1])
                elif self.path == "/api/dashboards/db":
                    outer.orders.append(body)
                    self._answer(200, {"url": f"/d/{body['dashboard']['uid']}/x", "status": "success"})

            def _answer(self, code: int, document: Any) -> None:
                body = json.dumps(document).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def grafana():
    made = Grafana()
    yield made
    made.close()


def test_push_puts_them_into_a_folder_that_is_made_once(grafana, tmp_path) -> None:
    for _ in range(2):
        done = obswarm("dashboards", "push", "--grafana-url", grafana.url, "--grafana-token", "right", cwd=tmp_path)
        assert done.code == 0, done.stderr
        assert done.stdout.splitlines() == [
            f"{grafana.url}/d/obswarm-{name}/x" for name in ("compare", "correlate", "generator", "run")
        ]
    assert grafana.folders == [{"uid": "f1", "title": "obswarm"}]
    order = grafana.orders[-1]
    assert (order["folderUid"], order["overwrite"], order["dashboard"]["id"]) == ("f1", True, None)


def test_push_with_a_wrong_token_or_to_nobody_is_a_sentence(grafana, tmp_path) -> None:
    wrong = obswarm("dashboards", "push", "--grafana-url", grafana.url, "--grafana-token", "wrong", cwd=tmp_path)
    assert (wrong.code, "it needs the role Editor" in wrong.stderr) == (2, True)
    grafana.close()
    nobody = obswarm("dashboards", "push", "--grafana-url", grafana.url, "--grafana-token", "right", cwd=tmp_path)
    assert (nobody.code, "Grafana does not answer at" in nobody.stderr) == (2, True)


def test_export_writes_what_grafana_and_prometheus_read(tmp_path: Path) -> None:
    done = obswarm("dashboards", "export", tmp_path / "there", cwd=tmp_path)
    assert done.code == 0, done.stderr
    written = [Path(line) for line in done.stdout.splitlines()]
    assert {path.name for path in written} == {
        *(f"obswarm-{name}.json" for name in ("compare", "correlate", "generator", "run")),
        "alerts.yml",
        "recording.yml",
    }
    assert json.loads((tmp_path / "there" / "obswarm-run.json").read_text())["uid"] == "obswarm-run"
    checked = subprocess.run(
        [program("promtool"), "check", "rules", *(tmp_path / "there").glob("*.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    (tmp_path / "file").touch()
    assert obswarm("dashboards", "export", tmp_path / "file" / "x", cwd=tmp_path).code == 2

"""Guards and alerts that hold and scale real runs, side by side: what tests/guards/test_situations.py has in numbers."""

import csv
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from subprocess import Popen

import pytest
import requests

from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import QuickServer, start_obswarm
from tests.support.stalls import StallMeter

LOADTEST = """
from obswarm import FastHttpUser, LoadTestShape, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(0.1)

    @task
    def page(self):
        self.client.get("/page")
"""
SHAPE = """
class Steps(LoadTestShape):
    def tick(self):
        return (30, 5) if self.get_run_time() < 6 else None
"""
PAGES = ["x 1", *["x 9"] * 3, "x 1", None, "x 1", "x NaN", *["x +Inf"] * 3, "x 1"]
"""What a target has on its metrics page, scrape by scrape; None: it is gone."""


class Target:
    def __init__(self) -> None:
        left = iter(PAGES)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = next(left, PAGES[-1])
                self.send_response(200 if page else 503)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(f"# TYPE x gauge\n{page}\n".encode() if page else b"")

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/metrics"


@pytest.fixture
def target() -> Iterator[Target]:
    made = Target()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Running:
    """One of the runs, in a folder of its own."""

    def __init__(self, folder: Path, quick: QuickServer, text: str, *options: object) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "loadtest.py").write_text(text)
        self.process: Popen[str] = start_obswarm(
            *("run", "loadtest.py", "-H", quick.url, "--headless", "--linger", 0, "--json", "result.json"),
            *("--csv", "run", *options),
            cwd=folder,
        )

    def users(self) -> list[int]:
        """So far, second by second."""
        try:
            with open(self.folder / "run_stats_history.csv", newline="") as file:
                return [int(row["User Count"]) for row in csv.DictReader(file) if row["Name"] == "Aggregated"]
        except FileNotFoundError:
            return []

    def result(self) -> dict:
        _, logged = self.process.communicate(timeout=HANG_S)
        assert self.process.returncode == 0, logged
        document: dict = json.loads((self.folder / "result.json").read_text())
        return document


def check_scaled(users: list[int], left_by: int) -> None:
    """Up, and at some point down to a share, from where nothing brings users back."""
    # A run that takes long to end has a row after the last user.
    users = users[:-1] if users[-1] == 0 else users
    most = max(users)
    down = users[users.index(most) :]
    assert down == sorted(down, reverse=True)
    assert 0 < users[-1] <= most // left_by + 1
    assert most < 60, "the plan was 100"


def test_loads_are_held_and_scaled_whatever_the_plan_and_end_with_it(tmp_path: Path, target: Target) -> None:
    port = free_port()

    def alert(name: str) -> None:
        labels = {"alertname": name, "obswarm_action": "scale(50%)"}
        body = {"version": "4", "alerts": [{"status": "firing", "labels": labels, "fingerprint": name}]}
        answer = requests.post(
            f"http://127.0.0.1:{port}/api/v1/alerts",
            json=body,
            headers={"Authorization": "Bearer known"},
            timeout=HANG_S,
        )
        assert answer.status_code == 200, answer.text

    half = ("--guard", "scale(50%): half: users >= 10")
    with QuickServer() as quick, StallMeter() as stalls:
        ramp = Running(tmp_path / "ramp", quick, LOADTEST, "-u", 100, "-r", 5, "-t", "8s", "--workers", 2, *half)
        held = Running(
            tmp_path / "held",
            quick,
            LOADTEST,
            *("--stages", "6s:9,2s:9", "--workers", 0, "--hold-when", "never clear: users >= 2"),
        )
        shape = Running(tmp_path / "shape", quick, LOADTEST + SHAPE, "--workers", 0, *half)
        alerted = Running(
            tmp_path / "alerted",
            quick,
            LOADTEST,
            *("-u", 100, "-r", 5, "-t", "15s", "--workers", 0, "--web-port", port, "--alerts-token", "known"),
            *("--alerts-grace", "0s"),
        )
        asking = Running(
            tmp_path / "asking",
            quick,
            LOADTEST,
            *("-u", 100, "-r", 5, "-t", "16s", "--workers", 0, "--target", f"app={target.url}"),
            *("--hold-when", "busy: promql(x) > 5", "--notify-when", "same query: promql(x) > 5"),
        )
        wait_until(lambda: max(alerted.users(), default=0) >= 10)
        alert("First")
        wait_until(lambda: (users := alerted.users())[-1] <= max(users) // 2 + 1)
        alert("Interval")

        for scaled, left_by in ((ramp, 2), (shape, 2), (alerted, 4)):
            over = "the load shape has ended" if scaled is shape else "the planned time is over"
            assert scaled.result()["stop_reason"]["detail"] == over
            check_scaled(scaled.users(), left_by)
        assert shape.result()["duration_s"] < stalls.allowed_s(20)
        reason = held.result()["stop_reason"]
        assert reason == {
            "kind": "time",
            "detail": "the planned time is over, and the load was held: guard never clear",
        }
        assert max(held.users()) < 9
        assert [(guard["name"], guard["trips"]) for guard in asking.result()["guards"]] == [
            ("busy", 2),
            ("same query", 2),
        ]
        assert max(asking.users()) < 70, "the plan was 80 by then"

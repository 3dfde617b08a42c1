"""The dashboards' panels of the open model, on a Prometheus that has scraped a run whose users are too few for its rate."""

import json
from datetime import datetime
from pathlib import Path
from statistics import fmean

import pytest

from dashboards import render
from tests.support.nginx import free_port
from tests.support.programs import QuickServer, obswarm
from tests.support.prometheus import Prometheus

LOADTEST = """
import gevent
from obswarm import FastHttpUser, task

class Visitor(FastHttpUser):
    @task
    def page(self):
        self.client.get("/page")
        gevent.sleep(0.1)
"""
"""Two users start up to twenty iterations a second."""


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_target_started_finished_and_dropped_iterations_add_up(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    with QuickServer() as target, Prometheus(f"127.0.0.1:{port}") as prometheus:
        prometheus.wait_for("count(up)", 1)
        done = obswarm(
            *("run", "loadtest.py", "-H", target.url, "--headless", "--no-store", "--web-port", port, "-t", "14s"),
            *("--arrival-rate", "40/s", "--max-users", 2, "--workers", 0, "--json", "result.json"),
            cwd=tmp_path,
        )
        assert done.code == 0, done.stderr
        result = json.loads((tmp_path / "result.json").read_text())
        begin_s, end_s = seconds(result["started_at"]) + 5, seconds(result["ended_at"]) - 2
        for uid in ("obswarm-run", "obswarm-correlate"):
            panels = {panel["title"]: panel for panel in render.panels(render.dashboards()[uid])}
            found = {
                (title, answer.legend): [
                    {float(at): float(value) for at, value in series["values"]} for series in answer.series
                ]
                for title in (
                    "Iterations per second",
                    "Iterations that were not started, by reason",
                    "Latency from the intended start",
                )
                for answer in render.answers(prometheus.url, panels[title], begin_s, end_s)
            }
            assert {len(series) for series in found.values()} == {1}, found
            means = {of[1]: fmean(series[0].values()) for of, series in found.items()}
            assert means["target"] == 40
            assert means["started"] + means["{{reason}}"] == pytest.approx(40)
            assert means["finished"] == pytest.approx(means["started"], rel=0.15)
            # Of one second of the run; the mean over all of it is known exactly.
            dropped = sum(each["count"] for each in result["dropped_iterations"]) / 14
            assert means["{{reason}}"] == pytest.approx(dropped, rel=0.25)
            assert 0 < means["p50"] <= means["p95"] <= means["p99"]

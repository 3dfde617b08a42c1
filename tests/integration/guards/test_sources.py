"""A run whose Prometheus is slow, hangs, is killed, and comes back: its guards, and what is kept of it."""

import json
import re
from pathlib import Path
from typing import Any

import gevent
from gevent import socket
from gevent.pool import Pool
from gevent.server import StreamServer

from tests.support.patience import HANG_S, wait_until
from tests.support.programs import QuickServer, start_obswarm
from tests.support.prometheus import Prometheus

SLOW_S = 2.0
LOADTEST = """
from obswarm import HttpUser, constant, task

class Visitor(HttpUser):
    wait_time = constant(0.2)

    @task
    def visit(self):
        self.client.get("/")
"""
GUARDS = """
[[guards]]
when = 'promql(max(process_open_fds)) > 5 for 3s'
action = 'notify'
name = 'slow'

[[guards]]
when = 'promql(max(process_open_fds)) > 1000'
action = 'stop'
name = 'watchful'
no_data_after = '3s'
"""


class Delaying:
    """Hands on to a port what it is sent, `delay_s` later."""

    def __init__(self, port: int) -> None:
        self.delay_s = 0.0
        self._to = ("127.0.0.1", port)
        self._server = StreamServer(("127.0.0.1", 0), self._serve, spawn=Pool())

    def __enter__(self) -> "Delaying":
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(timeout=0)

    def _serve(self, client: Any, address: Any) -> None:
        try:
            upstream = socket.create_connection(self._to)
        except OSError:
            client.close()
            return
        both = [gevent.spawn(self._pump, client, upstream, True), gevent.spawn(self._pump, upstream, client, False)]
        try:
            gevent.joinall(both, count=1)
        finally:
            gevent.killall(both)
            client.close()
            upstream.close()

    def _pump(self, source: Any, sink: Any, delays: bool) -> None:
        try:
            while piece := source.recv(65536):
                if delays:
                    gevent.sleep(self.delay_s)
                sink.sendall(piece)
        except OSError:
            pass


def wait_for(log: Path, text: str) -> None:
    wait_until(lambda: text in log.read_text(), lambda: (text, log.read_text()))


def test_guards_and_report_of_a_run_whose_prometheus_is_slow_hangs_and_is_killed(tmp_path: Path) -> None:
    with (
        QuickServer() as target,
        Prometheus(f"db=127.0.0.1:{target.port}") as prometheus,
        Delaying(prometheus.port) as between,
    ):
        prometheus.wait_for("max(process_open_fds)", 7)
        (tmp_path / "loadtest.py").write_text(LOADTEST)
        (tmp_path / "obswarm.toml").write_text(
            f'prometheus_url = "{between.url}"\n[[targets]]\nname = "db"\nkind = "app"\nurl = "{target.url}/metrics"\n'
            + GUARDS
        )
        log = tmp_path / "log"
        between.delay_s = SLOW_S
        run = start_obswarm(
            *("run", "loadtest.py", "-H", target.url, "-u", 2, "-t", "10m", "--workers", 0, "--web-port", 0),
            *("--headless", "--json", "result.json", "--logfile", "log"),
            cwd=tmp_path,
            OBSWARM_STORE="",
            OBSWARM_NO_REPORT="",
        )
        try:
            wait_until(log.exists, ended=run.poll)
            wait_for(log, "The guard slow tripped")
            between.delay_s = 0.0
            with prometheus.frozen():
                wait_for(log, "The guard watchful has had no data for 3s")
                wait_for(log, "no metrics for ")
            wait_for(log, "metrics available again")
            prometheus.kill()
            gevent.sleep(2.5)
            prometheus.start()
            prometheus.wait_for("max(process_open_fds)", 7)
            gevent.sleep(2)
        finally:
            run.terminate()
            _, errors = run.communicate(timeout=HANG_S)
        assert run.returncode == 130, errors
        result = json.loads((tmp_path / "result.json").read_text())
        slow, watchful = sorted(result["guards"], key=lambda guard: guard["name"])
        assert (slow["state"], slow["trips"]) == ("tripped", 1)
        assert (watchful["state"], watchful["trips"]) == ("ok", 0)
        assert 3 < watchful["no_data_s"] < watchful["watched_s"]
        # The last reason: one that starts again may say so itself.
        assert re.search("does not answer|is not ready", watchful["no_data_reason"])
        annotations = [mark["text"] for mark in result["annotations"] if mark["kind"] == "target"]
        assert [mark.partition("for ")[0].partition(" after")[0] for mark in annotations][:2] == [
            "Target db (app): no metrics ",
            "Target db (app): metrics available again",
        ]
        (problem,) = [each["problem"] for each in result["targets"]]
        assert problem.startswith("Target db (app) was unobserved for ")
        (report,) = (tmp_path / ".obswarm" / "reports").glob("*.html")
        (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', report.read_text(), re.DOTALL)
        (group,) = [group for group in json.loads(data)["groups"] if group["title"].endswith("db")]
        assert sum(to_s - from_s >= 1.5 for from_s, to_s in group["gaps"]) >= 2, group["gaps"]
        assert group["gaps_text"].startswith("No data for ")

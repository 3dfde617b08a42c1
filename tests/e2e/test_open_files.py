"""Runs under limits of open files."""

import json
import re
import socket
import subprocess
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from obswarm.open_files import RESERVED
from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import QuickServer, command, start_obswarm
from tests.support.stalls import StallMeter

ONE_EACH = """
from obswarm import FastHttpUser, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(1)

    @task
    def page(self):
        self.client.get("/page")
"""

SEVERAL_EACH = """
import gevent
from obswarm import {client}, constant, task

class Visitor({client}):
    wait_time = constant(0.2)

    @task
    def pages(self):
        gevent.joinall([gevent.spawn(self.client.get, "/page") for _ in range(8)])
"""


def limited(soft: int, hard: int, *arguments: object) -> list[str]:
    """obswarm's command line under these limits."""
    return ["sh", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"', "sh", *command(*arguments)]


def run(path: Path, target: QuickServer, soft: int, hard: int, *options: object) -> tuple[Any, dict[str, Any]]:
    output = path.with_name("result.json")
    done = subprocess.run(
        limited(
            soft, hard, "run", path, "-H", target.url, *options, "--json", output, "--only-summary", "--web-port", 0
        ),
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    return done, json.loads(output.read_text()) if output.exists() else {}


def test_1300_users_are_exact_where_the_soft_limit_can_be_raised(loadtest) -> None:
    with QuickServer() as target:
        done, result = run(loadtest(ONE_EACH), target, 1024, 4096, "-u", 1300, "-r", 500, "-t", "10s")
        assert done.returncode == 0, done.stderr
        assert result["users_max"] == 1300
        assert result["totals"]["failures"] == 0
        assert result["totals"]["requests"] == len(target.arrivals()["/page"]) > 1300


def test_1300_users_where_it_cannot_are_refused_before_the_run(loadtest) -> None:
    with QuickServer() as target:
        done, result = run(loadtest(ONE_EACH), target, 256, 256, "-u", 1300, "-t", "5s")
        assert done.returncode == 2
        assert "1,300 users keep at least one connection each, but a process may have 256 open files" in done.stderr
        assert "Traceback" not in done.stderr
        assert (result, target.arrivals()) == ({}, {})


@pytest.mark.parametrize(("client", "workers"), [("FastHttpUser", "auto"), ("HttpUser", "0")])
def test_connections_beyond_the_limit_are_failed_requests_and_nothing_else(loadtest, client: str, workers: str) -> None:
    with QuickServer() as target, StallMeter() as stalls:
        path = loadtest(SEVERAL_EACH.format(client=client))
        done, result = run(path, target, 256, 256, "-u", 60, "-r", 300, "-t", "8s", "--workers", workers)
        assert done.returncode == 1, done.stderr
        totals = result["totals"]
        assert totals["requests"] - totals["failures"] == len(target.arrivals()["/page"]) > 100
        assert totals["failures"] > 100
        assert [error["count"] for error in result["errors"]] == [totals["failures"]]
        assert "this process has no file descriptors left" in result["errors"][0]["error"]
        assert result["stop_reason"]["kind"] == "time"
        assert result["duration_s"] < stalls.allowed_s(12)
        assert (result["lost"], result["exceptions"], totals["interrupted"]) == ([], [], 0)


PAGES = """
from obswarm import FastHttpUser, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(0.1)

    @task
    def page(self):
        self.client.get("/page")
"""


def guard_state(text: str) -> str:
    for line in text.splitlines():
        if line.startswith("obswarm_guard_state{") and line.endswith(" 1.0"):
            return line.partition('state="')[2].partition('"')[0]
    return "none"


def test_connections_held_at_the_web_port_leave_guards_and_metrics_alone(loadtest, tmp_path: Path) -> None:
    output = tmp_path / "result.json"
    with QuickServer() as target, ExitStack() as stack:
        port = free_port()
        guard = "promql(sum(rate(quick_requests_total[5s]))) > 1000000"
        options = ("-u", 10, "-r", 100, "--json", output, "--web-port", port, "--stop-when", guard)
        metrics = ("--target", f"app={target.url}/metrics")
        program = subprocess.Popen(
            limited(256, 256, "run", loadtest(PAGES), "-H", target.url, *options, *metrics),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        states: list[str] = []
        held = 0

        def is_enough() -> bool:
            nonlocal held
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=HANG_S) as response:
                    states.append(guard_state(response.read().decode()))
            except OSError:
                # Not there yet, closed for another one, or gone already.
                states.append("unanswered")
            if "ok" in states:
                for _ in range(100):
                    try:
                        one = stack.enter_context(socket.create_connection(("127.0.0.1", port), 0.2))
                        one.sendall(b"GET /metrics HT")
                        held += 1
                    except OSError:
                        break
            return held > 500 and states.count("ok") > 6

        wait_until(is_enough, lambda: (held, states), every_s=0.3, ended=program.poll)
        program.terminate()
        _, errors = program.communicate(timeout=HANG_S)
    assert program.returncode == 130, errors
    seen = states[states.index("ok") :]
    assert set(seen) <= {"ok", "unanswered", "none"}, seen
    result = json.loads(output.read_text())
    assert result["totals"]["failures"] == 0


def test_a_worker_with_fewer_descriptors_than_users_says_so_on_the_master(loadtest, tmp_path: Path) -> None:
    output = tmp_path / "result.json"
    with QuickServer() as target:
        port = free_port()
        options = ("-u", 240, "-r", 500, "-t", "8s", "--json", output, "--web-port", 0, "--bind", f"127.0.0.1:{port}")
        master = start_obswarm("master", loadtest(ONE_EACH), "-H", target.url, *options, cwd=tmp_path)
        worker = subprocess.Popen(
            limited(256, 256, "worker", "--master", f"127.0.0.1:{port}"), cwd=tmp_path, stderr=subprocess.DEVNULL
        )
        _, errors = master.communicate(timeout=HANG_S)
        worker.wait(HANG_S)
        result = json.loads(output.read_text())
        name = re.escape(result["workers"][0]["worker"])
        logged = re.search(
            rf"The worker {name}: (\d+) users of one process keep at least one connection each,"
            r" but it may have 256 open files, of which (\d+) are left for connections",
            errors,
        )
        assert logged is not None, errors
        users, room = map(int, logged.groups())
        # The worker starts users one by one, and says so at the first one too many; it has about 15 descriptors open.
        assert 170 <= room <= 256 - RESERVED
        assert room < users <= 240
        totals = result["totals"]
        assert totals["requests"] - totals["failures"] == len(target.arrivals()["/page"]) > 200
        assert totals["failures"] > 0
        assert result["lost"] == []

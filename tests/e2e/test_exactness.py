"""The totals are those of the target, which counts for itself."""

import json
import signal
from pathlib import Path

import pytest

from tests.support.patience import HANG_S, wait_until
from tests.support.programs import CountingServer, start_obswarm

LOADTEST = """
from obswarm import {client}, between, task

class Visitor({client}):
    wait_time = between(0.01, 0.2)

    @task(6)
    def page(self):
        self.client.get("/page")

    @task(2)
    def failing(self):
        self.client.get("/fail")

    @task(1)
    def slow(self):
        self.client.post("/slow?seconds=0.3", json={{"a": 1}}, name="/slow")

    @task(1)
    def cut_off(self):
        self.client.post("/reset")
"""


def assert_exact(result: dict, target: CountingServer) -> None:
    counts = target.counts()
    by_name = {endpoint["name"]: endpoint for endpoint in result["endpoints"]}
    assert {name: endpoint["requests"] for name, endpoint in by_name.items()} == counts
    assert result["totals"]["requests"] == sum(counts.values())
    assert result["totals"]["failures"] == counts["/fail"] + counts["/reset"]
    assert by_name["/fail"]["failures"] == counts["/fail"]
    assert by_name["/page"]["failures"] == 0
    assert sum(error["count"] for error in result["errors"]) == result["totals"]["failures"]
    assert result["totals"]["interrupted"] == 0


def test_20_second_runs_at_50_users_agree_with_their_targets(loadtest, tmp_path: Path) -> None:
    with CountingServer() as one, CountingServer() as other:
        runs = []
        for target, client in ((one, "FastHttpUser"), (other, "HttpUser")):
            path, output = loadtest(LOADTEST.format(client=client), f"{client}.py"), tmp_path / f"{client}.json"
            options = ("-u", 50, "-r", 25, "-t", "20s", "--json", output, "--only-summary", "--web-port", 0)
            runs.append((target, output, start_obswarm("run", path, "-H", target.url, *options)))
        for target, output, run in runs:
            _, errors = run.communicate(timeout=HANG_S)
            assert run.returncode == 1, errors
            result = json.loads(output.read_text())
            assert result["totals"]["requests"] > 1000
            assert result["users_max"] == 50
            assert result["stop_reason"]["kind"] == "time"
            assert_exact(result, target)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_stopped_in_the_middle_agrees_with_the_target(
    target: CountingServer, loadtest, tmp_path: Path, sent: signal.Signals
) -> None:
    output = tmp_path / "result.json"
    path = loadtest(LOADTEST.format(client="FastHttpUser"))
    run = start_obswarm("run", path, "-H", target.url, "-u", 50, "-r", 100, "--json", output, "--web-port", 0)
    wait_until(lambda: target.total() >= 500, "the run did not get going")
    run.send_signal(sent)
    stdout, _ = run.communicate(timeout=HANG_S)
    assert run.returncode == 130
    result = json.loads(output.read_text())
    assert result["stop_reason"]["kind"] == "signal"
    assert_exact(result, target)
    assert "/slow" in stdout, "the summary is printed all the same"


def test_a_second_ctrl_c_ends_at_once_and_still_reports(target: CountingServer, loadtest, tmp_path: Path) -> None:
    text = "from obswarm import FastHttpUser, task\nclass A(FastHttpUser):\n    @task\n    def a(self): self.client.get('/hang')\n"
    output = tmp_path / "result.json"
    run = start_obswarm(
        "run", loadtest(text), "-H", target.url, "-u", 5, "-r", 100, "-s", "10m", "--json", output, "--web-port", 0
    )
    wait_until(lambda: target.total() >= 5, "the run did not get going")
    run.send_signal(signal.SIGINT)
    assert run.stderr is not None
    # Two that come before the first is seen to are one.
    assert any("Ctrl-C again stops at once" in line for line in run.stderr)
    assert run.poll() is None
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=HANG_S)
    totals = json.loads(output.read_text())["totals"]
    assert (totals["requests"], totals["interrupted"]) == (0, 5)

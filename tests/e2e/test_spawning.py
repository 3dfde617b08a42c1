"""2,000 users a second come evenly, and do not spoil the latencies that are measured meanwhile."""

import json
from pathlib import Path

import pytest

from tests.support.programs import QuickServer, obswarm
from tests.support.stalls import StallMeter

LOADTEST = """
import json, os, time
from obswarm import FastHttpUser, constant, events, task

spawned = []

class Visitor(FastHttpUser):
    wait_time = constant(5)

    def __init__(self, environment):
        spawned.append(time.perf_counter())
        super().__init__(environment)

    @task
    def page(self):
        self.client.get("/")

@events.quitting.add_listener
def keep(environment, **kwargs):
    if spawned:
        with open(os.environ["SPAWNED"], "w") as file:
            json.dump(spawned, file)
"""


@pytest.mark.alone
def test_no_burst_and_no_latency_of_our_own_making(loadtest, tmp_path: Path) -> None:
    spawned = tmp_path / "spawned.json"
    with QuickServer() as server, StallMeter() as stalls:
        done = obswarm(
            "run", loadtest(LOADTEST), "-H", server.url, "-u", 4000, "-r", 2000, "-t", "6s", "--json", "-", "--headless",
            SPAWNED=str(spawned),
        )  # fmt: skip
    assert done.code == 0, done.stderr
    times = json.loads(spawned.read_text())
    assert len(times) == 4000
    most = max(sum(1 for time in times[i : i + 100] if time - start <= 0.020) for i, start in enumerate(times))
    assert most <= 60
    assert done.result["totals"]["requests"] >= 4000
    assert done.result["totals"]["p50_s"] < 0.020 * stalls.slowdown()

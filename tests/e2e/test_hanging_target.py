"""A target that stops answering: what guards, the summary and the result say of it."""

import json
import re
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.forked import forked_obswarm
from tests.support.patience import wait_until
from tests.support.programs import CountingServer, QuickServer
from tests.support.stalls import StallMeter

LOADTEST = """
from obswarm import FastHttpUser, HttpUser, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(0.05)

    @task
    def page(self):
        self.client.get("/page")

class Plain(HttpUser):
    wait_time = constant(0.05)

    @task
    def page(self):
        self.client.get("/page")
"""
HANGING = """
import gevent
from obswarm import FastHttpUser, HttpUser, User, constant, task

class Fast(FastHttpUser):
    fixed_count = 3

    @task
    def hang(self):
        self.client.get("/hang")

class Plain(HttpUser):
    fixed_count = 2

    @task
    def hang(self):
        self.client.get("/hang", name="/plain")

class Own(User):
    fixed_count = 1

    @task
    def work(self):
        with self.environment.request("SQL", "select"):
            gevent.sleep(60)

class Busy(User):
    fixed_count = 1

    @task
    def work(self):
        gevent.sleep(60)

class Slow(User):
    fixed_count = 1
    wait_time = constant(60)

    @task
    def nothing(self):
        pass

    def on_stop(self):
        gevent.sleep(60)
"""


def hanging_after(target: QuickServer, seconds: float) -> threading.Timer:
    def hang() -> None:
        wait_until(target.arrivals)
        time.sleep(seconds)
        target.get("/start-hanging")

    timer = threading.Timer(0, hang)
    timer.start()
    return timer


@pytest.mark.parametrize(
    ("guard", "workers", "shortest_s"),
    [("p95 > 500ms for 2s", 0, 2.4), ('in_flight{name="/page"} >= 20', 2, 0.0), ("oldest > 2s", 0, 2.0)],
)
def test_a_guard_stops_a_run_whose_target_hangs(tmp_path: Path, guard: str, workers: int, shortest_s: float) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    with QuickServer() as target, StallMeter() as stalls:
        hanging = hanging_after(target, 1.3)
        done = forked_obswarm(
            *("run", "loadtest.py", "-H", target.url, "-u", 20, "-r", 100, "-t", "30s", "--stop-when", guard),
            *("--workers", workers, "--json", "result.json", "--headless", "--web-port", 0, "--linger", 0),
            cwd=tmp_path,
        )
        hanging.join()
        last: float = json.loads(target.get("/last-answer"))
        requested = len(target.arrivals()["/page"])
    assert done.code == 3, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    (tripped,) = (mark["at"] for mark in result["annotations"] if mark["kind"] == "guard")
    reaction_s = datetime.fromisoformat(tripped).timestamp() - last
    assert shortest_s <= reaction_s < shortest_s + stalls.allowed_s(4, last, last + reaction_s)
    assert result["totals"]["requests"] == requested - 20, "what hung is in no latency of the result"
    (cut_off,) = result["cut_off"]
    assert (cut_off["kind"], cut_off["name"], cut_off["count"]) == ("request", "/page", 20)
    assert cut_off["oldest_s"] >= reaction_s - stalls.allowed_s(0.5, last - 1, last + 1)
    assert result["in_flight"]["requests"] == 0
    assert re.search(r"20 requests were cut off when their users were stopped, the oldest after [\d.]+ s", done.stdout)


def test_what_is_cut_off_at_the_end_is_named_and_a_run_without_an_answer_is_not_fine(tmp_path: Path) -> None:
    (tmp_path / "loadtest.py").write_text(HANGING)
    with CountingServer() as target:
        done = forked_obswarm(
            *("run", "loadtest.py", "-H", target.url, "-u", 8, "-r", 100, "-t", "4s", "--exit-code-on-error", 0),
            *("--workers", 2, "--json", "result.json", "--headless", "--web-port", 0, "--linger", 0),
            cwd=tmp_path,
        )
    result = json.loads((tmp_path / "result.json").read_text())
    assert done.code == 4, done.stderr
    assert result["never_answered"] is True
    found = {(row["kind"], row["name"]): row["count"] for row in result["cut_off"]}
    assert found == {
        ("request", "/hang"): 3,
        ("request", "/plain"): 2,
        ("request", "select"): 1,
        ("task", "Busy.work"): 1,
        ("on_stop", "Slow.on_stop"): 1,
    }
    assert result["totals"]["interrupted"] == 6
    assert all(1 < row["oldest_s"] < 30 for row in result["cut_off"])
    assert "NO RESPONSE AT ALL: none of 6 requests got a response." in done.stdout
    for words in ("6 requests were cut off", "1 task was cut off", "1 on_stop call was cut off", "3 × GET /hang"):
        assert words in done.stdout

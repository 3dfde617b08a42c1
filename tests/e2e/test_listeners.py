"""Listeners of a load-test file that fail, in whichever process: what the person at the keyboard sees."""

from pathlib import Path

import pytest

from tests.support.fleet import Fleet
from tests.support.forked import forked_obswarm
from tests.support.patience import HANG_S
from tests.support.programs import QuickServer

LOADTEST = """
import os
from obswarm import FastHttpUser, constant, events, task

def listener(environment, **kwargs):
    where = environment.runner.client_id if environment.runner.client_id in ("master", "local") else "worker"
    if where in os.environ["WHERE"].split():
        raise RuntimeError(f"no data in {where}")

getattr(events, os.environ["HOOK"]).add_listener(listener)

class Visitor(FastHttpUser):
    wait_time = constant(0.1)

    @task
    def page(self):
        self.client.get("/")
"""


@pytest.fixture
def quick():
    with QuickServer() as server:
        yield server


@pytest.mark.parametrize(
    ("workers", "hook", "where"),
    [
        (0, "init", "local"),
        (0, "test_start", "local"),
        (1, "init", "worker"),
        (1, "test_start", "worker"),
        (1, "init", "master"),
    ],
)
def test_a_run_whose_data_cannot_be_prepared_does_not_start(
    loadtest, quick, workers: int, hook: str, where: str
) -> None:
    done = forked_obswarm(
        "run",
        loadtest(LOADTEST),
        *("-H", quick.url, "-t", "20s", "--workers", workers, "--json", "-", "--web-port", 0),
        HOOK=hook,
        WHERE=where,
    )
    assert done.code == 2
    assert f"Error: The listener listener of the event {hook} raised RuntimeError: no data in {where}\n" in done.stderr
    assert 'loadtest.py", line 8, in listener' in done.stderr
    assert "obswarm/" not in done.stderr.partition("Traceback")[2], "no frame of ours"
    assert done.result["stop_reason"]["kind"] == "error"
    assert done.result["duration_s"] < 10


def test_a_listener_that_fails_every_second_is_counted_and_harms_nobody(loadtest, quick) -> None:
    done = forked_obswarm(
        "run",
        loadtest(LOADTEST),
        *("-H", quick.url, "-u", 2, "-r", 10, "-t", "3s", "--workers", 1, "--json", "-", "--web-port", 0),
        HOOK="usage_monitor",
        WHERE="worker master",
    )
    assert done.code == 1
    assert {(found["message"][-17:], found["count"] >= 2) for found in done.result["exceptions"]} == {
        ("no data in master", True),
        ("no data in worker", True),
    }
    assert done.result["totals"]["requests"] == sum(map(len, quick.arrivals().values())) > 5
    assert done.stderr.count("Traceback") == 2, "the first of each kind"


@pytest.mark.parametrize("where", ["master", "worker"])
def test_a_worker_of_another_machine_whose_data_cannot_be_prepared_ends_the_run(
    tmp_path: Path, quick, where: str
) -> None:
    with Fleet(tmp_path / "fleet", quick.url, LOADTEST) as fleet:
        environment = {"HOOK": "test_start", "WHERE": where}
        master = fleet.master("-t", "30s", **environment)
        worker = fleet.worker(**environment)
        assert master.wait(HANG_S) == 2
        assert worker.wait(HANG_S) == 0, "the error is the master's to show"
        assert f"raised RuntimeError: no data in {where}" in fleet.log()
        assert fleet.result()["stop_reason"]["kind"] == "error"


ENDS_THE_PROCESS = """
import sys
import gevent
from obswarm import FastHttpUser, constant, events, task

def leave():
    sys.exit(0)

@events.test_start.add_listener
def start(environment, **kwargs):
    gevent.spawn_later(0.5, leave)
    gevent.Timeout(0.7).start()

@events.usage_monitor.add_listener
def watch(environment, **kwargs):
    gevent.Timeout(0.2).start()

class Visitor(FastHttpUser):
    wait_time = constant(0.1)

    @task
    def page(self):
        self.client.get("/")
"""


@pytest.mark.parametrize("workers", [0, 1])
def test_a_greenlet_of_the_load_test_that_ends_the_process_is_counted(loadtest, quick, workers: int) -> None:
    done = forked_obswarm(
        "run",
        loadtest(ENDS_THE_PROCESS),
        *("-H", quick.url, "-u", 2, "-r", 10, "-t", "2s", "--workers", workers, "--json", "-", "--web-port", 0),
    )
    assert done.code == 1
    assert done.result["stop_reason"]["kind"] == "time"
    (found,) = done.result["exceptions"]
    assert found["message"] == "the greenlet leave: SystemExit: 0"
    assert found["count"] == 1 + workers, "on the master and on each of its workers"
    assert done.result["totals"]["requests"] == sum(map(len, quick.arrivals().values())) > 5

"""The open model as a user runs it: over processes and machines, and against a server that stalls."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest

from benchmarks.arrivals.stalling_server import quantile_of_stalls
from tests.support.fleet import Fleet
from tests.support.forked import forked_obswarm
from tests.support.patience import HANG_S
from tests.support.programs import ROOT, QuickServer, obswarm

LOADTEST = """
from obswarm import FastHttpUser, constant_throughput, task


class Visitor(FastHttpUser):
    wait_time = constant_throughput(25)

    @task
    def page(self):
        self.client.get("/page")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    return tmp_path


def run(folder: Path, url: str, *options: object) -> dict[str, Any]:
    words = ("run", "loadtest.py", "-H", url, "--headless", "--no-store", "--linger", 0, "--json", "-", *options)
    done = obswarm(*words, cwd=folder)
    assert done.code == 0, done.stderr
    result: dict[str, Any] = done.result
    return result


def planned(result: dict[str, Any]) -> int:
    """The iterations that were due: each was started, or is counted as not started."""
    assert {each["reason"] for each in result["dropped_iterations"]} <= {"generator_behind", "run_stopped"}
    return sum(result["iterations"].values()) + sum(each["count"] for each in result["dropped_iterations"])


@pytest.mark.parametrize("options", [("--workers", 0), ("--workers", 2), ("--workers", 2, "--arrivals", "poisson")])
def test_a_rate_is_kept_in_one_process_and_over_several(options: tuple[object, ...], folder: Path) -> None:
    with QuickServer() as target:
        result = run(folder, target.url, "--arrival-rate", "2s:50/s,2s:50/s", "--arrivals-seed", 1, *options)
        times = target.arrivals()["/page"]
    # 150 are due; four standard deviations of a Poisson process are 49.
    assert planned(result) == pytest.approx(150, abs=49 if "poisson" in options else 10)
    assert result["model"] == "open"
    totals = result["totals"]
    assert (
        totals["intended_duration"]["count"] == totals["requests"] == sum(result["iterations"].values()) == len(times)
    )
    assert totals["intended_duration"]["p50_s"] >= totals["p50_s"]


def test_a_master_divides_a_rate_among_workers_of_several_processes(tmp_path: Path) -> None:
    with QuickServer() as target, Fleet(tmp_path, target.url, LOADTEST) as fleet:
        options = ("--arrival-rate", "2s:60/s,2s:60/s", "--max-users", 40, "--expect-workers", 2, "--no-store")
        master = fleet.master(*options)
        fleet.worker("--processes", 2)
        fleet.worker()
        assert master.wait(HANG_S) == 0, fleet.log()
        result = fleet.result()
    assert planned(result) == pytest.approx(180, abs=12)
    assert len(result["workers"]) == 2
    assert result["users_max"] <= 40


def test_too_few_users_for_a_rate_are_said_so(folder: Path) -> None:
    with stalling(5.0, 5.5) as url:
        words = ("run", "loadtest.py", "-H", url, "--headless", "--no-store", "--linger", 0, "-s", 0)
        done = forked_obswarm(
            *words, "--arrival-rate", "20/s", "--max-users", 3, "-t", "3s", "--workers", 0, cwd=folder
        )
    assert "were not started: all users were busy, and their maximum number (--max-users) was reached." in done.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--arrival-rate", "often"), "'often' is not a rate"),
        (("--arrival-rate", "5/s", "-u", 3), "--users"),
        (("--arrival-rate", "5/s", "--arrivals", "even"), "even"),
        (("--arrival-rate", "5/s", "--max-users", 0), "max-users"),
    ],
)
def test_options_that_make_no_sense_end_with_a_sentence(
    options: tuple[object, ...], sentence: str, folder: Path
) -> None:
    done = forked_obswarm("run", "loadtest.py", "-H", "http://127.0.0.1:9", "--no-store", *options, cwd=folder)
    assert done.code == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@contextmanager
def stalling(stall_s: float, period_s: float) -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.arrivals.stalling_server", str(stall_s), str(period_s)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()
        server.wait()


@pytest.mark.alone
def test_a_stall_is_in_the_percentiles_of_the_open_model_and_a_shortfall_of_the_closed_one(folder: Path) -> None:
    """The server stalls for 1 s of every 4 s; a quarter of evenly spread requests waits for half of it on average."""

    def result_of(*options: object) -> dict[str, Any]:
        with stalling(1.0, 4.0) as url:
            return run(folder, url, *options, "-t", "8s", "--workers", 0)

    both = [gevent.spawn(result_of, "--arrival-rate", "100/s"), gevent.spawn(result_of, "-u", 4, "-r", 1000)]
    gevent.joinall(both, raise_error=True)
    opened, closed = (each.value for each in both)
    for name, q in (("p90_s", 0.9), ("p95_s", 0.95), ("p99_s", 0.99)):
        expected = quantile_of_stalls(q, 1.0, 4.0)
        assert opened["totals"]["intended_duration"][name] == pytest.approx(expected, rel=0.05, abs=0.05)
    assert closed["model"] == "closed"
    assert closed["totals"]["p95_s"] < 0.2 < quantile_of_stalls(0.95, 1.0, 4.0), (
        "four of its requests waited in each stall"
    )
    assert "intended_duration" not in closed["totals"]
    (shortfall,) = closed["dropped_iterations"]
    assert shortfall["reason"] == "pacing"
    # Four users miss 25 iterations in each second of the two stalls, but for the ones that wait.
    assert shortfall["count"] == pytest.approx(2 * 4 * 24, rel=0.25)

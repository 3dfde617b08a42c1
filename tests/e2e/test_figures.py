"""The figures of twelve runs beside what their target saw of them: rates, percentiles, users, errors, and the verdict on
the load generator, in every place in which they are told.

The runs go on at the same time, and the machine is as busy as it is: what is compared are figures with the target's own
log, never with what they should have been on a quiet machine.
"""

import csv
import html
import json
import signal
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import gevent
import psutil
import pytest
from gevent.pool import Pool

from obswarm.units import counted, format_count, format_latency
from tests.support.fleet import Fleet
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import CountingServer, Served, start_obswarm
from tests.support.stalls import StallMeter

HEAD = """
import itertools, os, time
from gevent import monkey
from obswarm import FastHttpUser, LoadTestShape, StopUser, User, constant, task

numbers = itertools.count()

class Visitor(FastHttpUser):
    abstract = True
    wait_time = constant(0.1)

    def on_start(self):
        self.who = f"{os.getpid()}-{next(numbers)}"

    def ask(self, path, **query):
        query = "&".join(f"{name}={value}" for name, value in {"run": "RUN", "user": self.who, **query}.items())
        return self.client.get(f"{path}?{query}", name=path)
"""
PAGES = """
class Pages(Visitor):
    @task
    def page(self):
        self.ask("/page")
"""
DRAIN = """
class Pages(Visitor):
    fixed_count = 2
    @task
    def page(self):
        self.ask("/page")

class Slow(User):
    fixed_count = 1
    @task
    def wait(self):
        time.sleep(3)
"""
LONG = """
class Long(Visitor):
    wait_time = constant(0)
    @task
    def slow(self):
        self.ask("/slow", seconds=0.7)
"""
SHORT_LIVED = """
class Guest(Visitor):
    @task
    def slow(self):
        self.ask("/slow", seconds=0.4)
        raise StopUser()

class Arrivals(LoadTestShape):
    def tick(self):
        return (3 * int(self.get_run_time() + 1.05), 100) if self.get_run_time() < 2.5 else None
"""
BLOCKED = """
class Pages(Visitor):
    blocked = False
    @task
    def page(self):
        self.ask("/page")
        if not Pages.blocked and int(self.who.partition("-")[2]) == 0 and self.environment.runner.worker_index == 0:
            Pages.blocked = True
            monkey.get_original("time", "sleep")(3.6)
"""
MIXED = """
class Mixed(Visitor):
    @task(5)
    def page(self):
        self.ask("/page")
    @task(3)
    def fail(self):
        self.ask("/fail")
    @task(3)
    def reset(self):
        self.ask("/reset")
    @task(3)
    def slow(self):
        self.ask("/slow", seconds=0.5)
"""

WITH_REPORT = {"COLUMNS": "200", "OBSWARM_NO_REPORT": "0"}
WAIT_S = 0.1
LATE_S = 0.6
"""How long an answer may take to be counted, and a user to be started or ended."""


@dataclass
class Case:
    """`blocked_s`: how long a process with users was held up; `moves`: users are moved, or lost with their worker."""

    text: str
    options: Sequence[object]
    blocked_s: float = 0.0
    moves: bool = False
    code: int = 0
    drains: bool = False
    result: dict[str, Any] = field(default_factory=dict)
    summary: str = ""
    report: str = ""
    stats: list[dict[str, str]] = field(default_factory=list)
    history: list[dict[str, str]] = field(default_factory=list)
    exit_code: int = -1
    served: list[Served] = field(default_factory=list)
    late_s: float = LATE_S
    """LATE_S with what the machine has added in this run."""

    @property
    def started_s(self) -> float:
        return _seconds(self.result["started_at"])


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


CASES = {
    "drain": Case(DRAIN, ("-u", 3, "-r", 100, "-t", "2s", "-s", "5s", "--workers", 0), drains=True),
    "drain_of_a_worker": Case(DRAIN, ("-u", 3, "-r", 100, "-t", "2s", "-s", "5s", "--workers", 1), drains=True),
    "long_requests": Case(LONG, ("-u", 8, "-r", 100, "-t", "2s", "--workers", 0), drains=True),
    "long_requests_of_workers": Case(LONG, ("-u", 8, "-r", 100, "-t", "2s", "--workers", 2), drains=True),
    "short_lived": Case(SHORT_LIVED, ("--workers", 0)),
    "short_lived_of_workers": Case(SHORT_LIVED, ("--workers", 2)),
    "blocked": Case(BLOCKED, ("-u", 4, "-r", 100, "-t", "6s", "--workers", 0), blocked_s=3.6),
    "blocked_worker": Case(BLOCKED, ("-u", 4, "-r", 100, "-t", "7s", "--workers", 2), blocked_s=3.6, moves=True),
    "moved": Case(PAGES, ("-u", 12, "-r", 100), moves=True, code=130),
    "killed": Case(PAGES, ("-u", 8, "-r", 100, "-t", "14s", "--workers", 2), moves=True, code=4),
    "part_of_a_second": Case(PAGES, ("-u", 5, "-r", 100, "-t", "2.3s", "--workers", 0)),
    "errors": Case(MIXED, ("-u", 8, "-r", 100, "-t", "2700ms", "--workers", 1), code=1),
}


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    folder = tmp_path_factory.mktemp("figures")
    with CountingServer() as target, StallMeter() as stalls:
        pool = Pool(len(CASES))
        for number, (name, case) in enumerate(CASES.items()):
            pool.apply_async(_make, (folder / name, name, case, target, number * 0.4))
        pool.join()
        served = target.served()
    for name, case in CASES.items():
        case.served = [each for each in served if each.query["run"] == name]
        _read(folder / name, case)
        case.late_s = stalls.allowed_s(LATE_S, case.started_s - 1, _seconds(case.result["ended_at"]) + 1)
    return CASES


def _make(folder: Path, name: str, case: Case, target: CountingServer, after_s: float) -> None:
    folder.mkdir()
    # Processes that all start at once keep each other from starting.
    gevent.sleep(after_s)
    text = (HEAD + case.text).replace("RUN", name)
    outputs = ("--csv", folder / "out", "--store", folder / "store", "--require", "rps > 0")
    if name == "moved":
        _moved(folder, text, (*case.options, *outputs), case, target)
        return
    (folder / "loadtest.py").write_text(text)
    options = ("--local", "-H", target.url, "--json", folder / "result.json", "--headless", "--web-port", 0)
    run = start_obswarm("run", folder / "loadtest.py", *options, *case.options, *outputs, cwd=folder, **WITH_REPORT)
    if name == "killed":
        wait_until(lambda: len(_users(target.served(), name)) == 8, every_s=0.5, ended=run.poll)
        workers = [each for each in psutil.Process(run.pid).children() if "worker-process" in each.cmdline()]
        gevent.sleep(1)
        workers[0].kill()
    output, errors = run.communicate(timeout=HANG_S)
    case.summary, case.exit_code = output + errors, run.returncode


def _moved(folder: Path, text: str, options: Sequence[object], case: Case, target: CountingServer) -> None:
    """A second worker joins, and gets users of the first."""
    with Fleet(folder / "fleet", target.url, text) as fleet:
        master = fleet.master(*options, **WITH_REPORT)
        fleet.worker()
        wait_until(lambda: len(_users(target.served(), "moved")) == 12, fleet.log, every_s=0.5)
        fleet.worker()
        wait_until(
            lambda: len({who.partition("-")[0] for who in _users(target.served(), "moved")}) == 2,
            fleet.log,
            every_s=0.5,
        )
        gevent.sleep(2)
        master.send_signal(signal.SIGTERM)
        case.exit_code = master.wait(HANG_S)
        case.summary = fleet.log() + fleet.log("workers.log")
        fleet.result_file.rename(folder / "result.json")


def _read(folder: Path, case: Case) -> None:
    case.result = json.loads((folder / "result.json").read_text())
    case.summary = " ".join(case.summary.split())
    (page,) = (folder / "store" / "reports").glob("*.html")
    case.report = " ".join(html.unescape(page.read_text()).split())
    with open(folder / "out_stats.csv", newline="") as file:
        case.stats = list(csv.DictReader(file))
    with open(folder / "out_stats_history.csv", newline="") as file:
        case.history = list(csv.DictReader(file))


def _users(served: Iterable[Served], run: str) -> set[str]:
    return {each.query["user"] for each in served if each.query["run"] == run}


def _ended_s(each: Served) -> float:
    return each.came_s if each.answered_s is None else each.answered_s


def _together(served: Sequence[Served], before_s: float = 0.0, after_s: float = 0.0) -> int:
    """The most users at a time, each from so long before its first request to so long after its last answer."""
    changes: list[tuple[float, int]] = []
    for user in {each.query["user"] for each in served}:
        own = [each for each in served if each.query["user"] == user]
        changes.append((min(each.came_s for each in own) - before_s, 1))
        changes.append((max(map(_ended_s, own)) + after_s, -1))
    users = most = 0
    for _, change in sorted(changes):
        users += change
        most = max(most, users)
    return most


every_case = pytest.mark.parametrize("name", CASES)


@every_case
def test_requests_and_errors_are_those_of_the_target(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    assert case.exit_code == case.code, case.summary
    paths = Counter(each.path for each in case.served)
    counted = {endpoint["name"]: endpoint["requests"] for endpoint in case.result["endpoints"]}
    if name == "killed":
        (lost,) = case.result["lost"]
        missing = sum(paths.values()) - sum(counted.values())
        assert 0 <= missing <= lost["users"] * (lost["unreported_s"] / WAIT_S + 1)
    else:
        assert counted == paths
        assert case.result["lost"] == []
    failures = paths["/fail"] + paths["/reset"]
    assert case.result["totals"]["failures"] == failures
    assert sum(error["count"] for error in case.result["errors"]) == failures
    assert {error["name"] for error in case.result["errors"]} == {path for path in ("/fail", "/reset") if paths[path]}


@every_case
def test_rates_are_over_the_time_of_the_load_and_the_same_everywhere(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    totals, load_s = case.result["totals"], case.result["load_s"]
    if name != "killed":
        ended_s = case.started_s + load_s
        at_least = sum(_ended_s(each) <= ended_s - case.late_s for each in case.served)
        at_most = sum(_ended_s(each) <= ended_s + case.late_s for each in case.served)
        assert at_least <= round(totals["rps"] * load_s) <= at_most
        assert round(totals["rps"] * load_s) == totals["requests"] - totals["late"]
    if case.drains:
        assert case.result["duration_s"] > load_s
    if "drain" in name:
        # The wait at the end took longer than the load.
        assert case.result["duration_s"] >= 3.0
        assert totals["late"] <= 2
    if "long" in name:
        assert totals["late"] > 0
    shown = case.result["requirements"][0]["value"]
    assert shown == pytest.approx(totals["rps"], abs=1e-5)
    assert float(case.stats[-1]["Requests/s"]) == pytest.approx(totals["rps"], abs=1e-5)
    assert sum(float(row["Requests/s"]) for row in case.stats[:-1]) == pytest.approx(totals["rps"], abs=1e-4)
    rate = format_count(totals["rps"])
    assert f" {rate} " in case.summary
    assert f" {rate}/s" in case.report


@every_case
def test_percentiles_are_those_of_the_target(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    by_path: dict[str, list[float]] = {}
    for each in case.served:
        by_path.setdefault(each.path, []).append(_ended_s(each) - each.came_s)
    for endpoint in case.result["endpoints"]:
        took = sorted(by_path[endpoint["name"]])
        if name != "killed":
            for key, share in (("p50_s", 0.5), ("p95_s", 0.95), ("max_s", 1.0)):
                least = took[max(0, int(share * len(took) + 0.999999) - 1)]
                # What the client measures has the way there and back in it, and what its own process was late by.
                assert endpoint[key] >= least * 0.98 - 0.001, (key, endpoint)
        assert (
            endpoint["p50_s"]
            <= endpoint["p95_s"]
            <= endpoint["max_s"]
            <= max(took) + case.blocked_s + 3.0 + case.late_s
        )


@every_case
def test_the_most_users_at_a_time_are_those_of_the_target(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    requested = _together(case.served)
    at_most = _together(case.served, case.late_s, WAIT_S + case.late_s)
    # One user of a drain asks for nothing.
    silent = 1 if "drain" in name else 0
    assert requested + silent <= case.result["users_max"] <= at_most + silent
    if not case.moves and "short" not in name:
        assert requested == at_most
    if "short" in name:
        assert 3 <= case.result["users_max"] <= 9, "three come each second, and stay for less than one"
        assert len({each.query["user"] for each in case.served}) == 9
    assert f"Peak: {counted(case.result['users_max'], 'user')}" in case.summary
    assert f"by up to {counted(case.result['users_max'], 'user')}" in case.report


@every_case
def test_the_verdict_on_the_generator_is_what_was_said_during_the_run(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    generator = case.result["generator"]
    assert generator["saturated"] is ("THE LOAD GENERATOR IS THE BOTTLENECK" in case.summary)
    if case.blocked_s:
        assert generator["saturated"] is True
        assert case.blocked_s * 0.98 <= generator["max_loop_lag_s"] <= case.blocked_s + 3.0 + case.late_s
    lag, cpu = f"event loop lag up to {format_latency(generator['max_loop_lag_s'])}", generator["max_cpu_ratio"]
    assert lag in generator["verdict"]
    assert f"CPU up to {cpu:.0%} of a core" in generator["verdict"]
    assert generator["verdict"] in case.summary
    assert generator["verdict"] in case.report
    assert generator["max_loop_lag_s"] == max(worker["max_loop_lag_s"] for worker in case.result["workers"])
    assert cpu == max(worker["max_cpu_ratio"] for worker in case.result["workers"])


@every_case
def test_the_history_has_a_row_for_each_second_and_none_twice(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    seconds = [int(row["Timestamp"]) for row in case.history]
    assert sorted(set(seconds)) == seconds
    elapsed_s = _seconds(case.result["ended_at"]) - case.started_s
    assert seconds[-1] - int(case.started_s) == round(elapsed_s)
    # A process that is held up has nothing to say meanwhile.
    assert len(seconds) >= round(elapsed_s) - case.blocked_s - 1 - (case.late_s - LATE_S)
    assert int(case.history[-1]["Total Request Count"]) == case.result["totals"]["requests"]
    assert int(case.history[-1]["Total Failure Count"]) == case.result["totals"]["failures"]

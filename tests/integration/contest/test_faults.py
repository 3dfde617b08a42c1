"""Each fault changes the figure that it should, by the factor that is stated here, and goes away again."""

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
import pytest

from tests.support.contest import FOLDER, Contest
from tests.support.patience import HANG_S, wait_until
from tests.support.prometheus import Prometheus

# There is one at a time: it has ports that are always the same, and Prometheus reads the CPU of the machine.
pytestmark = pytest.mark.xdist_group("contest")

STEADY = f"""
import sys

sys.path.insert(0, {str(FOLDER)!r})
from loadtest import Contestant, add_options, share_accounts
"""

USERS = 250
LOOKS_BACK_S = 5
"""Over which the rates are."""


def mean(histogram: str, matchers: str = "") -> str:
    return f"sum(rate({histogram}_sum{matchers}[5s])) / sum(rate({histogram}_count{matchers}[5s]))"


@dataclass(frozen=True)
class Effect:
    """`figure` becomes at least `factor` times what it was, or what is `least` for it: an idle queue is no measure. A
    fault that adds a fixed amount has been seen when `added` has come: on a busy machine that is no large factor; and
    a part of a whole has been seen to be `full` where that many times would be more than there is."""

    fault: str
    figure: str
    factor: float
    least: float = 0.0
    added: float = math.inf
    full: float = math.inf


EFFECTS = (
    Effect("no-index", mean("app_db_query_duration_seconds", '{query="leaderboard"}'), 3),
    Effect("row-locks", mean("app_db_query_duration_seconds", '{query="count_submission"}'), 10),
    Effect("no-cache", 'sum(rate(app_db_query_duration_seconds_count{query="leaderboard"}[5s]))', 3),
    Effect("small-pool", mean("app_db_pool_wait_seconds"), 5, 0.00002),
    # Of all threads' time, the part that they are at a request, for each thread: there are 2 in place of 16, and they
    # are four times as busy, unless that would be more than all the time.
    Effect(
        "few-processes",
        "sum(rate(http_request_duration_seconds_sum[5s])) / sum(uwsgi_worker_threads) / sum(uwsgi_worker_threads)",
        4 * 16 / 2,
        full=0.75 / 2,
    ),
    # The CPUs that it has, as it is made nice; see _seen_of.
    Effect("neighbour", 'sum(rate(node_cpu_seconds_total{mode="nice"}[5s]))', 3, 0.03),
    Effect("slow-network", mean("app_db_query_duration_seconds", '{query="problem"}'), 10, added=0.035),
    Effect("disk-flush", "sum(rate(mysql_global_status_innodb_data_fsyncs[5s]))", 5),
    # Of the two, one more is out than none; counted from one, so that it is a factor.
    Effect("cluster-down", '3 - min(haproxy_backend_active_servers{proxy="clusters"})', 2),
    # Requests that wait in the load balancer: none, else.
    Effect("low-maxconn", 'sum(avg_over_time(haproxy_backend_current_queue{proxy="clusters"}[5s]))', 2, 0.1),
    # Counted by the application: the exporter may get no connection either. There are no such errors, else.
    Effect("few-connections", 'sum(rate(app_db_errors_total{error="1040"}[5s])) or vector(0)', 2, 0.1),
    Effect("small-buffer", "sum(rate(mysql_global_status_innodb_buffer_pool_reads[5s]))", 5, 5),
    Effect("full-disk", 'sum(rate(app_db_errors_total{error="1114"}[5s])) or vector(0)', 2, 0.1),
    Effect("many-queries", "sum(rate(mysql_global_status_questions[5s]))", 3),
    Effect("stampede", 'sum(rate(app_db_query_duration_seconds_count{query="leaderboard"}[5s]))', 1.5),
    Effect("pauses", "sum(rate(app_pause_seconds_sum[5s]))", 2, 0.1),
    Effect("slow-checker", mean("app_dependency_duration_seconds"), 10),
    Effect("packet-loss", mean("app_db_query_duration_seconds", '{query="problem"}'), 10, added=0.02),
    Effect("cpu-quota", "sum(rate(app_cpu_throttled_periods_total[5s]))", 2, 0.5),
)


@pytest.fixture(scope="module")
def _steady_load(contest: Contest, prometheus: Prometheus, web_port: int) -> Iterator[None]:
    loadtest = contest.folder / "steady.py"
    loadtest.write_text(STEADY)
    program = contest.run(loadtest, "-u", USERS, "-r", USERS / 2, "-t", "10m", "--web-port", web_port, guarded=False)
    try:
        wait_until(
            lambda: sum(float(each["value"][1]) for each in prometheus.query("sum(obswarm_users)")) >= USERS,
            contest.log_file.read_text,
        )
        # Rates look back over five seconds.
        _wait_for(lambda: _value(prometheus, "sum(obswarm_users offset 6s)"), lambda users: users == USERS)
        yield
        assert program.poll() is None, contest.log_file.read_text()
    finally:
        program.terminate()
        program.wait(HANG_S)


def _wait_for(look: Callable[[], float | None], fits: Callable[[float], bool]) -> float:
    """The figure once it fits."""
    last: list[float | None] = [None]

    def seen() -> bool:
        last[0] = look()
        return last[0] is not None and fits(last[0])

    wait_until(seen, lambda: last[0], every_s=0.25)
    assert last[0] is not None
    return last[0]


def _value(prometheus: Prometheus, figure: str) -> float | None:
    found = prometheus.query(figure)
    return float(found[0]["value"][1]) if found else None


def _make_nice(contest: Contest, part: str) -> None:
    """Give the processes of a part a lower priority by one, so that the kernel counts their time apart: what other
    programs leave idle or wait for says nothing about this one on a busy machine."""
    os.setpriority(os.PRIO_PGRP, contest.state["processes"][part]["pid"], 1)


def _seen_of(contest: Contest, prometheus: Prometheus, figure: str, part: str) -> float:
    """CPUs that the processes of a part have had, as far as the figure contains them: other programs may be nice, too."""
    before = _cpu_s(contest, part)
    time.sleep(LOOKS_BACK_S)
    used = max(0.0, _cpu_s(contest, part) - before) / LOOKS_BACK_S
    return min(used, _value(prometheus, figure) or 0.0)


def _cpu_s(contest: Contest, part: str) -> float:
    found = contest.state["processes"].get(part)
    used = 0.0
    for process in psutil.process_iter() if found is not None else ():
        try:
            if os.getpgid(process.pid) == found["pid"]:
                times = process.cpu_times()
                used += times.user + times.system
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return used


@pytest.mark.usefixtures("_steady_load")
@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.fault)
def test_a_fault_is_seen_and_goes_away(contest: Contest, prometheus: Prometheus, effect: Effect) -> None:

    def look() -> float | None:
        if effect.fault == "neighbour":
            return _seen_of(contest, prometheus, effect.figure, "neighbour")
        return _value(prometheus, effect.figure)

    # The least of some: a moment in which the machine stood still is not what is usual.
    found = []
    for _ in range(1 if effect.fault == "neighbour" else LOOKS_BACK_S):
        found.append(_wait_for(look, lambda value: True) if effect.fault != "neighbour" else look() or 0.0)
        time.sleep(1)
    before = min(found)
    usual = max(before, effect.least)
    enough = min(effect.factor * usual, usual + effect.added, effect.full)
    assert before < enough
    logged = contest.must("fault", effect.fault, "on")
    if effect.fault == "neighbour":
        _make_nice(contest, "neighbour")
    assert logged.strip() in contest.must("fault")
    try:
        during = _wait_for(look, lambda value: value >= enough)
    finally:
        contest.must("fault", effect.fault, "off")
    # Near what it was, so that the next one begins from there.
    after = _wait_for(look, lambda value: value < usual * max(1.2, math.sqrt(min(effect.factor, 10))))
    print(f"{effect.fault}: {before:.6f} -> {during:.6f} -> {after:.6f}")


def test_every_fault_has_its_effect_stated(contest: Contest) -> None:
    listed = [line.split()[1] for line in contest.must("fault").splitlines() if line.startswith(("on ", "off"))]
    assert listed == [effect.fault for effect in EFFECTS]
    contest.must("fault", "small-pool", "on")
    refused = contest.command("fault", "no-cache", "on")
    assert (refused.returncode, refused.stderr) == (
        2,
        "Error: small-pool is on; switch it off first (`fault small-pool off`).\n",
    )
    assert "Fault: small-pool." in contest.must("status")
    contest.must("fault", "small-pool", "off")

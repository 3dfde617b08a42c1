"""How long it takes until a run is stopped whose target fails, or does not answer any more: with a fleet of four workers, five times
for each way in which a run can be stopped."""

import json
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.pool import Pool

from tests.support.alertmanager import Alertmanager
from tests.support.fleet import Fleet
from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import QuickServer
from tests.support.prometheus import Prometheus
from tests.support.stalls import StallMeter

TIMES = 5
"""All at once: a run waits most of the time."""

TOKEN = "a token of the test"
_SHARE = 'sum(rate(quick_requests_total{code="500"}[3s])) / sum(rate(quick_requests_total[3s]))'

Setting = Callable[[ExitStack, QuickServer, int], list[str]]
"""Starts what a way needs; gives the master's options."""


def by_the_engine(stack: ExitStack, target: QuickServer, web_port: int) -> list[str]:
    return ["--stop-when", "error_ratio > 5%"]


def by_promql(stack: ExitStack, target: QuickServer, web_port: int) -> list[str]:
    prometheus = stack.enter_context(Prometheus(f"127.0.0.1:{target.port}"))
    return ["--prometheus-url", prometheus.url, "--stop-when", f"promql({_SHARE}) > 5%"]


def by_an_alert(stack: ExitStack, target: QuickServer, web_port: int) -> list[str]:
    webhook = f"http://127.0.0.1:{web_port}/api/v1/alerts"
    alertmanager = stack.enter_context(Alertmanager(webhook, TOKEN))
    rule = {"alert": "ManyErrors", "expr": f"{_SHARE} > 0.05", "annotations": {"summary": "many errors"}}
    started: AbstractContextManager[Prometheus] = Prometheus(
        f"127.0.0.1:{target.port}", rules=(rule,), alertmanager_port=alertmanager.port
    )
    stack.enter_context(started)
    # What the rule says is of the target, which no other load test has used.
    return ["--alerts-token", TOKEN, "--alerts-grace", "0s"]


def by_a_percentile(stack: ExitStack, target: QuickServer, web_port: int) -> list[str]:
    return ["--stop-when", "p95 > 500ms for 2s"]


def to_failures(target: QuickServer, result: dict[str, Any]) -> float:
    """From the first failing answer at the target to the last request that it sees."""
    first: float = json.loads(target.get("/first-failure"))
    last: float = max(max(times) for times in target.arrivals().values())
    return last - first


def to_silence(target: QuickServer, result: dict[str, Any]) -> float:
    """From the last answer of the target to the moment at which the guard stops the run."""
    (tripped,) = (mark["at"] for mark in result["annotations"] if mark["kind"] == "guard")
    last: float = json.loads(target.get("/last-answer"))
    return datetime.fromisoformat(tripped).timestamp() - last


@dataclass(frozen=True)
class Way:
    """How a run is stopped: what is set up, what the stop is called, what the target is told to do, what is measured."""

    setting: Setting
    kind: str
    trouble: str = "/start-failing"
    reaction: Callable[[QuickServer, dict[str, Any]], float] = to_failures


def reaction_s(folder: Path, way: Way, seed: int, longest_s: float, stalls: StallMeter) -> tuple[float, float]:
    """How long it took, and how long it may take here."""
    with ExitStack() as stack:
        target = stack.enter_context(QuickServer())
        fleet = stack.enter_context(Fleet(folder, target.url))
        web_port = free_port()
        options = way.setting(stack, target, web_port)
        # The later --web-port counts.
        master = fleet.master("-u", 40, "-r", 100, "-t", "10m", "--expect-workers", 4, *options, "--web-port", web_port)
        for _ in range(4):
            fleet.worker()
        wait_until(lambda: len(target.arrivals()) >= 4, fleet.log)
        gevent.sleep(2 + random.Random(seed).random())
        began_s = time.time()
        target.get(way.trouble)
        assert master.wait(HANG_S) == 3, fleet.log()
        result = fleet.result()
        assert result["stop_reason"]["kind"] == way.kind
        took_s = way.reaction(target, result)
        return took_s, stalls.allowed_s(longest_s, began_s, began_s + took_s)


@pytest.mark.alone
@pytest.mark.parametrize(
    ("way", "longest_s"),
    [
        (Way(by_the_engine, "guard"), 2.0),
        (Way(by_promql, "guard"), 4.0),
        (Way(by_an_alert, "alert"), 6.0),
        (Way(by_a_percentile, "guard", "/start-hanging", to_silence), 5.0),
    ],
    ids=lambda value: value.setting.__name__ if isinstance(value, Way) else None,
)
def test_a_fleet_stops_soon_after_the_target_breaks(tmp_path: Path, way: Way, longest_s: float) -> None:
    pool = Pool(TIMES)
    with StallMeter() as stalls:
        reactions = pool.map(lambda seed: reaction_s(tmp_path / str(seed), way, seed, longest_s, stalls), range(TIMES))
    shown = ", ".join(f"{took_s:.2f} of {allowed_s:.2f}" for took_s, allowed_s in sorted(reactions))
    print(f"{way.setting.__name__}: {shown} s")
    assert all(took_s <= allowed_s for took_s, allowed_s in reactions), shown

"""The engine's figures that guards and requirements go by."""

import pytest

from obswarm.api import Environment, Events, ObswarmError, User, task
from obswarm.engine import LocalRun, Ramp
from obswarm.guards import judge, parse_requirement
from obswarm.guards.grammar import parse_condition
from obswarm.guards.operands import last_interval, whole_run
from obswarm.stats import Recorder, Snapshot


class Nobody(User):
    @task
    def nothing(self) -> None: ...


@pytest.fixture
def snapshot() -> Snapshot:
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Nobody])
    run = LocalRun(environment, Ramp(1, 1), test="t")
    record = environment.recorder.record
    for number in range(100):
        record("GET", "/a", 0.1 if number < 90 else 0.5, 10, 200)
    for number in range(20):
        record("POST", "/b", 1.0, 10, 500 if number < 5 else 404 if number < 8 else 200, "no" if number < 5 else None)
    return run.latest()


def value(text: str, snapshot: Snapshot, over=last_interval):
    return over(parse_condition(text).operand, snapshot)


def test_counts_and_shares(snapshot: Snapshot) -> None:
    assert value("failures > 0", snapshot) == 5
    assert value("error_ratio > 0", snapshot) == pytest.approx(5 / 120)
    assert value('error_ratio{name="/b"} > 0', snapshot) == pytest.approx(5 / 20)
    assert value('error_ratio{name="/a"} > 0', snapshot) == 0
    assert value('error_ratio{name="/b", status="4xx"} > 0', snapshot) == pytest.approx(3 / 20)
    assert value('failures{status="4xx"} > 0', snapshot) == 0
    assert value('failures{method="POST", status="5xx"} > 0', snapshot) == 5
    assert value("rps > 0", snapshot) == pytest.approx(120 / snapshot.interval_s)
    assert value('rps{status="2xx"} > 0', snapshot) == pytest.approx(112 / snapshot.interval_s)


def test_latencies(snapshot: Snapshot) -> None:
    assert value("p50 > 1s", snapshot) == pytest.approx(0.1, rel=0.011)
    assert value('p95{name="/a"} > 1s', snapshot) == pytest.approx(0.5, rel=0.011)
    assert value("max > 1s", snapshot) == 1.0
    assert value('avg{name="/a"} > 1s', snapshot) == pytest.approx(0.14)


def test_where_there_were_no_requests_there_is_no_latency_and_no_share(snapshot: Snapshot) -> None:
    assert value('p95{name="/c"} > 1s', snapshot) is None
    assert value('error_ratio{name="/c"} > 1%', snapshot) is None
    assert value('rps{name="/c"} < 1', snapshot) == 0
    assert value("loop_lag > 1s", snapshot) is None
    assert value("users > 1", snapshot) == 0
    assert value("workers_missing > 1", snapshot) == 0


def test_requirements_are_judged_over_the_whole_run(snapshot: Snapshot) -> None:
    texts = ["error_ratio < 5%", 'p95{name="/b"} < 500ms', "failures == 5", 'p95{name="/c"} < 1s']
    judged = judge([parse_requirement(text) for text in texts], snapshot)
    assert [judgement.met for judgement in judged] == [True, False, True, False]
    assert [judgement.shown for judgement in judged] == ["4.17%", "1s", "5", "nothing measured"]
    assert value("failures > 0", snapshot, whole_run) == 5


@pytest.mark.parametrize("text", ["promql(up) > 1", "alert()", "users > 5", "loop_lag < 1s"])
def test_what_cannot_be_judged_over_a_run_is_said(text: str) -> None:
    with pytest.raises(ObswarmError, match="cannot be judged over a whole run"):
        parse_requirement(text)

"""The values of the load test's own operands."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from obswarm import clock
from obswarm.api import Environment, Events, ObswarmError, User, task
from obswarm.engine import Ramp
from obswarm.guards import Guard, RequirementResult, evaluate_requirements, parse_requirement
from obswarm.guards.conditions import EngineOperand
from obswarm.guards.grammar import parse_condition
from obswarm.guards.latency import AtLeast
from obswarm.guards.operands import (
    OPERANDS,
    OperandDefinition,
    matches_any,
    missing_of,
    selects_endpoints,
    value_of_interval,
    value_of_run,
)
from obswarm.record import GeneratorHealth, Snapshot, WorkerStatus
from obswarm.stats import NO_FREE_USER, PACING, CustomKey, CustomKind, CustomSeries, Recorder
from tests.support.runs import local_run

ROOT = Path(__file__).parents[2]


class Nobody(User):
    @task
    def nothing(self) -> None: ...


@pytest.fixture
def snapshot() -> Snapshot:
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Nobody])
    run = local_run(environment, Ramp(1, 1), test="t")
    record = environment.recorder.record
    for number in range(100):
        record("GET", "/a", 0.1 if number < 90 else 0.5, 10, 200)
    for number in range(20):
        record("POST", "/b", 1.0, 10, 500 if number < 5 else 404 if number < 8 else 200, "no" if number < 5 else None)
    return run.latest()


def value(text: str, snapshot: Snapshot, over=value_of_interval):
    return over(parse_condition(text).operand, snapshot)


def test_requests_are_selected_by_their_scenario() -> None:
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Nobody])
    names = ["browse"]
    environment.recorder.tell_scenarios_apart(lambda: names[-1])
    run = local_run(environment, Ramp(1, 1), test="t")
    for name, seconds in (("browse", 0.1), ("buy", 2.0), ("buy", 3.0)):
        names.append(name)
        environment.recorder.record("GET", "/a", seconds, 10, 200)
    taken = run.latest()
    assert value('failures{scenario="browse"} > 0', taken) == 0
    assert value('max{scenario="browse"} > 0s', taken) == 0.1
    assert value('max{scenario="buy", name="/a"} > 0s', taken) == 3.0
    assert value('max{name="/a"} > 0s', taken) == 3.0
    results = evaluate_requirements(
        [parse_requirement("max < 1s").of(name) for name in ("browse", "buy", "none")], taken
    )
    assert [(str(each.requirement), each.met) for each in results] == [
        ('max{scenario="browse"} < 1s', True),
        ('max{scenario="buy"} < 1s', False),
        ('max{scenario="none"} < 1s', False),
    ]
    for text in ("dropped < 5", 'max{scenario="buy"} < 1s'):
        with pytest.raises(ObswarmError, match="cannot be that of a scenario"):
            parse_requirement(text).of("browse")


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


def test_without_requests_there_is_no_latency_and_no_error_ratio(snapshot: Snapshot) -> None:
    assert value('p95{name="/c"} > 1s', snapshot) is None
    assert value('error_ratio{name="/c"} > 1%', snapshot) is None
    assert value('rps{name="/c"} < 1', snapshot) is None
    assert value("loop_lag > 1s", snapshot) is None
    assert value("users > 1", snapshot) == 0
    assert value("workers_missing > 1", snapshot) == 0


def test_requirements_are_evaluated_over_the_whole_run(snapshot: Snapshot) -> None:
    texts = ["error_ratio < 5%", 'p95{name="/b"} < 500ms', "failures == 5", 'p95{name="/c"} < 1s']
    results = evaluate_requirements([parse_requirement(text) for text in texts], snapshot)
    assert [result.met for result in results] == [True, False, True, False]
    assert [result.shown for result in results] == ["4.17%", "1.00 s", "5", "nothing measured"]
    assert value("failures > 0", snapshot, value_of_run) == 5


@pytest.mark.parametrize(
    "text", ["promql(up) > 1", "alert()", "users > 5", "loop_lag < 1s", "in_flight < 5", "oldest < 1s"]
)
def test_operands_without_a_value_for_the_whole_run_are_refused_in_requirements(text: str) -> None:
    with pytest.raises(ObswarmError, match="has no value for a whole run"):
        parse_requirement(text)


def with_requests_under_way(ages_s: list[float], name: str = "/a") -> Snapshot:
    """Nothing has finished in the interval."""
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Nobody])
    run = local_run(environment, Ramp(1, 1), test="t")
    now = clock.monotonic()
    for age_s in ages_s:
        environment.recorder.pending[object()] = ("GET", name, now - age_s, False)
    environment.recorder.pending[object()] = ("GET", "/stream", now - 50.0, True)
    return run.latest()


def test_operands_of_requests_in_flight() -> None:
    snapshot = with_requests_under_way([0.5, 1.5, 7.0])
    assert value("in_flight > 50", snapshot) == 4
    assert value('in_flight{name="/a"} > 50', snapshot) == 3
    assert value("oldest > 2s", snapshot) == pytest.approx(50, abs=1)
    assert value('oldest{method="GET", name="/a"} > 2s', snapshot) == pytest.approx(7, abs=1)


@pytest.mark.parametrize("text", ['in_flight{name="/b"} < 1', 'oldest{name="/b"} < 2s', 'rps{method="PUT"} < 1'])
def test_labels_that_match_no_request_yet_have_no_value(text: str) -> None:
    assert value(text, with_requests_under_way([0.5])) is None


def test_latencies_are_at_least_the_ages_of_requests_in_flight() -> None:
    snapshot = with_requests_under_way([1.5] * 19 + [7.0])
    for text, seconds in (("p50 > 1s", 1.5), ("p99 > 1s", 7.0), ("max > 1s", 7.0), ("avg > 1s", 1.775)):
        found = value(text, snapshot)
        assert found == pytest.approx(seconds, rel=0.03)
        assert isinstance(found, AtLeast)
    assert value('p50{name="/stream"} > 1s', snapshot) is None, "its duration was that to the head of its answer"
    assert value("error_ratio > 1%", snapshot) is None
    # What is under way is in no result.
    assert value("p50 > 1s", snapshot, value_of_run) is None
    assert value("max > 1s", snapshot, value_of_run) is None


def a_quiet_second(users: int, ages_s: list[float], name: str = "/poll") -> Snapshot:
    """Nothing finishes in it. Before it, users made nine quick requests for each one that was named so."""
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Nobody])
    run = local_run(environment, Ramp(1, 1), test="t")
    for _ in range(90):
        environment.recorder.record("GET", "/quick", 0.002, 10, 200)
    for _ in range(10):
        environment.recorder.record("GET", "/poll", 9.0, 10, 200)
    run._emit()
    now = clock.monotonic()
    for age_s in ages_s:
        environment.recorder.pending[object()] = ("GET", name, now - age_s, False)
    return replace(run.latest(), interval_s=1.0, users={"Nobody": users})


def test_users_between_two_requests_count_as_fast_requests() -> None:
    snapshot = a_quiet_second(31, [4.0])
    for text in ("p50 > 500ms", "p95 > 500ms"):
        assert value(text, snapshot) is None, "one of 31 is no 95th percentile"
    assert value("p99 > 500ms", snapshot) == pytest.approx(4.0, rel=0.03)
    assert value("avg > 500ms", snapshot) == pytest.approx(4.0 / 31, rel=0.03)
    assert value("max > 500ms", snapshot) == pytest.approx(4.0, rel=0.03)
    # Of 30 resting users three would have polled.
    assert value('p50{name="/poll"} > 500ms', snapshot) is None
    assert value('p95{name="/poll"} > 500ms', snapshot) == pytest.approx(4.0, rel=0.03)


def test_users_that_all_wait_show_that_the_target_hangs() -> None:
    snapshot = a_quiet_second(10, [1.5] * 10, "/quick")
    assert value("p50 > 500ms", snapshot) == pytest.approx(1.5, rel=0.03)
    snapshot = a_quiet_second(30, [1.5] * 2, "/quick")
    assert value("p95 > 500ms", snapshot) == pytest.approx(1.5, rel=0.03), "two of 30 that have come so far"


def test_finished_requests_and_those_in_flight_make_one_latency() -> None:
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Nobody])
    run = local_run(environment, Ramp(1, 1), test="t")
    for _ in range(10):
        environment.recorder.record("GET", "/a", 0.02, 10, 200)
    now = clock.monotonic()
    for number in range(10):
        environment.recorder.pending[number] = ("GET", "/a", now - 0.8, False)
    snapshot = replace(run.latest(), interval_s=1.0)
    assert value("p40 > 1s", snapshot) == pytest.approx(0.02, rel=0.011)
    assert value("p95 > 500ms", snapshot) == pytest.approx(0.8, rel=0.05)
    assert value("max > 500ms", snapshot) == pytest.approx(0.8, rel=0.05)
    assert value("avg > 500ms", snapshot) == pytest.approx(0.41, rel=0.05)


def test_exceptions_and_interrupted_requests_of_the_interval() -> None:
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Nobody])
    run = local_run(environment, Ramp(1, 1), test="t")
    recorder = environment.recorder
    for _ in range(3):
        recorder.record_exception("KeyError: 'a'", "")
    recorder.record_cut_off("request", "GET", "/", 1.0)
    recorder.record_cut_off("task", "", "User.work", 1.0)
    run._emit()
    first = run.last
    recorder.record_exception("ValueError", "")
    run._emit()
    second = run.last
    assert first is not None
    assert second is not None
    assert [value("exceptions > 0", each) for each in (first, second)] == [3, 1]
    assert [value("interrupted > 0", each) for each in (first, second)] == [1, 0]
    assert value("exceptions == 0", second, value_of_run) == 4
    results = evaluate_requirements(
        [parse_requirement("exceptions == 0"), parse_requirement("interrupted < 5")], second
    )
    assert [(each.met, each.shown) for each in results] == [(False, "4"), (True, "1")]


def test_counts_of_a_long_interval_are_per_second(snapshot: Snapshot) -> None:
    """As of the first interval of a master that takes a run up: workers have kept their requests for it."""
    counts = {"interval_exceptions": 10, "interval_interrupted": 20}
    usual, long = (replace(snapshot, interval_s=seconds, **counts) for seconds in (1.2, 5.0))
    for text, count in (
        ("failures > 6", 5),
        ('failures{status="5xx"} > 6', 5),
        ("exceptions > 3", 10),
        ("interrupted > 9", 20),
    ):
        assert value(text, usual) == count
        assert value(text, long) == pytest.approx(count / 5)
        assert value(text, long) > 0, "none is lost"


VALUES: dict[str, tuple[float, float | None]] = {
    "error_ratio": (0.25, 0.05),
    "failures": (5, 6),
    "rps": (20, 12),
    "avg": (0.48, 0.1546),
    "max": (2.0, 4.0),
    "in_flight": (1, None),
    "oldest": (50, None),
    "users": (7, None),
    "exceptions": (2, 3),
    "interrupted": (1, 4),
    "dropped": (2, 5),
    "loop_lag": (0.3, None),
    "worker_cpu": (0.9, None),
    "workers_missing": (1, None),
    "p50": (0.4, 0.05),
    'metric("cart_size").p95': (7, 3),
    "intended_p50": (1.4, 1.4),
}
"""Of each operand the value over the last interval and that over the whole run of `a_run_with_everything`; None if the
operand has none. A new operand has a line here."""


@pytest.fixture
def a_run_with_everything() -> Snapshot:
    """100 requests before the last interval, 20 in it, a response that still streams, and three workers."""
    custom = CustomSeries()
    cart_size = CustomKey("cart_size", CustomKind.HISTOGRAM)
    environment = Environment(events=Events(), recorder=Recorder(custom=custom), user_classes=[Nobody])
    run = local_run(environment, Ramp(1, 1), test="t")
    recorder = environment.recorder
    for _ in range(100):
        custom.series(cart_size).record(3.0)
    for number in range(100):
        recorder.record("GET", "/a", 4.0 if number == 0 else 0.05, 10, 200, "no" if number == 0 else None)
    recorder.record_exception("KeyError", "")
    for _ in range(3):
        recorder.record_cut_off("request", "GET", "/", 1.0)
    recorder.record_dropped("Nobody", NO_FREE_USER, 3)
    run._emit()
    custom.series(cart_size).record(7.0)
    recorder.record_dropped("Nobody", PACING, 2)
    for number in range(20):
        duration_s = 2.0 if number == 0 else 0.4
        status, error = (500, "no") if number < 5 else (200, None)
        recorder.record("GET", "/b", duration_s, 10, status, error, start_delay_s=1.0)
    for _ in range(2):
        recorder.record_exception("ValueError", "")
    recorder.record_cut_off("request", "GET", "/", 1.0)
    recorder.pending[object()] = ("GET", "/stream", clock.monotonic() - 50.0, True)
    workers = tuple(
        GeneratorHealth(state, 1, cpu_ratio, loop_lag_s, 1, False, WorkerStatus(state))
        for state, cpu_ratio, loop_lag_s in (("ready", 0.9, 0.2), ("leaving", 0.5, 0.3), ("lost", 0.0, 0.0))
    )
    return replace(run.latest(), interval_s=1.0, load_s=10.0, users={"Nobody": 7}, workers=workers)


def name_of(row: OperandDefinition) -> str:
    """A name of an operand."""
    return 'metric("cart_size").p95' if row.has_any_label else row.name.partition(" to ")[0]


def test_every_operand_of_the_table_has_the_value_that_is_expected_of_it(a_run_with_everything: Snapshot) -> None:
    found = {}
    for row in OPERANDS.values():
        operand = EngineOperand(name_of(row))
        over_run = None if row.run is None else value_of_run(operand, a_run_with_everything)
        found[operand.metric] = (value_of_interval(operand, a_run_with_everything), over_run)
    assert found.keys() == VALUES.keys()
    for name, values in found.items():
        assert values == tuple(each if each is None else pytest.approx(each, rel=0.011) for each in VALUES[name]), name


def test_an_operand_without_a_value_says_what_is_missing() -> None:
    snapshot = with_requests_under_way([])
    for row in OPERANDS.values():
        name = name_of(row)
        unit = {"seconds": "1s", "ratio": "5%", "number": "1"}[row.unit]
        found = value(f"{name} > {unit}", snapshot)
        assert found is not None or missing_of(EngineOperand(name)).startswith("no ")


def test_the_table_in_the_documentation_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "docs/make_guards.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_page_without_a_place_for_the_table_is_not_up_to_date(tmp_path: Path) -> None:
    shutil.copy(ROOT / "docs/make_guards.py", tmp_path)
    (tmp_path / "guards.md").write_text("# Guards\n")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "make_guards.py"), "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "guards.md has no comments between which the table of operands belongs" in done.stderr


def test_labels_are_matched_against_finished_requests_and_those_in_flight() -> None:
    snapshot = with_requests_under_way([1.0], "/slow")
    for selector, matches in (('name="/slow"', True), ('name="/slo"', False), ('name="/slow", method="POST"', False)):
        assert matches_any(parse_condition(f"p95{{{selector}}} > 1s").operand, snapshot) is matches
    assert [selects_endpoints(parse_condition(text).operand) for text in ('rps{status="5xx"} > 1', "users > 1")] == [
        False
    ] * 2


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.004595, "4.6 ms"),
        (0.5, "500 ms"),
        (0.5001, "500.1 ms"),
        (0.4999999, "500 ms"),
        (0.734, "734 ms"),
        (2.5, "2.50 s"),
    ],
)
def test_durations_are_formatted_as_in_tables_and_differ_from_the_threshold(value: float, shown: str) -> None:
    assert Guard("p95 > 500ms").format_value(value) == shown
    assert RequirementResult(parse_requirement("p95 < 500ms"), True, value).shown == shown

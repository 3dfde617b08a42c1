"""Conditions about a load test's own metrics."""

from dataclasses import replace

import pytest

from obswarm.guards import Guard, GuardError, evaluate_requirements, parse_condition, parse_requirement, wrong_metric
from obswarm.guards.operands import constant_reason, value_of_interval, value_of_run
from obswarm.record import RunState, Snapshot, statistics_of
from obswarm.stats import TOTAL, CustomKey, CustomKind, CustomSeries, EndpointStats, StatsTable

GOLD, FREE = (CustomKey("orders", CustomKind.COUNTER, "", (("tier", tier),)) for tier in ("gold", "free"))
QUEUE, CART = CustomKey("queue", CustomKind.GAUGE), CustomKey("cart", CustomKind.HISTOGRAM)


@pytest.fixture
def snapshot() -> Snapshot:
    whole, interval = CustomSeries(), CustomSeries()
    for amount in (1.0, 2.0, 3.0):
        whole.series(GOLD).add(amount)
    whole.series(FREE).add(10.0)
    interval.series(GOLD).add(3.0)
    whole.series(QUEUE).set(-5.0, 1.0)
    whole.series(QUEUE).set(2.0, 2.0)
    for value in (1.0, 2.0, 9.0):
        whole.series(CART).record(value)
    interval.series(CART).record(9.0)
    return Snapshot(
        run_id="r",
        test="t",
        host=None,
        time_s=1e9,
        started_s=1e9,
        stats_since_s=1e9,
        elapsed_s=10.0,
        stats_elapsed_s=10.0,
        load_s=10.0,
        planned_s=None,
        state=RunState.RUNNING,
        users={},
        users_target={},
        **{**statistics_of(StatsTable()), "custom": whole},
        interval_s=1.0,
        interval={},
        interval_total=EndpointStats(TOTAL),
        interval_custom=interval,
    )


@pytest.mark.parametrize(
    ("operand", "interval", "run"),
    [
        ('metric("orders").sum', 3.0, 16.0),
        ('metric("orders").rate', 3.0, 1.6),
        ('metric("orders").count', 1.0, 4.0),
        ('metric("orders").sum{tier="gold"}', 3.0, 6.0),
        ('metric("orders").sum{tier="free"}', 0.0, 10.0),
        ('metric("orders").sum{tier="none"}', None, None),
        ('metric("orders").p95', None, None),
        ('metric("other").sum', None, None),
        ('metric("queue").last', 2.0, 2.0),
        ('metric("queue").min', 2.0, -5.0),
        ('metric("cart").p50', 9.0, 2.0),
        ('metric("cart").avg', 9.0, 4.0),
        ('metric("cart").max', 9.0, 9.0),
        ('metric("cart").min', 9.0, 1.0),
        ('metric("cart").rate', 1.0, 0.3),
        ('metric("cart").count', 1.0, 3.0),
    ],
)
def test_values(snapshot: Snapshot, operand: str, interval: float | None, run: float | None) -> None:
    condition = parse_condition(f"{operand} > 4")
    assert str(condition) == f"{operand} > 4"
    for found, expected in (
        (value_of_interval(condition.operand, snapshot), interval),
        (value_of_run(condition.operand, snapshot), run),
    ):
        assert found == (expected if expected is None else pytest.approx(expected, rel=0.011))


def test_a_histogram_without_values_in_an_interval_has_none_there(snapshot: Snapshot) -> None:
    quiet = replace(snapshot, interval_custom={})
    assert value_of_interval(parse_condition('metric("cart").p95 > 4').operand, quiet) is None
    assert value_of_interval(parse_condition('metric("cart").rate > 4').operand, quiet) == 0.0


def test_counts_of_a_long_interval_are_per_second(snapshot: Snapshot) -> None:
    long = replace(snapshot, interval_s=5.0)
    for statistic in ("sum", "rate"):
        assert value_of_interval(parse_condition(f'metric("orders").{statistic} > 4').operand, long) == 0.6


def test_requirements_take_the_whole_run(snapshot: Snapshot) -> None:
    texts = ('metric("cart").p95 < 20', 'metric("orders").sum{tier="free"} >= 11', 'metric("other").sum > 1')
    results = evaluate_requirements([parse_requirement(text) for text in texts], snapshot)
    assert [(each.met, each.shown) for each in results] == [(True, "9"), (False, "10"), (False, "nothing measured")]


def test_a_gauge_may_be_negative() -> None:
    assert constant_reason(parse_condition('metric("queue").last < -5')) is None


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ('metric("cart").p950 > 1', 15, "Expected one of sum, rate, count, last, min, max, avg, p50 to p99.9."),
        ('metric("cart").averag > 1', 15, "Did you mean avg?"),
        ('metric("cart") > 1', 15, "Expected ) and a dot"),
        ("metric(cart).p95 > 1", 7, "Expected a text in quotes."),
        ("metric.p95 > 1", 0, "Expected a metric"),
        ("metric > 1", 7, "Expected ( after metric"),
        ('metric("a b").p95 > 1', 7, "letters, digits and underscores"),
        ('metric("cart").p95 > 1s', 21, "Expected a number without a unit"),
        ('metric("cart").p95{} > 1', 19, "Expected a label."),
        ('metric("cart").p95{a="1", a="2"} > 1', 26, "given twice"),
    ],
)
def test_errors_have_their_position(text: str, position: int, expected: str) -> None:
    with pytest.raises(GuardError) as raised:
        Guard(text)
    assert expected in raised.value.expected
    assert raised.value.position == position


DECLARED = {"cart_size": (CustomKind.HISTOGRAM, ()), "orders": (CustomKind.COUNTER, ("tier",))}


@pytest.mark.parametrize(
    ("operand", "wrong"),
    [
        ('metric("cart_size").p95', None),
        ('metric("orders").rate{tier="gold"}', None),
        (
            'metric("cart_siz").p95',
            "The load test has no metric cart_siz; its metrics are cart_size, orders. Did you mean cart_size?",
        ),
        ('metric("orders").p95', "The metric orders is a counter, which has no p95; it has sum, rate, count."),
        ('metric("orders").sum{tire="gold"}', "The metric orders has no label tire; its labels are tier."),
        ('metric("cart_size").p95{tier="gold"}', "The metric cart_size has no label tier; its labels are (none)."),
    ],
)
def test_a_condition_about_a_metric_that_the_load_test_lacks_is_named(operand: str, wrong: str | None) -> None:
    assert wrong_metric(parse_condition(f"{operand} > 1").operand, DECLARED) == wrong

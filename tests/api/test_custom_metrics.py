"""Metrics that a load-test file declares: their names, units and labels, and what is recorded."""

from collections.abc import Iterator
from typing import Any

import pytest

from obswarm import defaults, metrics
from obswarm.api import ObswarmError, custom_metrics
from obswarm.stats import RECORDED, CustomKey, CustomKind


@pytest.fixture(autouse=True)
def nothing_declared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(custom_metrics, "_declared", {})
    RECORDED.clear()
    yield
    RECORDED.clear()


def test_what_is_recorded_is_in_the_series_of_its_labels() -> None:
    orders = metrics.counter("orders", labels=("tier",))
    orders.add(tier="gold")
    orders.add(2.5, tier="gold")
    orders.add(0, tier="free")
    metrics.gauge("queue", unit="messages").set(-3)
    size = metrics.histogram("cart_size", unit="items")
    size.record(3)
    assert {(key.label, key.unit): stats.pack()[:2] for key, stats in RECORDED.items()} == {
        ('orders{tier="gold"}', ""): [2, 3_500_000_000],
        ('orders{tier="free"}', ""): [1, 0],
        ("queue", "messages"): [1, 0],
        ("cart_size", "items"): [1, 3_000_000_000],
    }
    assert RECORDED[CustomKey("queue", CustomKind.GAUGE, "messages")].last == -3.0


def test_a_declaration_that_is_repeated_is_the_same_metric() -> None:
    assert metrics.counter("orders") is metrics.counter("orders")


@pytest.mark.parametrize("name", ["", "cart size", "1st", "prix_€", "a" * 61, None, 5, "a-b", "a\n"])
def test_a_name_that_no_output_could_show_is_refused(name: Any) -> None:
    with pytest.raises(ObswarmError, match=r"is not a name of a metric: up to 60 letters"):
        metrics.counter(name)


@pytest.mark.parametrize("unit", ["µs", "x" * 21, " ", None, 5, "a\nb"])
def test_a_unit_that_no_output_could_show_is_refused(unit: Any) -> None:
    with pytest.raises(ObswarmError, match="is not a unit"):
        metrics.gauge("queue", unit=unit)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ("tier", r"write labels=\('tier',\)"),
        (("a b",), "is not a name of a label"),
        (("le",), "reserved"),
        (("__name__",), "reserved"),
        (("a", "a"), "given twice"),
        (tuple("abcdef"), "at most 5"),
    ],
)
def test_labels_that_no_output_could_show_are_refused(labels: Any, reason: str) -> None:
    with pytest.raises(ObswarmError, match=reason):
        metrics.histogram("cart_size", labels=labels)


def test_another_declaration_of_a_name_is_refused() -> None:
    metrics.counter("orders", unit="orders")
    with pytest.raises(
        ObswarmError, match=r"orders is declared twice, as a counter in orders and as a gauge in orders"
    ):
        metrics.gauge("orders", unit="orders")
    with pytest.raises(ObswarmError, match=r"as a counter in orders with the labels tier\. Use another name"):
        metrics.counter("orders", unit="orders", labels=("tier",))


def test_too_many_metrics_are_refused() -> None:
    for number in range(defaults.MAX_CUSTOM_METRICS):
        metrics.counter(f"m{number}")
    with pytest.raises(ObswarmError, match="more than 100 metrics; one_more is one too many"):
        metrics.counter("one_more")


@pytest.mark.parametrize(
    ("value", "error"), [(-1, ValueError), (float("nan"), ValueError), (1e13, ValueError), ("x", TypeError)]
)
def test_a_value_that_cannot_be_counted_is_an_error_and_counts_nothing(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"metrics.counter\('orders'\) takes"):
        metrics.counter("orders").add(value)
    with pytest.raises(error, match=r"metrics.histogram\('cart_size'\) takes"):
        metrics.histogram("cart_size").record(value)
    assert not RECORDED


def test_a_gauge_takes_any_finite_number() -> None:
    with pytest.raises(ValueError, match="finite"):
        metrics.gauge("queue").set(float("inf"))
    metrics.gauge("queue").set(-1e15)
    assert next(iter(RECORDED.values())).low == -1e15


@pytest.mark.parametrize("labels", [{}, {"tire": "gold"}, {"tier": "gold", "more": 1}])
def test_other_labels_than_the_declared_ones_are_an_error(labels: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"has the labels tier; given: "):
        metrics.counter("orders", labels=("tier",)).add(1, **labels)
    assert not RECORDED


def test_values_of_labels_are_clean_texts() -> None:
    metrics.counter("orders", labels=("tier",)).add(1, tier="a\x00\n" + "b" * 1000)
    (key,) = RECORDED
    ((_, value),) = key.labels
    assert value.startswith("a\\x00\\nbbb")
    assert len(value) <= defaults.MAX_NAME_LENGTH


def test_different_values_of_labels_take_bounded_memory() -> None:
    orders = metrics.counter("orders", labels=("tier",))
    for number in range(3 * defaults.MAX_CUSTOM_SERIES):
        orders.add(1, tier=number)
    assert len(RECORDED) == defaults.MAX_CUSTOM_SERIES + 1
    assert len(orders._keys) == defaults.MAX_CUSTOM_SERIES
    assert sum(stats.sum for stats in RECORDED.values()) == 3 * defaults.MAX_CUSTOM_SERIES

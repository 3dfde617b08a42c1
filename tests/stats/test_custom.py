"""Metrics of a load test's own are added up exactly, in any order, and survive the way to a master."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm import defaults
from obswarm.stats import CustomKey, CustomKind, CustomSeries, CustomStats, Recorder, StatsTable, summed
from obswarm.stats.checks import Malformed
from obswarm.stats.codec import DeltaSum, TableBounds, pack_table, pack_unchecked
from obswarm.stats.custom import OTHER_LABEL

SIZE = CustomKey("cart_size", CustomKind.HISTOGRAM, "items")
ORDERS = CustomKey("orders", CustomKind.COUNTER, "", (("tier", "gold"),))
QUEUE = CustomKey("queue", CustomKind.GAUGE)

amounts = st.floats(0, 1e12)


def recorded(kind: CustomKind, values: list[float]) -> CustomStats:
    stats = CustomStats()
    for number, value in enumerate(values):
        if kind is CustomKind.GAUGE:
            stats.set(value, float(number))
        else:
            (stats.record if kind is CustomKind.HISTOGRAM else stats.add)(value)
    return stats


def sent(series: CustomSeries) -> CustomSeries:
    """The series after the way to a master."""
    table = StatsTable()
    table.custom.merge(series)
    received = DeltaSum(TableBounds())
    received.add(pack_table(table), 0)
    return received.take(1000).custom


def values(stats: CustomStats) -> list[Any]:
    return stats.pack()


@given(st.sampled_from(list(CustomKind)), st.lists(st.lists(amounts, min_size=1), min_size=1), st.randoms())
def test_the_sum_of_parts_is_the_same_in_any_order(kind: CustomKind, parts: list[list[float]], chance: Any) -> None:
    pieces = [recorded(kind, part) for part in parts]
    whole = values(summed(pieces))
    chance.shuffle(pieces)
    assert values(summed(pieces)) == whole
    assert whole[0] == sum(map(len, parts))


@given(st.sampled_from(list(CustomKind)), st.lists(amounts, min_size=1))
def test_series_arrive_as_they_were_sent(kind: CustomKind, numbers: list[float]) -> None:
    series = CustomSeries({CustomKey("own", kind, "items", (("a", "1"), ("b", "2"))): recorded(kind, numbers)})
    assert {key: values(stats) for key, stats in sent(series).items()} == {
        key: values(stats) for key, stats in series.items()
    }


@given(st.lists(st.floats(1e-6, 1e12), min_size=1), st.floats(0, 1))
def test_a_quantile_is_within_its_stated_error(numbers: list[float], q: float) -> None:
    rank = max(1, -(-q * len(numbers) // 1))
    exact = sorted(numbers)[int(rank) - 1]
    found = recorded(CustomKind.HISTOGRAM, numbers).quantile(q)
    assert found == pytest.approx(exact, rel=0.011)


def test_zeros_of_a_histogram_are_zero() -> None:
    stats = recorded(CustomKind.HISTOGRAM, [0.0, 0.0, 0.0, 8.0])
    assert (stats.quantile(0.5), stats.quantile(0.8), stats.mean, stats.low, stats.high) == (
        0.0,
        pytest.approx(8.0, rel=0.011),
        2.0,
        0.0,
        8.0,
    )


def test_amounts_of_a_counter_add_up_without_an_error_of_rounding() -> None:
    assert recorded(CustomKind.COUNTER, [0.1] * 1000).sum == 100.0


def test_a_gauge_has_the_value_that_was_set_last() -> None:
    early, late = CustomStats(), CustomStats()
    early.set(5.0, 10.0)
    late.set(-2.0, 11.0)
    for order in ((early, late), (late, early)):
        total = summed(order)
        assert (total.last, total.low, total.high, total.count) == (-2.0, -2.0, 5.0, 2)


def test_series_beyond_the_limit_are_one_series() -> None:
    series = CustomSeries()
    for number in range(defaults.MAX_CUSTOM_SERIES + 50):
        series.series(ORDERS._replace(labels=(("tier", str(number)),))).add(1.0)
    assert len(series) == defaults.MAX_CUSTOM_SERIES + 1
    assert series[ORDERS._replace(labels=(("tier", OTHER_LABEL),))].sum == 50.0
    assert sum(stats.sum for stats in sent(series).values()) == defaults.MAX_CUSTOM_SERIES + 50
    series.series(QUEUE).set(1.0, 1.0)
    assert QUEUE in series, "a metric without labels is never one of the others"


def test_a_recorder_takes_what_was_recorded_once() -> None:
    process = CustomSeries()
    recorder = Recorder(custom=process)
    process.series(ORDERS).add(2.0)
    taken = recorder.take()
    assert taken.custom[ORDERS].sum == 2.0
    assert not taken.is_empty()
    assert recorder.take().is_empty()


def lying(change: dict[int, Any], key: CustomKey = SIZE) -> list[Any]:
    packed = recorded(key.kind, [1.0, 2.0]).pack()
    for place, value in change.items():
        packed[place] = value
    return packed


@pytest.mark.parametrize(
    ("key", "change"),
    [
        (SIZE, {0: 3}),
        (SIZE, {0: 0, 6: []}),
        (SIZE, {0: -1}),
        (SIZE, {1: 10**40}),
        (SIZE, {2: 3.0}),
        (SIZE, {2: float("nan")}),
        (SIZE, {2: None}),
        (SIZE, {3: 1e13}),
        (SIZE, {4: 1.0}),
        (SIZE, {6: [0, 1, 0, 1]}),
        (SIZE, {6: [5000, 2]}),
        (SIZE, {6: [0, 2, 1]}),
        (SIZE, {6: "no"}),
        (ORDERS, {2: -1.0}),
        (ORDERS, {6: [0, 2]}),
        (QUEUE, {1: 5}),
        (QUEUE, {4: None}),
        (QUEUE, {4: float("inf")}),
        (QUEUE, {5: -1.0}),
    ],
)
def test_series_that_no_recorder_makes_are_refused(key: CustomKey, change: dict[int, Any]) -> None:
    class Lie(CustomStats):
        def pack(self) -> list[Any]:
            return lying(change, key)

    table = StatsTable()
    table.custom[key] = Lie()
    with pytest.raises(Malformed):
        DeltaSum(TableBounds()).add(pack_unchecked(table), 0)


def test_more_series_than_the_limit_are_refused() -> None:
    table = StatsTable()
    for number in range(defaults.MAX_CUSTOM_SERIES + defaults.MAX_CUSTOM_METRICS + 1):
        table.custom[ORDERS._replace(labels=(("tier", str(number)),))] = recorded(CustomKind.COUNTER, [1.0])
    with pytest.raises(Malformed, match="too many series"):
        DeltaSum(TableBounds()).add(pack_table(table), 0)

"""The load test's own metrics on the page: each statistic of each series over time, in bounded memory."""

import dataclasses

import pytest

from obswarm.stats import CustomKey, CustomKind, CustomStats
from obswarm.web.rest import custom as module
from obswarm.web.rest.custom import CustomSeries
from tests.cli.test_service import snapshot

ORDERS = CustomKey("orders", CustomKind.COUNTER, "", (("tier", "gold"),))
QUEUE = CustomKey("queue_length", CustomKind.GAUGE, "items")
SIZE = CustomKey("cart_size", CustomKind.HISTOGRAM, "seconds")


def stats_of(key: CustomKey, *values: float) -> CustomStats:
    stats = CustomStats()
    for value in values:
        if key.kind is CustomKind.GAUGE:
            stats.set(value, 1.0)
        elif key.kind is CustomKind.COUNTER:
            stats.add(value)
        else:
            stats.record(value)
    return stats


def second(series: CustomSeries, time_s: float, known: tuple[CustomKey, ...], **recorded: tuple[float, ...]) -> None:
    keys = {key.name: key for key in known}
    series.add(
        dataclasses.replace(
            snapshot(1),
            time_s=time_s,
            interval_s=2.0,
            custom=dict.fromkeys(known, CustomStats()),
            interval_custom={keys[name]: stats_of(keys[name], *values) for name, values in recorded.items()},
        )
    )


def test_each_kind_has_its_statistics() -> None:
    series, known = CustomSeries(), (ORDERS, QUEUE, SIZE)
    second(series, 10.0, known, orders=(3.0, 1.0), queue_length=(7.0,), cart_size=(0.5, 0.5, 0.5))
    second(series, 12.0, known)
    second(series, 14.0, known, orders=(1.0,), queue_length=(9.0, 2.0))
    rows = {each.id: each for each in series.metrics()}
    assert [(each.title, each.labels, each.unit) for each in rows.values()] == [
        ("cart_size, p50", "", "seconds"),
        ("cart_size, p95", "", "seconds"),
        ("cart_size, p99", "", "seconds"),
        ("cart_size, values per second", "", "per_second"),
        ("orders, per second", "tier=gold", "per_second"),
        ("queue_length (items)", "", "number"),
    ]
    found = {each.id: each for each in series.since(list(rows), 0.0)}
    assert all(each.time_s == [10.0, 12.0, 14.0] for each in found.values())
    assert found['orders{tier="gold"}|per second'].values == [2.0, 0.0, 0.5]
    assert found["queue_length|last"].values == [7.0, 7.0, 2.0]
    assert found["cart_size|p95"].values == [pytest.approx(0.5, rel=0.011), None, None]
    assert found["cart_size|values per second"].values == [1.5, 0.0, 0.0]
    later = series.since(["queue_length|last", "unknown"], 12.0)
    assert [(each.id, each.time_s, each.values) for each in later] == [("queue_length|last", [14.0], [2.0])]


def test_memory_is_bounded_and_no_peak_and_no_sum_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_POINTS", 16)
    monkeypatch.setattr(module, "MAX_SERIES", 2)
    series = CustomSeries()
    further = CustomKey("z_further", CustomKind.COUNTER)
    for number in range(100):
        values = (50.0,) if number == 40 else (1.0,)
        second(series, float(number), (ORDERS, QUEUE, further), orders=(float(number % 2),), queue_length=values)
    assert [each.name for each in series.metrics()] == ["orders", "queue_length"]
    orders, queue = series.since([each.id for each in series.metrics()], -1.0)
    assert 8 <= len(queue.values) <= 16
    assert max(each for each in queue.values if each is not None) == 50.0
    assert queue.time_s == sorted(queue.time_s)
    assert queue.time_s[-1] == 99.0
    # Half of the seconds have one order in 2 s.
    assert [each for each in orders.values if each is not None][:4] == [0.25] * 4

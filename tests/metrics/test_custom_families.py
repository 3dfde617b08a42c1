"""A load test's own metrics in all exposition formats, and over a reset of the statistics."""

from collections.abc import Callable

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from obswarm.api import Environment, Events
from obswarm.engine import Ramp
from obswarm.metrics import SnapshotRegistry
from obswarm.metrics.pushed_series import PushedSeries
from obswarm.stats import CustomKey, CustomKind, CustomSeries, Recorder
from tests.metrics.test_exposition import PROMETHEUS_CLASSIC, PROMETHEUS_NATIVE, Nobody, delimited, scrape
from tests.support.runs import local_run

GOLD = CustomKey("orders", CustomKind.COUNTER, "orders", (("tier", 'g"old'),))
QUEUE = CustomKey("queue", CustomKind.GAUGE)
CART = CustomKey("cart_size", CustomKind.HISTOGRAM, "items")


def recorded() -> CustomSeries:
    custom = CustomSeries()
    custom.series(GOLD).add(2.5)
    custom.series(QUEUE).set(-4.0, 1.0)
    for value in (0.0, 1.0, 3.0, 7.0, 2e9):
        custom.series(CART).record(value)
    return custom


@pytest.fixture
def latest() -> SnapshotRegistry:
    environment = Environment(events=Events(), recorder=Recorder(custom=recorded()), user_classes=[Nobody])
    stored = SnapshotRegistry()
    stored.snapshot(local_run(environment, Ramp(1, 1)).latest())
    return stored


@pytest.mark.parametrize(("accept", "parse"), [("", parse_text), (PROMETHEUS_CLASSIC, parse_openmetrics)])
def test_text_formats_have_them(latest: SnapshotRegistry, accept: str, parse: Callable) -> None:
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in parse(scrape(latest, accept)[1].decode())
        if family.name.startswith("obswarm_custom_")
        for sample in family.samples
    }
    assert found["obswarm_custom_orders_total", ("tier", 'g"old')] == 2.5
    assert found["obswarm_custom_queue",] == -4.0
    buckets = [found["obswarm_custom_cart_size_bucket", ("le", le)] for le in ("0.0", "0.001", "2.0", "5.0", "1e+09")]
    assert buckets == [1, 1, 2, 3, 4]
    assert found["obswarm_custom_cart_size_bucket", ("le", "+Inf")] == found["obswarm_custom_cart_size_count",] == 5
    assert found["obswarm_custom_cart_size_sum",] == 2e9 + 11


def test_the_protobuf_format_has_native_histograms_of_them(latest: SnapshotRegistry) -> None:
    found = {family.name: family for family in delimited(scrape(latest, PROMETHEUS_NATIVE)[1])}
    histogram = found["obswarm_custom_cart_size"].metric[0].histogram
    assert (histogram.sample_count, histogram.sample_sum, histogram.schema) == (5, 2e9 + 11, 5)
    assert sum(span.length for span in histogram.positive_span) == 5
    assert found["obswarm_custom_cart_size"].help == "Of the load test, in items."
    assert found["obswarm_custom_orders_total"].metric[0].counter.value == 2.5


def test_remote_write_pushes_them(latest: SnapshotRegistry) -> None:
    pushed = b"".join(each.encoded for each in PushedSeries({}).encode(latest.families(), "i", 2e9))
    for name in (b"obswarm_custom_orders_total", b"obswarm_custom_queue", b"obswarm_custom_cart_size_bucket"):
        assert name in pushed


def test_counters_go_on_after_a_reset_of_the_statistics() -> None:
    custom = recorded()
    environment = Environment(events=Events(), recorder=Recorder(custom=custom), user_classes=[Nobody])
    run = local_run(environment, Ramp(1, 1))
    stored = SnapshotRegistry()
    stored.snapshot(run.latest())
    run.statistics.reset(run.statistics.started_s + 5)
    custom.series(GOLD).add(1.0)
    custom.series(CART).record(3.0)
    stored.snapshot(run.latest())
    values = {metric.name: list(samples) for metric, samples in stored.families()}
    assert values["obswarm_custom_orders_total"][0].value == 3.5
    assert values["obswarm_custom_cart_size"][0].histogram.count == 6


def test_series_that_contradict_each_other_do_not_spoil_the_exposition() -> None:
    custom = recorded()
    custom.series(CustomKey("orders", CustomKind.GAUGE)).set(1.0, 1.0)
    custom.series(GOLD._replace(labels=(("other", "x"),))).add(1.0)
    environment = Environment(events=Events(), recorder=Recorder(custom=custom), user_classes=[Nobody])
    stored = SnapshotRegistry()
    stored.snapshot(local_run(environment, Ramp(1, 1)).latest())
    families = [family.name for family in parse_openmetrics(scrape(stored, PROMETHEUS_CLASSIC)[1].decode())]
    assert len(families) == len(set(families))

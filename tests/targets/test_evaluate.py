"""The embedded subset of PromQL, over series of the test's own."""

import math

import pytest

from obswarm.api import ObswarmError
from obswarm.targets import KINDS
from obswarm.targets.evaluate import evaluate, metric_names, parse
from obswarm.targets.series import SeriesStore


@pytest.fixture
def store() -> SeriesStore:
    made = SeriesStore(300, None)
    for second in range(21):
        made.add("requests_total", {"code": "200", "host": "a"}, second, second * 10.0)
        made.add("requests_total", {"code": "500", "host": "a"}, second, second * 2.0)
        made.add("requests_total", {"code": "200", "host": "b"}, second, (second % 11) * 5.0)
        for bound, share in (("0.1", 0.5), ("0.5", 0.9), ("1", 1.0), ("+Inf", 1.0)):
            made.add("latency_bucket", {"le": bound}, second, second * 100 * share)
        made.add("gone", {}, second if second < 10 else 0, 1.0)
    made.add("busy", {"host": "a"}, 20, 6.0)
    made.add("busy", {"host": "b"}, 20, 2.0)
    made.add("workers", {"host": "a"}, 20, 8.0)
    made.add("workers", {"host": "c"}, 20, 8.0)
    return made


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("busy", {"a": 6, "b": 2}),
        ('busy{host="a"}', {"a": 6}),
        ('busy{host!="a"}', {"b": 2}),
        ('busy{host=~"a|c"}', {"a": 6}),
        ('busy{host!~"a.*"}', {"b": 2}),
        ("sum(busy)", {"": 8}),
        ("avg(busy)", {"": 4}),
        ("max(busy)", {"": 6}),
        ("min(busy)", {"": 2}),
        ("count(busy)", {"": 2}),
        ("sum by (host) (busy)", {"a": 6, "b": 2}),
        ("sum without (host) (busy)", {"": 8}),
        ("busy / workers", {"a": 0.75}),
        ("busy * 2 + 1", {"a": 13, "b": 5}),
        ("1 - busy / 8", {"a": 0.25, "b": 0.75}),
        ("-busy", {"a": -6, "b": -2}),
        ("2 * (3 + 4)", {"": 14}),
        ('sum(rate(requests_total{host="a"}[10s]))', {"": 12}),
        ('increase(requests_total{host="a",code="500"}[10s])', {"a": 20}),
        ("sum by (host) (rate(requests_total[20s]))", {"a": 12, "b": 4.75}),
        ("histogram_quantile(0.5, sum by (le) (rate(latency_bucket[10s])))", {"": 0.1}),
        ("histogram_quantile(0.7, rate(latency_bucket[10s]))", {"": 0.3}),
        ("histogram_quantile(0.95, rate(latency_bucket[10s]))", {"": 0.75}),
        ("nothing", {}),
        ("gone", {}),
    ],
)
def test_what_prometheus_would_say(store: SeriesStore, query: str, expected: dict[str, float]) -> None:
    found = {sample.labels.get("host", ""): sample.value for sample in evaluate(parse(query), store, 20.0)}
    assert found == pytest.approx(expected)


def test_dividing_by_nothing_is_no_number(store: SeriesStore) -> None:
    assert [math.isnan(sample.value) for sample in evaluate(parse("0 * sum(busy) / 0"), store, 20.0)] == [True]
    assert [sample.value for sample in evaluate(parse("sum(busy) / 0"), store, 20.0)] == [math.inf]


@pytest.mark.parametrize(
    "query",
    [
        "topk(3, x)", "x offset 5m", "x @ 5", "x or y", "x / on(a) y", "avg_over_time(x[5s])", "abs(x)", "x > 3", "rate(x[1h])",
        '{__name__="x"}', "x{a=\"1\" or b=\"2\"}", "max_over_time(rate(x[5s])[1m:1s])",
    ],
)  # fmt: skip
def test_beyond_the_subset_there_is_a_sentence_that_says_what_to_do(query: str) -> None:
    with pytest.raises(ObswarmError, match="set prometheus_url"):
        parse(query)


@pytest.mark.parametrize("query", ["sum(", "x{", "rate(x)", "5 5"])
def test_what_is_no_promql_is_said(query: str) -> None:
    with pytest.raises(ObswarmError, match="is not PromQL"):
        parse(query)


def test_every_query_of_every_kind_is_within_the_subset() -> None:
    for signals in KINDS.values():
        for signal in signals:
            assert metric_names(parse(signal.query))


def test_old_points_are_forgotten_and_unwanted_metrics_not_kept() -> None:
    store = SeriesStore(10, frozenset({"a"}))
    for second in range(100):
        store.add("a", {}, second, second)
        store.add("b", {}, second, second)
    assert store.metric_names == ["a"]
    ((_, points),) = store.range("a", 99, 1000)
    assert len(points) == 11

"""PromQL, over series of the test's own. tests/integration/targets/test_differential.py asks a real Prometheus as well."""

import math

import pytest

from obswarm.api import ObswarmError
from obswarm.targets import KINDS, SourceError
from obswarm.targets.evaluate import evaluate, lookback_s, metric_names, parse, parse_any
from obswarm.targets.series import SeriesStore


@pytest.fixture
def store() -> SeriesStore:
    made = SeriesStore(300, None)
    for second in range(21):
        made.add("requests_total", {"code": "200", "host": "a"}, second, second * 10.0)
        made.add("requests_total", {"code": "500", "host": "a"}, second, second * 2.0)
        made.add("requests_total", {"code": "200", "host": "b"}, second, (second % 11) * 5.0)
        made.add("nan_total", {}, second, math.nan if second < 15 else second * 10.0)
        made.add("line", {"path": "one\ntwo"}, second, 1.0)
        made.add("line", {"path": "é1"}, second, 2.0)
        for bound, share in (("0.1", 0.5), ("0.5", 0.9), ("1", 1.0), ("+Inf", 1.0)):
            made.add("latency_bucket", {"le": bound}, second, second * 100 * share)
        made.append("gone", (), second, 1.0 if second < 10 else None)
        made.add("odd_bucket", {"le": "junk"}, second, 7.0)
    for bound, count in (("1", 2), ("1.0", 2), ("2", 3), ("4", 8), ("+Inf", 8)):
        made.add("odd_bucket", {"le": bound}, 20, count)
    made.add("busy", {"host": "a"}, 20, 6.0)
    made.add("busy", {"host": "b"}, 20, 2.0)
    made.add("workers", {"host": "a"}, 20, 8.0)
    made.add("workers", {"host": "c"}, 20, 8.0)
    made.add("mixed", {"host": "a"}, 20, math.nan)
    made.add("mixed", {"host": "b"}, 20, 3.0)
    return made


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("busy", {"a": 6, "b": 2}),
        ("gone", {}),
        ("count_over_time(gone[20s])", {"": 9}),
        ("gone offset 11s", {"": 1}),
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
        ("sum by (host) (rate(requests_total[20s]))", {"a": 12, "b": 90 / 19}),
        ("histogram_quantile(0.5, sum by (le) (rate(latency_bucket[10s])))", {"": 0.1}),
        ("histogram_quantile(0.7, rate(latency_bucket[10s]))", {"": 0.3}),
        ("histogram_quantile(0.95, rate(latency_bucket[10s]))", {"": 0.75}),
        ("nothing", {}),
        # Two samples in the range, a second apart: what is between them counts for two seconds.
        ('increase(requests_total{host="a",code="200"}[2s])', {"a": 20}),
        ("max(mixed)", {"": 3}),
        ("min(mixed)", {"": 3}),
        ("rate(nan_total[4s])", {"": 10}),
        ('line{path=~"one.two"}', {"": 1}),
        ('line{path=~"\\\\p{L}[[:digit:]]"}', {"": 2}),
        ('line{path=~"é1\\\\z"}', {"": 2}),
        ("histogram_quantile(-1, odd_bucket)", {"": -math.inf}),
        ("histogram_quantile(2, odd_bucket)", {"": math.inf}),
        ("histogram_quantile(0, odd_bucket)", {"": 0}),
        ("histogram_quantile(1, odd_bucket)", {"": 4}),
        ("requests_total offset 19s > on (host) group_left () workers", {"a": 10}),
        ("busy > 3", {"a": 6}),
        ("busy > bool 3", {"a": 1, "b": 0}),
        ("time() - timestamp(busy)", {"a": 0, "b": 0}),
        ("max_over_time(sum(increase(requests_total[2s]))[5s:1s])", {"": 34}),
        ('label_replace(busy, "host", "$1$1", "host", "(.)")', {"aa": 6, "bb": 2}),
        ('sum by (host) ({__name__="busy"})', {"a": 6, "b": 2}),
    ],
)
def test_values_are_those_of_prometheus(store: SeriesStore, query: str, expected: dict[str, float]) -> None:
    found = {sample.labels.get("host", ""): sample.value for sample in evaluate(parse(query), store, 20.0)}
    assert found == pytest.approx(expected)


def test_division_by_zero_is_nan_or_infinite(store: SeriesStore) -> None:
    assert [math.isnan(sample.value) for sample in evaluate(parse("0 * sum(busy) / 0"), store, 20.0)] == [True]
    assert [sample.value for sample in evaluate(parse("sum(busy) / 0"), store, 20.0)] == [math.inf]


def test_time_is_wall_time(store: SeriesStore) -> None:
    (found,) = evaluate(parse("time() - timestamp(busy)"), store, 23.0, 1_700_000_003.0)[:1]
    assert found.value == 3.0
    (now,) = evaluate(parse("time()"), store, 23.0, 1_700_000_003.0)
    assert now.value == 1_700_000_003.0


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("x offset 6m", "samples from more than 5m ago"),
        ("rate(x[1h])", "samples from more than 5m ago"),
        ("max_over_time(rate(x[3m])[3m:1s])", "samples from more than 5m ago"),
        ("x @ 5", "@"),
        ("sum_over_time(x[5s:1s] @ 5)", "@"),
        ("limitk(3, x)", "limitk()"),
        ("1 + sum(hour(x))", "hour()"),
        ('{__name__=~"x"}', "a selector without a metric name"),
        ('x{a="1" or b="2"}', "or between matchers"),
        ("max_over_time(x[1m:])", "a subquery without a step"),
        ("max_over_time(x[1m:100ms])", "more than 300 steps"),
        ("max_over_time(sum_over_time(x[30s:1s])[20s:1s])", "more than 300 steps"),
        ("x + on () fill (0) y", "fill()"),
        ("(" * 2_000 + "x" + ")" * 2_000, "more than 100 nested expressions"),
    ],
)
def test_an_unsupported_query_is_refused_with_the_name_of_the_part(query: str, part: str) -> None:
    with pytest.raises(ObswarmError) as raised:
        parse(query)
    assert f"uses {part}" in str(raised.value)
    assert "set prometheus_url" in str(raised.value)
    parse_any(query)


@pytest.mark.parametrize(
    ("query", "part"),
    [
        (r"pg_up{job=~`\w+`}", "a backslash between back-quotes"),
        ('x{a=`\\"\n`, b!~`\\d`}', "a backslash between back-quotes"),
        (r"sum(x{a=`\`}) > 1", "a backslash between back-quotes"),
        ("x > 1_000", "an underscore in a number"),
        ("x * 0x_1_f + 1_0.2_5e+1_0", "an underscore in a number"),
        (r'x{a=~"\\Qa.b\\E", b!~"c"}', r'the pattern "\\Qa.b\\E"'),
        (
            r"x{a!~`\Qa\E`} > 1_0",
            r"a backslash between back-quotes and the pattern `\Qa\E` and an underscore in a number",
        ),
    ],
)
def test_promql_that_only_prometheus_can_parse_is_told_from_invalid_promql(query: str, part: str) -> None:
    with pytest.raises(ObswarmError) as raised:
        parse(query)
    assert str(raised.value) == (
        f"promql({query}) uses {part}, which obswarm does not support itself."
        " With a Prometheus any PromQL works: set prometheus_url."
    )


@pytest.mark.parametrize(
    "query",
    [
        "sum(", "x{", "rate(x)", "5 5", r'x{a=~"\d"}', "x > 1__0", "x > 1_", "x[1_0s]", r"sum(x{a=`\w`}", 'x{a=~"("}',
        "x > 1_000 +", 'x{a="1_000} > 2', "x # 1_000\n +", r"x{a=~`\Q(\E(`}",
    ],
)  # fmt: skip
def test_text_that_is_not_promql_is_refused(query: str) -> None:
    with pytest.raises(ObswarmError, match="is not PromQL"):
        parse(query)


@pytest.mark.parametrize("query", ["x[10s]", "(x[10s])", "x[10s:1s]", "x[10s] offset 5s", '"text"'])
def test_queries_that_return_no_numbers_are_refused_with_any_source(query: str) -> None:
    with pytest.raises(ObswarmError, match="it has to return numbers|it needs a function that returns numbers"):
        parse_any(query)
    with pytest.raises(ObswarmError, match="it has to return numbers|it needs a function that returns numbers"):
        parse(query)


@pytest.mark.parametrize(
    "query", ['x{a=~"("}', 'x{a!~"[[:nonsense:]]"}', 'x{a=~"(?=b)"}', 'label_replace(x, "a", "$1", "b", "(")']
)
def test_an_invalid_pattern_is_refused_before_the_run(query: str) -> None:
    with pytest.raises(ObswarmError, match=r"is not a regular expression|illegal regex"):
        parse(query)


@pytest.mark.parametrize(
    "query", ['label_replace(x, "", "$1", "b", "c")', 'label_join(x, "", "-", "a")', 'count_values("", x)']
)
def test_an_empty_label_name_is_refused_before_the_run(query: str) -> None:
    with pytest.raises(ObswarmError, match="needs the name of the label"):
        parse(query)


@pytest.mark.parametrize(
    "query",
    [
        "requests_total / on (host) busy",
        "busy / on () busy",
        'label_replace(busy, "host", "x", "", "")',
        "topk(NaN, busy)",
    ],
)
def test_ambiguous_matching_raises_source_error(store: SeriesStore, query: str) -> None:
    with pytest.raises(SourceError):
        evaluate(parse(query), store, 20.0)


def test_a_subquery_yields_between_its_steps(store: SeriesStore) -> None:
    steps = []
    tree = parse("sum_over_time(busy[10s:2s]) + max_over_time(busy[10s:5s])")
    evaluate(tree, store, 20.0, 20.0, lambda: steps.append(1))
    assert len(steps) == 5 + 2


def test_every_query_of_every_kind_is_evaluated() -> None:
    for kind in KINDS.values():
        for signal in kind.metrics:
            assert metric_names(parse(signal.query))


def test_metric_names_of_all_selectors_are_returned() -> None:
    query = 'topk(scalar(a), b) + on () {__name__="c"} or max_over_time(d[5s:1s]) > absent(e) or {"f"}'
    assert metric_names(parse(query)) == {"a", "b", "c", "d", "e", "f"}


@pytest.mark.parametrize(
    ("query", "seconds"),
    [("x", 0), ("x offset 5s", 5), ("rate(x[5s] offset 10s)", 15), ("a + sum_over_time(rate(x[5s])[1m:1s] offset 1m)", 125), ("x[", 0), ("-" * 2_000 + "x", 0),
     ("sum_over_time({__name__=~`x\\d`}[1m30s] offset 5s)", 95), ("rate({__name__=~`x\\d`}[1m:5s] offset -5s)", 65)],
)  # fmt: skip
def test_lookback_of_a_query(query: str, seconds: float) -> None:
    assert lookback_s(query) == seconds


def test_old_samples_and_unneeded_metrics_are_dropped() -> None:
    store = SeriesStore(10, frozenset({"a"}))
    for second in range(100):
        store.add("a", {}, second, second)
        store.add("b", {}, second, second)
    assert store.metric_names == ["a"]
    ((_, points),) = store.range("a", 99, 1000)
    assert len(points) == 11

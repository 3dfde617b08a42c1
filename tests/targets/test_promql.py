"""What a Prometheus knows of targets, without one: its answers are the test's own."""

import re
from collections.abc import Mapping

import gevent
import pytest

from obswarm.targets import PrometheusSource, Sample, SourceError, Target, queries_of
from obswarm.targets.prometheus_reasons import PrometheusReasons
from obswarm.targets.source import only_value
from tests.support.patience import HANG_S


def source(monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, list[Sample]], *targets: Target) -> PrometheusSource:
    made = PrometheusSource("http://127.0.0.1:1", targets)
    monkeypatch.setattr(made, "query", lambda text: answers.get(text, []))
    monkeypatch.setattr(
        made, "metric_values", lambda queries: [only_value(answers.get(query, [])) for query in queries]
    )
    return made


def test_a_job_with_two_kinds_is_two_targets_each_with_its_own_series(monkeypatch: pytest.MonkeyPatch) -> None:
    ups = [
        Sample({"job": "shop", "kind": kind, "instance": "x"}, 1.0) for kind in ("app", "mysql", "app", "a stranger")
    ]
    found = source(monkeypatch, {'up{kind!=""}': ups}).targets()
    assert [(target.name, target.kind) for target in found] == [("shop", "app"), ("shop", "mysql")]
    (memory,) = [
        query for target, signal, query in queries_of(found) if (target.kind, signal.name) == ("app", "memory")
    ]
    assert memory == 'sum(process_resident_memory_bytes{job="shop", kind="app"})'


def test_without_kind_labels_targets_are_found_by_their_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "count by (job) (http_request_duration_seconds_count)": [Sample({"job": "shop"}, 2.0)],
        "count by (job) (redis_commands_processed_total)": [Sample({"job": "a"}, 1.0), Sample({"job": "b"}, 1.0)],
    }
    found = source(monkeypatch, answers).targets_by_metrics()
    assert found == [Target("shop", "", "app"), Target("a", "", "redis"), Target("b", "", "redis")]
    files = [query for _, signal, query in queries_of(found) if signal.name == "open files"]
    assert files == ['sum(process_open_fds{job="shop"})'], "no exporter's"


@pytest.mark.parametrize(
    ("values", "is_up", "state"), [([1.0], True, "up"), ([0.0], False, "down"), ([], False, "unknown")]
)
def test_a_job_is_up_if_all_its_instances_are(
    monkeypatch: pytest.MonkeyPatch, values: list[float], is_up: bool, state: str
) -> None:
    answers = {'min(up{job="shop"})': [Sample({}, value) for value in values]}
    (health,) = source(monkeypatch, answers, Target("shop", "http://127.0.0.1:1", "app")).health()
    assert health.up is is_up
    assert health.detail == f"job shop: {state}, by http://127.0.0.1:1"


def test_a_job_without_metrics_of_its_kind_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    redis, other = Target("cache", "http://127.0.0.1:1", "redis"), Target("other", "http://127.0.0.1:1", "redis")
    names = (
        "redis_blocked_clients|redis_commands_processed_total|redis_connected_clients|redis_evicted_keys_total"
        "|redis_memory_used_bytes"
    )
    answers = {
        **{f'min(up{{job="{job}"}})': [Sample({}, 1.0)] for job in ("cache", "other")},
        f'count({{__name__=~"{names}", job="cache"}})': [Sample({}, 4.0)],
    }
    found = source(monkeypatch, answers, redis, other).health()
    assert [(each.up, each.has_metrics) for each in found] == [(True, True), (True, False)]


def test_a_prometheus_that_does_not_respond_is_its_own_health_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    made = PrometheusSource("http://127.0.0.1:1")

    def refuse(text: str) -> list[Sample]:
        raise SourceError("Prometheus at http://127.0.0.1:1 does not answer: Connection refused")

    monkeypatch.setattr(made, "query", refuse)
    (health,) = made.health()
    assert (health.target.name, health.up, health.has_metrics) == ("prometheus", False, False)
    assert "does not answer" in health.detail


def test_reasons_are_searched_for_in_the_background() -> None:
    requested: list[str] = []
    answers = {
        "count by (job) (up)": [Sample({"job": "db"}, 1.0), Sample({"job": "app"}, 2.0), Sample({"job": "x"}, 1.0)],
        "up == 0": [
            Sample({"job": "db", "instance": "a:1", "kind": "mysql"}, 0.0),
            Sample({"job": "x", "instance": "b:1"}, 0.0),
        ],
        'count by (job, __name__) (last_over_time({__name__=~"old"}[15m]))': [
            Sample({"__name__": "old", "job": "db"}, 1.0)
        ],
    }

    def ask(query: str) -> list[Sample]:
        requested.append(query)
        if "refused" in query:
            raise SourceError("no")
        return answers.get(query, [])

    reasons = PrometheusReasons(ask, lambda: [Target("db", "http://127.0.0.1:1", "mysql")])
    down = "the target db is down: up is 0 at a:1"
    expected = {
        "old": down,
        "max(mysql_global_status_threads_running)": down,
        "sum(other)": f"no target has a metric other; {down}",
        "refused": "",
    }
    assert [reasons.get(query) for query in expected] == [""] * 4
    gevent.joinall(list(reasons._searches.values()), timeout=HANG_S)
    count = len(requested)
    assert {query: reasons.get(query) for query in expected} == expected
    assert len(requested) == count, "not again so soon"
    reasons.close()


def test_while_prometheus_does_not_respond_its_targets_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    up = {'up{kind!=""}': [Sample({"job": "db", "kind": "mysql", "instance": "x"}, 1.0)]}
    made = source(monkeypatch, up)
    made.health()

    def refuse(text: object) -> list[Sample]:
        raise SourceError("it is away")

    monkeypatch.setattr(made, "query", refuse)
    (health,) = made.health()
    assert (health.target.name, health.target.kind, health.up, health.detail) == ("db", "mysql", False, "it is away")


@pytest.mark.parametrize(
    ("query", "present", "filters"),
    [
        ("x == 0", ["count(x)"], True),
        ("x == 0", [], False),
        ("count(up == 0) > 0", ["count(up)"], True),
        ('a{b="\\""} > 1 and on (c) rate(d[5s]) < 2', ['count(a{b="\\""})', "count(rate(d[5s]))"], True),
        ('a{b="\\""} > 1 and on (c) rate(d[5s]) < 2', ["count(rate(d[5s]))"], False),
        ("absent(x)", [], True),
        ("x", ["count(x)"], False),
        ("what only Prometheus reads == 0", [], False),
    ],
)
def test_a_query_without_series_filters_what_there_is_or_lacks_it(
    monkeypatch: pytest.MonkeyPatch, query: str, present: list[str], filters: bool
) -> None:
    made = PrometheusSource("http://127.0.0.1:1")
    requested_at: set[float | None] = set()

    def ask(text: str, at_s: float | None, _: int) -> list[Sample]:
        requested_at.add(at_s)
        return [
            Sample({"obswarm_number": number}, 1.0)
            for part, number in re.findall(r'label_replace\((.*?), "obswarm_number", "(\d+)"', text)
            if part in present
        ]

    monkeypatch.setattr(made, "_query", ask)
    assert made.filters_all(query, 7.0) is filters
    assert requested_at <= {7.0}

"""The figures of each kind: over the series of one target alone, in the order of the request's way."""

import re

import pytest
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from obswarm.demo.site import Metrics
from obswarm.targets import KIND_TITLES, KINDS, Target, TargetMetric, sort_key_of, title_of
from obswarm.targets.evaluate import evaluate, metric_names, parse
from obswarm.targets.series import SeriesStore

EVERY = [(kind, signal) for kind, metrics in KINDS.items() for signal in metrics]
every = pytest.mark.parametrize(("kind", "signal"), EVERY, ids=[f"{kind}: {signal.name}" for kind, signal in EVERY])


@every
@pytest.mark.parametrize("has_kind_label", [False, True])
def test_metrics_of_other_jobs_with_the_same_names_are_excluded(
    kind: str, signal: TargetMetric, has_kind_label: bool
) -> None:
    store = SeriesStore(300, None)
    others = [{"job": "else", "kind": kind}, *([{"job": 'a "b"', "kind": "other"}] if has_kind_label else [])]
    names = metric_names(parse(signal.query))
    for labels in ({"job": 'a "b"', "kind": kind}, *others):
        for name in names:
            for number, mode in enumerate(("idle", "busy")):
                for second in range(10):
                    shared = {"mode": mode, "code": "5xx", "state": "active", "name": "c", "number": str(number)}
                    store.add(name, {**labels, **shared}, second, second * (1000.0 if labels in others else 2.0))
    query = signal.of(Target('a "b"', "", kind, has_kind_label))
    (found,) = evaluate(parse(query), store, 9.0)
    assert metric_names(parse(query)) == names
    assert 0 < found.value <= 2 * 2 * 9


def test_slices_that_contain_the_containers_are_not_added_to_them() -> None:
    for signal in KINDS["cadvisor"]:
        selectors = re.findall(r"container_\w+(\{[^}]*\})?", signal.query)
        assert set(selectors) == {'{name!=""}'}, signal


def test_kinds_and_metrics_are_in_the_order_of_the_request_path() -> None:
    assert list(KINDS) == ["haproxy", "nginx", "uwsgi", "app", "mysql", "postgres", "redis", "node", "cadvisor"]
    assert list(KIND_TITLES) == list(KINDS)
    assert (
        sort_key_of("haproxy")
        < sort_key_of("app")
        < sort_key_of("mysql", "queries")
        < sort_key_of("mysql", "slow queries")
    )
    assert sort_key_of("mysql", "of an earlier version") < sort_key_of("node") < sort_key_of("a kind of later")
    assert (title_of("redis", "redis"), title_of("sessions", "redis")) == ("Redis", "Redis: sessions")
    assert title_of("x", "of later") == "of later: x"


def test_the_client_library_and_the_demo_export_every_metric_of_kind_app() -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    Histogram("http_request_duration_seconds", "What instrumentations of HTTP servers call it", registry=registry)
    demo = Metrics(1)
    demo.database.labels("read").observe(0.01)
    page = (generate_latest(registry) + generate_latest(demo.registry)).decode()
    exported = {sample.name for family in text_string_to_metric_families(page) for sample in family.samples}
    for signal in KINDS["app"]:
        assert metric_names(parse(signal.query)) <= exported, signal

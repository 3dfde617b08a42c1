"""The figures of each kind: over the series of one target alone, in the order of the request's way."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from obswarm.api import ObswarmError
from obswarm.demo.site import Metrics
from obswarm.targets import KINDS, LAYERS, Target, TargetMetric, kind_of_table, sort_key_of, title_of
from obswarm.targets.evaluate import evaluate, metric_names, parse
from obswarm.targets.kinds import ANY, BUILT_IN, Kinds
from obswarm.targets.series import SeriesStore
from tests.support.contest import FOLDER as CONTEST

EVERY = [(name, signal) for name, kind in KINDS.items() for signal in kind.metrics]
every = pytest.mark.parametrize(("kind", "signal"), EVERY, ids=[f"{kind}: {signal.name}" for kind, signal in EVERY])


@every
@pytest.mark.parametrize("has_kind_label", [False, True])
def test_metrics_of_other_jobs_with_the_same_names_are_excluded(
    kind: str, signal: TargetMetric, has_kind_label: bool
) -> None:
    store = SeriesStore(300, None)
    # What its matchers ask for, in each of its series.
    matched = dict(re.findall(r'(\w+)="([^"]*)"', signal.query)) | {"name": "c"}
    matched |= {name: value.replace(".", "0") for name, value in re.findall(r'(\w+)=~"([^"]*)"', signal.query)}
    others = [{"job": "else", "kind": kind}, *([{"job": 'a "b"', "kind": "other"}] if has_kind_label else [])]
    names = metric_names(parse(signal.query))
    for labels in ({"job": 'a "b"', "kind": kind}, *others):
        for name in names:
            for number, mode in enumerate(("idle", "busy")):
                for second in range(10):
                    shared = {**matched, "number": str(number), **({"mode": mode} if "mode" in matched else {})}
                    store.add(name, {**labels, **shared}, second, second * (1000.0 if labels in others else 2.0))
    query = signal.of(Target('a "b"', "", kind, has_kind_label))
    (found,) = evaluate(parse(query), store, 9.0)
    assert metric_names(parse(query)) == names
    assert 0 < found.value <= 2 * 2 * 9


def test_slices_that_contain_the_containers_are_not_added_to_them() -> None:
    for signal in KINDS["cadvisor"].metrics:
        selectors = re.findall(r"container_\w+(\{[^}]*\})?", signal.query)
        assert set(selectors) == {'{name!=""}'}, signal


def test_kinds_and_metrics_are_in_the_order_of_the_request_path() -> None:
    order = ["haproxy", "nginx", "uwsgi", "app", "pgbouncer", "mysql", "postgres", "redis", "node", "cadvisor"]
    assert [kind for kind in KINDS if kind in order] == order
    assert len(KINDS) == len(list(KINDS)) >= 20
    assert (
        sort_key_of("haproxy")
        < sort_key_of("app")
        < sort_key_of("mysql", "queries")
        < sort_key_of("mysql", "slow queries")
    )
    assert sort_key_of("mysql", "of an earlier version") < sort_key_of("node") < sort_key_of("a kind of later")
    assert (title_of("redis", "redis"), title_of("sessions", "redis")) == ("Redis", "Redis: sessions")
    assert title_of("x", "of later") == "of later: x"


_CONTEST = """
import os
import prometheus_client
import telemetry
from processor import CpuOfCluster

prometheus_client.REGISTRY.register(CpuOfCluster(os.getpid()))
telemetry.DEPENDENCY_DURATION.labels("checker").observe(0.01)
print(prometheus_client.generate_latest().decode())
"""


def test_the_client_library_the_demo_and_the_contest_export_every_metric_of_kind_app() -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    Histogram("http_request_duration_seconds", "What instrumentations of HTTP servers call it", registry=registry)
    demo = Metrics(1)
    demo.database.labels("read").observe(0.01)
    contest = subprocess.run(
        [sys.executable, "-B", "-c", _CONTEST], cwd=CONTEST / "app", capture_output=True, text=True, check=True
    )
    page = (generate_latest(registry) + generate_latest(demo.registry)).decode() + contest.stdout
    families = list(text_string_to_metric_families(page))
    exported = {sample.name for family in families for sample in family.samples}
    # Without labels, a counter has a value only once it has counted.
    exported |= {f"{family.name}_total" for family in families if family.type == "counter"}
    for signal in KINDS["app"].metrics:
        assert metric_names(parse(signal.query)) <= exported, signal


def test_every_file_of_a_kind_is_a_kind() -> None:
    folder = Path(inspect.getfile(Kinds)).parent / "kind_files"
    assert {file.stem for file in folder.glob("*")} == set(BUILT_IN)


@every
def test_what_a_metric_means_is_complete(kind: str, signal: TargetMetric) -> None:
    """A limit is that of a utilisation; a cause has something to look at."""
    assert (signal.limit is not None) == (signal.meaning == "utilisation")
    if isinstance(signal.limit, str):
        limit = KINDS[kind].metric(signal.limit)
        assert limit is not None
        assert limit.unit == signal.unit
    if signal.meaning in ("utilisation", "saturation", "errors"):
        assert signal.next
    assert not signal.next.endswith(".")
    assert KINDS[kind].layer in LAYERS


@pytest.mark.parametrize(("query", "window_s"), [("sum(x)", 0), ("sum(rate(x[15s])) / sum(rate(y[5s]))", 15)])
def test_the_window_of_a_rate_is_known(query: str, window_s: float) -> None:
    assert TargetMetric("x", query, "number").window_s == window_s


METRIC = {"name": "jobs waiting", "query": "sum(jobs_waiting)", "unit": "number"}
KIND = {"name": "jobs", "layer": "broker", "metrics": [METRIC]}


def test_a_kind_of_ones_own_is_added() -> None:
    kinds = Kinds()
    made = kind_of_table("", {**KIND, "title": "Job runner", "metrics": [{**METRIC, "meaning": "saturation"}]})
    kinds.add([made])
    assert kinds["jobs"].title == "Job runner"
    assert "jobs" in kinds
    assert list(kinds)[-2:] == ["jobs", ANY]
    assert len(kinds) == len(BUILT_IN) + 2
    assert kind_of_table("", KIND).title == "jobs"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**KIND, "nmae": "x"}, "at: unknown key 'nmae'. Did you mean name?"),
        ({**KIND, "zzz": "x"}, "at: unknown key 'zzz'. Known keys: name, title,"),
        ({**KIND, "layer": "front"}, "at: layer is 'front'; it has to be one of balancer, server,"),
        ({"name": "jobs", "metrics": [METRIC]}, "at: layer is missing; it is one of balancer,"),
        ({"layer": "broker", "metrics": [METRIC]}, "at: name is missing."),
        ({**KIND, "metrics": []}, "at: metrics are missing; write each as a table [[kinds.metrics]]."),
        ({**KIND, "title": 5}, "at: title is 5; it has to be a text."),
        ({**KIND, "is_runtime": 1}, "at: is_runtime is 1; it has to be true or false."),
        ({**KIND, "metrics": [{**METRIC, "unit": "ms"}]}, "at: metric 1: unit is 'ms'; it has to be one of number,"),
        ({**KIND, "metrics": [{**METRIC, "limit": True}]}, "at: metric 1: limit has to be a number, or the name"),
        ({**KIND, "metrics": [{**METRIC, "limit": 0}]}, "at: metric 1: limit is 0; it has to be above 0."),
        ({**KIND, "metrics": [{**METRIC, "limit": "slots"}]}, "at: the limit 'slots' of 'jobs waiting' is not one of"),
        ({**KIND, "metrics": [METRIC, METRIC]}, "at: two metrics have the name 'jobs waiting'."),
    ],
)
def test_a_wrong_kind_is_refused_with_its_place(values: dict[str, object], message: str) -> None:
    with pytest.raises(ObswarmError) as refused:
        kind_of_table("at: ", values)
    assert str(refused.value).startswith(message)

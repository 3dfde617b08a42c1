"""Exposition formats as prometheus-client parses them, content negotiation, and counters that never decrease."""

import gzip
import logging
import re
import subprocess
import sys
from dataclasses import replace

import gevent
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from obswarm.api import Environment, Events, User, task
from obswarm.engine import Outputs, Ramp
from obswarm.metrics import CONTRACT, Kind, MetricsApp, SnapshotCollector, SnapshotRegistry, parse_labels
from obswarm.metrics.exposition import accepts_gzip, cooperative, wants_protobuf
from obswarm.metrics.native import CONTENT_TYPE
from obswarm.metrics.schema import EXPOSITION, Messages
from obswarm.record import RefusedAlerts, Snapshot
from obswarm.stats import Recorder
from tests.support.programs import ROOT
from tests.support.runs import local_run

PROMETHEUS_NATIVE = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_CLASSIC = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"


class Nobody(User):
    @task
    def nothing(self) -> None: ...


def environment(max_endpoints: int = 1000) -> Environment:
    return Environment(events=Events(), recorder=Recorder(max_endpoints), user_classes=[Nobody])


def snapshot_of(env: Environment, max_endpoints: int = 1000) -> Snapshot:
    return local_run(env, Ramp(1, 1), test="t.py", max_endpoints=max_endpoints).latest()


@pytest.fixture
def latest() -> SnapshotRegistry:
    env = environment()
    for number in range(250):
        env.recorder.record("GET", f"/page/{number % 60}", 0.01 * (number + 1), 100, 200)
    env.recorder.record("POST", 'a "quoted" \\ name\nin lines', 0.5, 0, 503, "HTTP 503", trace_id="a" * 32)
    env.recorder.record("POST", "ünïcode", 90.0, 0, 0, ConnectionError("refused"), trace_id="b" * 32)
    env.recorder.record_iteration("Nobody")
    stored = SnapshotRegistry()
    stored.snapshot(snapshot_of(env))
    return stored


def scrape(
    latest: SnapshotRegistry, accept: str = "", encoding: str = "", labels: dict[str, str] | None = None
) -> tuple[dict[str, str], bytes]:
    headers: dict[str, str] = {}

    def start_response(status: str, fields: list[tuple[str, str]]) -> None:
        assert status == "200 OK"
        headers.update(fields)

    app = MetricsApp(latest, labels)
    body = b"".join(app({"HTTP_ACCEPT": accept, "HTTP_ACCEPT_ENCODING": encoding}, start_response))
    assert headers["Content-Length"] == str(len(body))
    return headers, body


def test_requests_of_scenarios_have_a_label_and_others_have_none() -> None:
    env, names = environment(), ["browse"]
    env.recorder.tell_scenarios_apart(lambda: names[-1])
    env.recorder.record("GET", "/", 0.1, 100, 200)
    names.append("")
    env.recorder.record("GET", "/", 0.1, 100, 200)
    stored = SnapshotRegistry()
    stored.snapshot(snapshot_of(env))
    text = scrape(stored)[1].decode()
    assert 'obswarm_requests_total{method="GET",name="/",outcome="success",scenario="browse",status="2xx"} 1.0' in text
    assert 'obswarm_requests_total{method="GET",name="/",outcome="success",status="2xx"} 1.0' in text
    for name in (
        "obswarm_request_duration_seconds_count",
        "obswarm_response_bytes_total",
        "obswarm_requests_in_flight",
    ):
        assert f'{name}{{method="GET",name="/",scenario="browse"}} ' in text
        assert f'{name}{{method="GET",name="/"}} ' in text
    (requests,) = [
        family for family in delimited(scrape(stored, PROMETHEUS_NATIVE)[1]) if family.name == "obswarm_requests_total"
    ]
    labels = [{label.name: label.value for label in metric.label} for metric in requests.metric]
    assert sorted(each.get("scenario", "") for each in labels) == ["", "browse"]


def delimited(body: bytes) -> list:
    """The messages of the protobuf format, read by its own runtime."""
    messages = Messages("obswarm.test", EXPOSITION)
    families = []
    position = 0
    while position < len(body):
        length = shift = 0
        while True:
            byte = body[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        families.append(messages.MetricFamily.FromString(body[position : position + length]))
        position += length
    return families


def test_slices_add_up_to_the_exposition_by_prometheus_client(latest: SnapshotRegistry) -> None:
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(latest, {"team": "search"}))
    _, text = scrape(latest, "text/plain", labels={"team": "search"})
    without = [line for line in generate_latest(registry).splitlines(keepends=True) if b"_created" not in line]
    assert text == b"".join(without), "the classic format gives nobody times of creation; a program's own registry may"
    _, open_text = scrape(latest, "application/openmetrics-text; version=1.0.0", labels={"team": "search"})
    assert open_text == openmetrics.generate_latest(registry)


def test_prometheus_clients_parsers_read_it(latest: SnapshotRegistry) -> None:
    _, text = scrape(latest)
    _, open_text = scrape(latest, "application/openmetrics-text")
    classic = {family.name: family for family in parse_text(text.decode())}
    modern = {family.name: family for family in parse_openmetrics(open_text.decode())}
    assert len(modern) == len(classic) >= 15
    names = {sample.labels["name"] for sample in modern["obswarm_requests"].samples}
    # The line's end is an escape by then; the backslash of that is text for each format.
    assert {'a "quoted" \\ name\\nin lines', "ünïcode"} <= names
    exemplars = {
        s.exemplar.labels["trace_id"]: s.labels["le"] for f in modern.values() for s in f.samples if s.exemplar
    }
    assert exemplars == {"a" * 32: "0.5", "b" * 32: "+Inf"}


def test_every_exported_metric_is_in_the_contract(latest: SnapshotRegistry) -> None:
    known = {metric.name: metric for metric in CONTRACT}
    for metric, points in latest.families():
        assert known[metric.name] is metric
        for point in points:
            # Requests outside of scenarios have no label for one.
            assert len(point.labels) == len(metric.labels) - ("scenario" in metric.labels), metric.name


def test_response_times_from_intended_starts_have_series_of_endpoints_that_have_them() -> None:
    made = environment()
    for start_delay_s in (0.2, 0.4):
        made.recorder.record("GET", "/due", 0.1, 100, 200, start_delay_s=start_delay_s)
    latest = SnapshotRegistry()
    for stats_since_s in (1.0, 2.0):
        # The second snapshot, after a reset of the statistics, has no requests.
        latest.snapshot(replace(snapshot_of(made), run_id="one", stats_since_s=stats_since_s))
        families = {family.name: family for family in delimited(scrape(latest, PROMETHEUS_NATIVE)[1])}
        (found,) = families["obswarm_request_intended_duration_seconds"].metric
        assert {label.name: label.value for label in found.label} == {"method": "GET", "name": "/due"}
        assert found.histogram.sample_count == 2
        assert found.histogram.sample_sum == pytest.approx(0.8)


def test_the_contract_keeps_to_prometheus_conventions() -> None:
    assert len({metric.name for metric in CONTRACT}) == len(CONTRACT)
    for metric in CONTRACT:
        assert re.fullmatch(r"obswarm_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER), metric.name
        assert metric.help.endswith("."), metric.name


def test_protobuf_has_native_and_classic_buckets(latest: SnapshotRegistry) -> None:
    headers, body = scrape(latest, PROMETHEUS_NATIVE)
    assert headers["Content-Type"] == CONTENT_TYPE
    families = {family.name: family for family in delimited(body)}
    duration = families["obswarm_request_duration_seconds"]
    assert duration.type == 4
    page = next(m for m in duration.metric if {"name": "/page/0"}.items() <= {p.name: p.value for p in m.label}.items())
    histogram = page.histogram
    assert (histogram.sample_count, histogram.schema) == (5, 5)
    assert histogram.sample_sum == pytest.approx(sum(0.01 * (n + 1) for n in range(0, 250, 60)))
    assert histogram.bucket[-1].cumulative_count == 5
    assert sum(span.length for span in histogram.positive_span) == len(histogram.positive_delta) == 5
    assert histogram.created_timestamp.seconds > 0
    failed = next(m for m in duration.metric if m.histogram.exemplars)
    assert failed.histogram.exemplars[0].label[0].value == "a" * 32
    requests = families["obswarm_requests_total"]
    assert requests.type == 0
    assert sum(metric.counter.value for metric in requests.metric) == 252


def test_a_family_without_series_is_left_out_of_protobuf_only(latest: SnapshotRegistry) -> None:
    empty = SnapshotRegistry()
    empty.snapshot(snapshot_of(environment()))
    names = {family.name for family in delimited(scrape(empty, PROMETHEUS_NATIVE)[1])}
    assert "obswarm_requests_total" not in names
    assert "obswarm_run_info" in names


@pytest.mark.parametrize(
    ("accept", "protobuf"),
    [
        (PROMETHEUS_NATIVE, True),
        (PROMETHEUS_CLASSIC, False),
        ("", False),
        ("*/*", False),
        ("application/vnd.google.protobuf", True),
        ("application/vnd.google.protobuf;encoding=text", False),
        ("application/vnd.google.protobuf;proto=other.Message", False),
        ("application/vnd.google.protobuf;q=0.1,text/plain;q=0.9", False),
        ("application/vnd.google.protobuf;q=nonsense", False),
    ],
)
def test_content_negotiation(latest: SnapshotRegistry, accept: str, protobuf: bool) -> None:
    assert wants_protobuf(accept) == protobuf
    assert (scrape(latest, accept)[0]["Content-Type"] == CONTENT_TYPE) == protobuf


@pytest.mark.parametrize("accept", [PROMETHEUS_NATIVE, PROMETHEUS_CLASSIC, "text/plain"])
def test_gzip(latest: SnapshotRegistry, accept: str) -> None:
    _, plain = scrape(latest, accept)
    headers, coded = scrape(latest, accept, "gzip, deflate")
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(coded) == plain
    assert len(coded) < len(plain) / 3
    assert [accepts_gzip(text) for text in ("gzip", "br, *", "gzip;q=0", "identity", "")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_generating_the_exposition_yields_to_other_greenlets(monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr("obswarm.metrics.exposition.monotonic", lambda: now[0])
    pauses: list[float] = []

    def pieces():
        for _ in range(100):
            now[0] += 0.001
            yield b"x"

    assert b"".join(cooperative(pieces(), lambda: pauses.append(now[0]))) == b"x" * 100
    assert len(pauses) >= 15
    gaps = [after - before for before, after in zip([0.0, *pauses], pauses, strict=False)]
    assert max(gaps) <= 0.0061


def test_sockets_are_polled_when_the_exposition_yields(monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr("obswarm.metrics.exposition.monotonic", lambda: now[0])

    def pieces():
        for _ in range(20):
            now[0] += 0.01
            yield b"x"

    loop = gevent.get_hub().loop
    before = loop.iteration
    assert b"".join(cooperative(pieces())) == b"x" * 20
    assert loop.iteration - before >= 20


def test_counters_do_not_go_down_when_statistics_are_reset() -> None:
    env = environment()
    latest = SnapshotRegistry()
    run = local_run(env, Ramp(1, 1), test="t.py", outputs=Outputs([latest]))

    def total(name: str) -> float:
        return sum(point.value for metric, points in latest.families() if metric.name == name for point in points)

    for number in range(30):
        env.recorder.record("GET", f"/{number % 3}", 0.01, 10, 200 if number % 2 else 500, None if number % 2 else "no")
        env.recorder.record_iteration("Nobody")
    latest.snapshot(run.latest())
    before = {metric.name: total(metric.name) for metric in CONTRACT if metric.kind is Kind.COUNTER}
    assert before["obswarm_requests_total"] == 30
    env.reset_stats = True
    env.recorder.record("GET", "/3", 0.01, 10, 200)
    run._reset_statistics("Statistics are reset.")
    env.recorder.record("GET", "/0", 0.01, 10, 200)
    latest.snapshot(run.latest())
    after = {name: total(name) for name in before}
    assert all(after[name] >= before[name] for name in before)
    assert after["obswarm_requests_total"] == 32
    assert after["obswarm_iterations_total"] == 30
    durations = next(
        list(points) for metric, points in latest.families() if metric.name == "obswarm_request_duration_seconds"
    )
    assert sum(point.histogram.count for point in durations) == 32


def test_a_new_run_begins_at_zero(latest: SnapshotRegistry) -> None:
    latest.snapshot(snapshot_of(environment()))
    assert not [list(points) for metric, points in latest.families() if metric.name == "obswarm_requests_total"][0]  # noqa: RUF015


def test_a_flood_of_names_leaves_the_series_bounded(caplog) -> None:
    env = environment(max_endpoints=100)
    for number in range(20_000):
        env.recorder.record("GET", f"/users/{number}", 0.01, 10, 500, f"failed for user{number % 7000}x")
    with caplog.at_level(logging.WARNING):
        latest = SnapshotRegistry()
        latest.snapshot(snapshot_of(env, 100))
    assert "more than 100 endpoints" in caplog.text
    assert "/users/99" in caplog.text
    series = {metric.name: len(list(points)) for metric, points in latest.families()}
    assert series["obswarm_requests_total"] == 100
    assert series["obswarm_request_duration_seconds"] == 100
    assert series["obswarm_request_errors_total"] <= 501
    counted = next(points for metric, points in latest.families() if metric.name == "obswarm_requests_total")
    assert sum(point.value for point in counted) == 20_000


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("team", "has no '='"),
        ("=x", "is not a valid label name"),
        ("1st=x", "is not a valid label name"),
        ("a-b=x", "is not a valid label name"),
        ("__name__=x", "is not a valid label name"),
        ("method=x", "reserved by obswarm or Prometheus"),
        ("instance=x", "reserved by obswarm or Prometheus"),
        ("team=", "has an empty value"),
        ("team=\udcff", "not valid UTF-8"),
        ("team=a\nb", "control characters"),
        (f"team={'x' * 501}", "more than 500 characters"),
    ],
)
def test_labels_that_prometheus_does_not_allow(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_labels([text])
    with pytest.raises(ValueError, match="given twice"):
        parse_labels(["a=1", "a=2"])
    assert parse_labels(["team=search", "env=a=b c"]) == {"team": "search", "env": "a=b c"}


def test_the_documentation_is_that_of_the_contract() -> None:
    done = subprocess.run(
        [sys.executable, "docs/make_metrics.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_that_are_refused_between_two_runs_are_counted_on(latest: SnapshotRegistry) -> None:
    waiting = SnapshotRegistry(idle_workers=lambda: 2)
    assert b"alerts_refused" not in scrape(waiting)[1]
    assert latest.newest is not None
    latest.snapshot(
        latest.newest.with_guards((), (), (RefusedAlerts("token", 5, "a"), RefusedAlerts("labels", 1, "b")))
    )
    for stored, token in ((waiting, 3.0), (latest, 8.0)):
        stored.end_run(lambda: (RefusedAlerts("token", 3, "c"), RefusedAlerts("too_many", 2_000, "d")))
        for accept in ("", PROMETHEUS_CLASSIC):
            text = scrape(stored, accept)[1].decode()
            assert f'obswarm_alerts_refused_total{{reason="token"}} {token}' in text
            assert 'obswarm_alerts_refused_total{reason="too_many"} 2000.0' in text
            assert ('reason="labels"} 1.0' in text) is (stored is latest)

"""Metrics for OpenTelemetry: names and units, exact histograms, when they are sent, and what is said when they are not."""

import logging
from typing import Any

import gevent
import pytest
from opentelemetry.sdk.metrics.export import MetricExportResult

from obswarm.errors import ObswarmError
from obswarm.metrics import CONTRACT, Kind, SnapshotRegistry, contract
from obswarm.metrics.otlp import OtlpMetrics, metrics_data, name_and_unit
from obswarm.stats import EndpointKey
from obswarm.stats.histogram import upper_bound
from tests.support.recorded import MadeUpRun, result_of

PAGE, QUERY = EndpointKey("GET", "/page"), EndpointKey("SQL", "select")
OK, NOT_OK = MetricExportResult.SUCCESS, MetricExportResult.FAILURE


class MadeUpExporter:
    """Notes what it gets, and answers what the test says, the last one again and again."""

    def __init__(self, *says: Any) -> None:
        self.says = list(says)
        self.sent: list[dict[str, Any]] = []

    def export(self, data: Any) -> Any:
        (scope,) = data.resource_metrics[0].scope_metrics
        self.sent.append({each.name: each for each in scope.metrics})
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if said is NOT_OK:
            logging.getLogger("opentelemetry.exporter.made_up").warning("no way to http://u:secret@collector/")
        return said


def sent_by(
    monkeypatch: pytest.MonkeyPatch, interval_ms: str = "", *says: Any
) -> tuple[MadeUpExporter, OtlpMetrics, MadeUpRun]:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", interval_ms)
    exporter, registry = MadeUpExporter(*(says or (OK,))), SnapshotRegistry()
    output = OtlpMetrics(registry, {"team": "search"}, linger_s=0.0, exporter=exporter)
    return exporter, output, MadeUpRun([registry, output])


def value_of(metric: Any) -> float:
    return sum(point.value for point in metric.data.data_points)


def test_names_and_units_become_those_of_the_documentation_again() -> None:
    endings = {"s": "_seconds", "By": "_bytes", "1": "_ratio", "": ""}
    for metric in CONTRACT:
        name, unit = name_and_unit(metric)
        assert name + endings[unit] + ("_total" if metric.kind is Kind.COUNTER else "") == metric.name
    assert name_and_unit(contract.RESPONSE_BYTES) == ("obswarm_response", "By")


def test_histograms_are_the_same_to_the_bucket() -> None:
    run = MadeUpRun([registry := SnapshotRegistry()])
    run.pass_a_second({PAGE: [0.001, 0.25, 0.25, 3.0], QUERY: [0.1]})
    found = metrics_data(registry.families(), run.last.time_s, {}, None)
    metrics = {each.name: each.data for each in found.resource_metrics[0].scope_metrics[0].metrics}
    points = {point.attributes["name"]: point for point in metrics["obswarm_request_duration"].data_points}
    for key in (PAGE, QUERY):
        point, histogram = points[key.name], run.last.endpoints[key].duration
        assert (point.count, point.sum, point.scale) == (histogram.count, histogram.sum_ns / 1e9, 5)
        base = 2**2**-point.scale
        counts = point.positive.bucket_counts
        bounds = {base ** (point.positive.offset + i + 1): number for i, number in enumerate(counts) if number}
        expected = {upper_bound(index): number for index, number in histogram.buckets.items()}
        assert list(bounds) == pytest.approx(sorted(expected))
        assert list(bounds.values()) == [expected[each] for each in sorted(expected)]
    (http,) = metrics["http.client.request.duration"].data_points
    assert (http.attributes, http.count) == ({"http.request.method": "GET", "url.template": "/page"}, 4)


def test_metrics_are_sent_at_an_interval_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, output, run = sent_by(monkeypatch, "2000")
    for _ in range(4):
        run.pass_a_second({PAGE: [0.1]})
        gevent.sleep(0)
    assert [value_of(sent["obswarm_requests"]) for sent in exporter.sent] == [1, 3]
    output.finish(result_of(run.last))
    output.close()
    last = exporter.sent[-1]["obswarm_requests"]
    assert (value_of(last), last.data.is_monotonic) == (4, True)
    assert last.data.data_points[0].attributes["team"] == "search"


def test_what_is_not_delivered_is_told_once_and_is_part_of_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    exporter, output, run = sent_by(monkeypatch, "1000", NOT_OK, NOT_OK, OK)
    for _ in range(3):
        run.pass_a_second({PAGE: [0.1]})
        gevent.sleep(0)
    assert [value_of(sent["obswarm_requests"]) for sent in exporter.sent] == [1, 2, 3]
    (told,) = [record.getMessage() for record in caplog.records if "--otlp" in record.getMessage()]
    assert "no way to http://" in told
    assert "secret" not in told
    output.finish(result_of(run.last))
    output.close()


@pytest.mark.parametrize("reason", ["no way to", "no response in time"])
def test_last_metrics_that_are_not_delivered_are_an_error_of_the_output(
    monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    _, output, run = sent_by(monkeypatch, "1000", OK, NOT_OK)
    run.pass_a_second({PAGE: [0.1]})
    gevent.sleep(0)
    if reason == "no response in time":
        monkeypatch.setattr(output, "_send", lambda data: gevent.sleep(60))
        monkeypatch.setattr("obswarm.metrics.otlp._MIN_END_S", 0.01)
    output.finish(result_of(run.last))
    with pytest.raises(ObswarmError, match=f"could not be delivered to http://localhost:4318/v1/metrics .*{reason}"):
        output.close()


def test_a_run_that_never_started_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, output, _ = sent_by(monkeypatch)
    output.close()
    assert exporter.sent == []


@pytest.mark.parametrize("text", ["soon", "0", "-5", "1.5"])
def test_an_interval_has_to_be_milliseconds(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(ObswarmError, match="OTEL_METRIC_EXPORT_INTERVAL is .*milliseconds"):
        sent_by(monkeypatch, text)


def test_endpoints_of_scenarios_are_points_of_their_own() -> None:
    run = MadeUpRun([registry := SnapshotRegistry()])
    run.pass_a_second({PAGE: [0.1], EndpointKey("GET", "/page", "night"): [0.2, 0.3]})
    found = metrics_data(registry.families(), run.last.time_s, {}, None)
    metrics = {each.name: each.data for each in found.resource_metrics[0].scope_metrics[0].metrics}
    for name in ("obswarm_request_duration", "http.client.request.duration"):
        counts = {point.attributes.get("scenario"): point.count for point in metrics[name].data_points}
        assert counts == {None: 1, "night": 2}

"""`obswarm run --otlp` with OpenTelemetry's own exporters, and a collector that is a server of this process."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.listening import listening
from tests.support.programs import obswarm

LOAD_TEST = """
from obswarm import FastHttpUser, HttpUser, StopUser, task


class Visitor(HttpUser):
    fixed_count = 1

    @task
    def look(self):
        for number in range(3):
            self.client.get("/page")
        raise StopUser


class FastVisitor(FastHttpUser):
    fixed_count = 1

    @task
    def look(self):
        for number in range(3):
            self.client.post("/missing", json={})
        raise StopUser
"""


class Collector:
    """A target whose requests are noted, and a collector."""

    def __init__(self) -> None:
        self.traceparents: list[str] = []
        self.metrics: list[Any] = []
        self.spans: list[Any] = []

    def __call__(self, environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
        path, body = environ["PATH_INFO"], environ["wsgi.input"].read()
        if environ.get("HTTP_CONTENT_ENCODING") == "gzip":
            body = gzip.decompress(body)
        if path == "/v1/metrics":
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))
        elif path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        else:
            self.traceparents.append(environ["HTTP_TRACEPARENT"])
        start_response("404 Not Found" if path == "/missing" else "200 OK", [("Content-Type", "text/plain")])
        return [b""]


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    made = Collector()
    with listening(made) as address:
        yield made, f"http://{address}"


def ended(folder: Path, *arguments: object, **environment: str) -> tuple[int, str]:
    """The exit code and standard error of `obswarm run` with the load test."""
    (folder / "load.py").write_text(LOAD_TEST)
    done = obswarm("run", "load.py", *arguments, cwd=folder, **environment)
    return done.code, done.stderr


@pytest.mark.parametrize("workers", [0, 1])
def test_a_collector_gets_every_request_and_the_span_that_the_target_knows(
    workers: int, collector: tuple[Collector, str], tmp_path: Path
) -> None:
    received, url = collector
    code, said = ended(
        tmp_path,
        *("-H", url, "-u", 2, "-r", 10, "-t", "20s", "--headless", "--no-store", "--web-port", 0),
        *("--workers", workers, "--otlp", "--label", "team=search", "--linger", "0"),
        OTEL_EXPORTER_OTLP_ENDPOINT=url,
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_TRACES_SAMPLER="always_on",
    )
    assert code == 1, said
    assert "--otlp" not in said
    ids = sorted(f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01" for span in received.spans)
    assert ids == sorted(received.traceparents)
    assert sorted(span.name for span in received.spans) == ["GET /page"] * 3 + ["POST /missing"] * 3
    metrics = {each.name: each for each in received.metrics[-1].resource_metrics[0].scope_metrics[0].metrics}
    requests = metrics["obswarm_requests"].sum.data_points
    assert sum(point.as_double + point.as_int for point in requests) == 6
    labels = {each.key: each.value.string_value for each in requests[0].attributes}
    assert labels["team"] == "search"
    durations = metrics["http.client.request.duration"].exponential_histogram.data_points
    assert sum(sum(point.positive.bucket_counts) for point in durations) == 6


def test_a_protocol_that_there_is_not_ends_in_a_sentence(tmp_path: Path) -> None:
    code, said = ended(tmp_path, "-H", "http://127.0.0.1:9", "--otlp", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert code == 2
    assert "Error: OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'" in said

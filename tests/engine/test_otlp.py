"""Settings of OpenTelemetry's environment variables, and spans of requests that are traced."""

import logging
import sys
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from obswarm.api import Environment, Events
from obswarm.api.tracing import TraceSampler, span_id, traceparent
from obswarm.engine.otlp import SpanExport, check_packages, endpoint_of, exports, sampler_of, trace_share
from obswarm.errors import ObswarmError
from obswarm.stats import Recorder


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, True),
        ({"OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_SDK_DISABLED": "no"}, True),
        ({"OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_TRACES_EXPORTER": " otlp "}, True),
        ({"OTEL_METRICS_EXPORTER": "none"}, True),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, True),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_what_is_exported(environ: dict[str, str], expected: bool) -> None:
    assert exports("traces", environ) is expected


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        ({"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER is 'console'; with --otlp"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'.*port 4318"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "TRACES_PROTOCOL is 'http/json'"),
    ],
)
def test_what_cannot_be_exported_so_is_told(environ: dict[str, str], what: str) -> None:
    with pytest.raises(ObswarmError, match=what):
        exports("traces", environ)


def test_where_it_goes_without_its_password() -> None:
    assert endpoint_of("traces", {}) == "http://localhost:4318/v1/traces"
    assert endpoint_of("metrics", {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://a.test/"}) == "https://a.test/v1/metrics"
    own = endpoint_of("metrics", {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://u:secret@b.test/in"})
    assert "b.test/in" in own
    assert "secret" not in own


@pytest.mark.parametrize(
    ("given", "is_exported", "sampler", "argument", "expected"),
    [
        (None, False, "always_on", "", None),
        (0.5, False, "", "", 0.5),
        (0.5, True, "always_on", "", 0.5),
        (None, True, "", "", 0.01),
        (None, True, "always_on", "", 1.0),
        (None, True, "always_off", "", 0.0),
        (None, True, "parentbased_always_on", "", 1.0),
        (None, True, "traceidratio", "0.25", 0.25),
        (None, True, "parentbased_traceidratio", ".5", 0.5),
    ],
)
def test_the_share_of_traced_requests(
    given: float | None, is_exported: bool, sampler: str, argument: str, expected: float | None
) -> None:
    environ = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument or "1"}
    assert trace_share(given, is_exported, environ) == expected


@pytest.mark.parametrize(
    ("sampler", "argument", "what"),
    [("jaeger_remote", "1", "SAMPLER is 'jaeger_remote'"), ("traceidratio", "many", "SAMPLER_ARG is 'many'")]
    + [("traceidratio", each, "it has to be a number from 0 to 1") for each in ("1.5", "-1", "nan", "")],
)
def test_samplers_that_there_are_not(sampler: str, argument: str, what: str) -> None:
    with pytest.raises(ObswarmError, match=what):
        trace_share(None, True, {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument})


def test_a_share_of_nothing_needs_no_sampler() -> None:
    assert sampler_of(0.0, True) is None
    assert sampler_of(None, False) is None
    assert isinstance(sampler_of(0.1, False), TraceSampler)


def test_the_span_of_a_request_has_the_id_that_the_target_was_sent() -> None:
    trace_id = "0123456789abcdef0011223344556677"
    assert traceparent(trace_id) == f"00-{trace_id}-{span_id(trace_id)}-01"
    assert span_id("0" * 16 + "0011223344556677") == "0011223344556677", "an id of zeros is invalid"


class MadeUpProcessor:
    """Keeps spans."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.is_shut_down = False

    def on_end(self, span: Any) -> None:
        self.spans.append(span)

    def shutdown(self) -> None:
        self.is_shut_down = True


@pytest.fixture
def environment() -> Environment:
    return Environment(events=Events(), recorder=Recorder(), trace_sampler=TraceSampler(1.0))


@pytest.fixture
def processor(environment: Environment) -> MadeUpProcessor:
    made = MadeUpProcessor()
    environment.recorder.follow_traced(SpanExport(lambda: "run-1", made))
    return made


def test_a_traced_request_is_a_span(environment: Environment, processor: MadeUpProcessor) -> None:
    with environment.request("GET", "/items/{id}", url="http://u:secret@shop.test/items/1") as request:
        request.status_code = 503
        sent = request.traceparent
        request.failure(ValueError("no such item"))
    (span,) = processor.spans
    assert (span.name, span.kind) == ("GET /items/{id}", SpanKind.CLIENT)
    assert sent == f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "no such item")
    assert span.end_time - span.start_time == pytest.approx(request.duration_s * 1e9, abs=1000)
    attributes = span.attributes
    assert (attributes["http.request.method"], attributes["url.template"]) == ("GET", "/items/{id}")
    assert (attributes["http.response.status_code"], attributes["error.type"]) == (503, "ValueError")
    assert "shop.test/items/1" in attributes["url.full"]
    assert "secret" not in str(attributes)
    assert span.resource.attributes["obswarm.run.id"] == "run-1"


def test_a_request_of_another_protocol_has_no_attributes_of_http(
    environment: Environment, processor: MadeUpProcessor
) -> None:
    with environment.request("SQL", "select") as request:
        assert request.traceparent
    (span,) = processor.spans
    assert span.attributes == {"obswarm.request.name": "select"}
    assert span.status.status_code is StatusCode.UNSET


def test_a_request_that_is_not_traced_is_no_span(environment: Environment, processor: MadeUpProcessor) -> None:
    with environment.request("GET", "/page"):
        pass
    assert processor.spans == []


def test_the_environment_names_the_service(
    environment: Environment, processor: MadeUpProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "load")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=search,host.name=mine")
    with environment.request("GET", "/page") as request:
        assert request.traceparent
    found = processor.spans[0].resource.attributes
    assert (found["service.name"], found["team"], found["host.name"]) == ("load", "search", "mine")


def test_spans_that_are_missing_are_told_at_the_end(
    environment: Environment, processor: MadeUpProcessor, caplog: pytest.LogCaptureFixture
) -> None:
    export: Any = environment.recorder.on_traced
    with environment.request("GET", "/page") as request:
        assert request.traceparent
    logging.getLogger("opentelemetry.exporter.made_up").error("the collector is not there")
    export.close()
    assert processor.is_shut_down
    assert (
        "spans of traced requests are missing at http://localhost:4318/v1/traces (the collector is not" in caplog.text
    )


def test_without_the_packages_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    with pytest.raises(ObswarmError, match=r"pip install 'obswarm\[otel\]'"):
        check_packages()

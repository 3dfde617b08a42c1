"""OpenTelemetry: settings of its environment variables, and spans of the requests that are traced.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/,
https://opentelemetry.io/docs/specs/semconv/http/http-spans/. Its packages are imported when they are needed: they are
an extra of obswarm.
"""

import logging
import os
import platform
import re
from collections.abc import Callable, Mapping
from typing import Any

import gevent

from obswarm import __version__, clock
from obswarm.api import RequestRecord
from obswarm.api.tracing import TraceSampler, span_id
from obswarm.errors import ObswarmError
from obswarm.redact import redact_text, redact_url
from obswarm.sanitize import clean_text, to_text, type_name

logger = logging.getLogger(__name__)

_DEFAULT_SHARE = 0.01
_CLOSE_S = 3.0
"""Most seconds for the last spans of a process."""
_EXPORTERS_LOG = "opentelemetry"
HTTP_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"))
"""Methods of the HTTP clients, as semantic conventions know them; other clients write what they like there."""


def exports(signal: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether `traces` or `metrics` are exported, as OTEL_SDK_DISABLED and OTEL_TRACES_EXPORTER (or
    OTEL_METRICS_EXPORTER) say. Raises ObswarmError for an exporter or a protocol that obswarm does not have."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    exporters = [each.strip().lower() for each in environ.get(variable, "").split(",") if each.strip()]
    unknown = [each for each in exporters if each not in ("otlp", "none")]
    if unknown:
        raise ObswarmError(f"{variable} is {clean_text(unknown[0])!r}; with --otlp it has to be otlp or none.")
    if "none" in exporters:
        return False
    for variable in (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if protocol := environ.get(variable, "").strip().lower():
            if protocol not in ("http/protobuf", "http"):
                raise ObswarmError(
                    f"{variable} is {clean_text(protocol)!r}; obswarm exports by http/protobuf, to port 4318 of a"
                    " collector."
                )
            break
    return True


def endpoint_of(signal: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the URL to which `traces` or `metrics` are sent, for messages."""
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
    base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip() or "http://localhost:4318"
    return redact_url(own or f"{base.rstrip('/')}/v1/{signal}")


def trace_share(given: float | None, exports_spans: bool, environ: Mapping[str, str] = os.environ) -> float | None:
    """Return the share of requests that are traced: the `given` one; else, where spans are exported, that of
    OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG, or 1 %; else None. Raises ObswarmError for another sampler."""
    if given is not None or not exports_spans:
        return given
    sampler = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower().removeprefix("parentbased_")
    match sampler:
        case "":
            return _DEFAULT_SHARE
        case "always_on":
            return 1.0
        case "always_off":
            return 0.0
        case "traceidratio":
            text = environ.get("OTEL_TRACES_SAMPLER_ARG", "1").strip()
            if re.fullmatch(r"0|1|[01]?\.\d+|1\.0+", text) and float(text) <= 1:
                return float(text)
            raise ObswarmError(f"OTEL_TRACES_SAMPLER_ARG is {clean_text(text)!r}; it has to be a number from 0 to 1.")
    raise ObswarmError(
        f"OTEL_TRACES_SAMPLER is {clean_text(sampler)!r}; it has to be always_on, always_off or traceidratio, also"
        " after parentbased_, or leave it out and give --trace-sample."
    )


def sampler_of(given: float | None, exports_spans: bool) -> TraceSampler | None:
    """Return the sampler of `trace_share`; None if no request is traced."""
    share = trace_share(given, exports_spans)
    return TraceSampler(share) if share else None


def check_packages() -> None:
    """Raise ObswarmError if the packages of OpenTelemetry are not installed."""
    try:
        import opentelemetry.exporter.otlp.proto.http
        import opentelemetry.sdk.resources  # noqa: F401
    except ImportError as error:
        raise ObswarmError(
            f"--otlp needs packages of OpenTelemetry: pip install 'obswarm[otel]' ({clean_text(str(error))})."
        ) from None


def resource_of(run_id: str) -> Any:
    """Return the Resource of a process of a run. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before obswarm's own
    attributes."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    own = {
        "service.name": "obswarm",
        "service.version": __version__,
        "service.instance.id": f"{platform.node() or 'obswarm'}:{os.getpid()}",
        "host.name": platform.node(),
        "obswarm.run.id": run_id,
    }
    return Resource.create(own).merge(OTELResourceDetector().detect())


class ExportErrors(logging.Handler):
    """Keeps the last message of OpenTelemetry's exporters, which would log one for each failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""
        exporters = logging.getLogger(_EXPORTERS_LOG)
        exporters.addHandler(self)
        exporters.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self.last = clean_text(redact_text(record.getMessage()))


class SpanExport:
    """Exports a client span for each traced request of this process, in the background.

    What waits is limited by OTEL_BSP_MAX_QUEUE_SIZE; older spans give way to newer ones, and statistics do not depend
    on them.
    """

    def __init__(self, run_id: Callable[[], str], processor: Any = None) -> None:
        """`run_id` returns the id of the run, once requests are made. `processor` is a SpanProcessor, by default one
        that sends to `endpoint_of("traces")`. Raises ObswarmError without the packages of OpenTelemetry, and for
        settings that these refuse."""
        check_packages()
        self._errors = ExportErrors()
        self._exported = 0
        self._run_id = run_id
        self._resource: Any = None
        try:
            self._processor = _batching() if processor is None else processor
            resource_of("")
        except (TypeError, ValueError) as error:
            raise ObswarmError(f"--otlp: OpenTelemetry refuses its settings (OTEL_…): {error}.") from None

    def __call__(self, record: RequestRecord, error: BaseException | None) -> None:
        """Export the span of a request that has ended."""
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        assert record.trace_id is not None
        if self._resource is None:
            self._resource = resource_of(self._run_id())
        context = SpanContext(
            int(record.trace_id, 16), int(span_id(record.trace_id), 16), False, TraceFlags(TraceFlags.SAMPLED)
        )
        method, name = clean_text(to_text(record.method)), clean_text(to_text(record.name))
        began_s = clock.wall() - (clock.monotonic() - record.started_s)
        span = ReadableSpan(
            f"{method} {name}",
            context,
            resource=self._resource,
            attributes=_attributes(record, method, name, error),
            kind=SpanKind.CLIENT,
            status=Status(StatusCode.UNSET) if error is None else Status(StatusCode.ERROR, clean_text(to_text(error))),
            start_time=int(began_s * 1e9),
            end_time=int((began_s + record.duration_s) * 1e9),
        )
        self._processor.on_end(span)
        self._exported += 1

    def close(self) -> None:
        """Send the last spans, within a few seconds."""
        sent = gevent.with_timeout(_CLOSE_S, self._shut_down, timeout_value=False)
        if self._exported and (not sent or self._errors.last):
            logger.warning(
                "--otlp: spans of traced requests are missing at %s (%s).",
                endpoint_of("traces"),
                self._errors.last or "no response in time",
            )

    def _shut_down(self) -> bool:
        self._processor.shutdown()
        return True


def _batching() -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter())


def _attributes(record: RequestRecord, method: str, name: str, error: BaseException | None) -> dict[str, Any]:
    """Return the attributes of a span, by semantic conventions for HTTP where the request was one."""
    found: dict[str, Any] = {"obswarm.request.name": name}
    if method in HTTP_METHODS:
        found |= {"http.request.method": method, "url.template": name}
        if record.status_code:
            found["http.response.status_code"] = record.status_code
    if record.url is not None:
        found["url.full"] = clean_text(redact_url(to_text(record.url)))
    if error is not None:
        found["error.type"] = type_name(error)
    return found

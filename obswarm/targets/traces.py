"""Traces as values, and the JSON in which Tempo and Jaeger return them. No I/O.

Tempo: https://grafana.com/docs/tempo/latest/api_docs/, whose traces are OTLP's JSON
(https://opentelemetry.io/docs/specs/otlp/). Jaeger: the JSON of its query service, which its own page uses
(https://www.jaegertracing.io/docs/latest/architecture/apis/).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from obswarm.sanitize import clean_text

MAX_SPANS = 5_000
"""Spans of a trace that are read."""
_LONGEST_NAME = 120


class NotTraces(ValueError):
    """The document has another form than that of traces."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span: its id, its parent's (empty for none), the service and the operation, and its time in seconds (Unix)."""

    id: str
    parent: str
    service: str
    name: str
    start_s: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class Trace:
    """The spans of a request, at least one."""

    id: str
    spans: tuple[Span, ...]

    @property
    def root(self) -> Span:
        """The span without a parent in the trace that begins first; that of the load generator is not in it."""
        ids = {span.id for span in self.spans}
        return min(self.spans, key=lambda span: (span.parent in ids, span.start_s))

    @property
    def duration_s(self) -> float:
        return self.root.duration_s


@dataclass(frozen=True, slots=True)
class FoundTrace:
    """A trace of a search, of which only the duration is known."""

    id: str
    duration_s: float


def traces_of_jaeger(document: Any) -> list[Trace]:
    """Return the traces of a response of Jaeger. Raises NotTraces."""
    rows = _list(_mapping(document).get("data"))
    return [trace for row in rows if (trace := _jaeger_trace(_mapping(row))) is not None]


def _jaeger_trace(row: Mapping[str, Any]) -> Trace | None:
    processes = _mapping(row.get("processes") or {})
    spans = []
    for each in _list(row.get("spans"))[:MAX_SPANS]:
        span = _mapping(each)
        process = _mapping(processes.get(_text(span.get("processID"))) or {})
        parents = [
            _text(_mapping(reference).get("spanID"))
            for reference in _list(span.get("references") or [])
            if _mapping(reference).get("refType") == "CHILD_OF"
        ]
        spans.append(
            Span(
                id=_text(span.get("spanID")),
                parent=parents[0] if parents else "",
                service=_text(process.get("serviceName")),
                name=_text(span.get("operationName")),
                start_s=_number(span.get("startTime")) / 1e6,
                duration_s=_number(span.get("duration")) / 1e6,
            )
        )
    return Trace(_text(row.get("traceID")), tuple(spans)) if spans else None


def found_by_tempo(document: Any) -> list[FoundTrace]:
    """Return the traces of a search of Tempo. Raises NotTraces."""
    rows = _mapping(document).get("traces")
    if rows is None and "metrics" in document:
        # A search without a result.
        return []
    return [
        # Traces of less than a millisecond have no duration.
        FoundTrace(_text(_mapping(row).get("traceID")), _number(_mapping(row).get("durationMs") or 0) / 1e3)
        for row in _list(rows)
    ]


def trace_of_tempo(trace_id: str, document: Any) -> Trace | None:
    """Return a trace of Tempo, None for one without spans. Raises NotTraces."""
    content = _mapping(document)
    # The second version of the API has the trace below a key; OTLP calls its batches `resourceSpans`.
    content = _mapping(content.get("trace") or content)
    batches = content.get("batches", content.get("resourceSpans"))
    if batches is None:
        raise NotTraces("it has no spans")
    spans = list(_otlp_spans(_list(batches)))[:MAX_SPANS]
    return Trace(trace_id, tuple(spans)) if spans else None


def _otlp_spans(batches: list[Any]) -> Iterator[Span]:
    for each in batches:
        batch = _mapping(each)
        service = _service_of(_mapping(batch.get("resource") or {}))
        scopes = batch.get("scopeSpans") or batch.get("instrumentationLibrarySpans") or []
        for scope in _list(scopes):
            for row in _list(_mapping(scope).get("spans") or []):
                span = _mapping(row)
                start_s = _number(span.get("startTimeUnixNano")) / 1e9
                end_s = _number(span.get("endTimeUnixNano")) / 1e9
                yield Span(
                    id=_text(span.get("spanId")),
                    parent=_text(span.get("parentSpanId") or ""),
                    service=service,
                    name=_text(span.get("name")),
                    start_s=start_s,
                    duration_s=max(0.0, end_s - start_s),
                )


def _service_of(resource: Mapping[str, Any]) -> str:
    for each in _list(resource.get("attributes") or []):
        attribute = _mapping(each)
        if attribute.get("key") == "service.name":
            return _text(_mapping(attribute.get("value") or {}).get("stringValue"))
    return ""


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise NotTraces("an object is missing")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise NotTraces("a list is missing")
    return value


def _text(value: Any) -> str:
    return clean_text(value, _LONGEST_NAME) if isinstance(value, str) else ""


def _number(value: Any) -> float:
    """Return a number, which OTLP's JSON writes as text if it has 64 bits."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise NotTraces("a time is missing") from None
    if isinstance(value, bool) or not math.isfinite(number):
        raise NotTraces("a time is not a number")
    return number

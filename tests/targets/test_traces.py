"""Traces of Tempo and of Jaeger, whichever a URL is of; what is neither is an error with a sentence."""

import json
from typing import Any

import pytest

from obswarm.targets import SourceError, TraceApi
from obswarm.targets import trace_api as module
from obswarm.targets.traces import NotTraces, found_by_tempo, trace_of_tempo, traces_of_jaeger
from tests.support.trace_servers import TraceServer, around, trace_server

BROKEN_S = 1_700_000_000.0
KINDS = ("tempo", "jaeger")


def slowest(server: TraceServer, most: int = 3) -> list[Any]:
    with TraceApi(server.url) as api:
        return api.slowest(BROKEN_S, BROKEN_S + 30, most)


@pytest.mark.parametrize("kind", KINDS)
def test_the_slowest_traces_of_a_time_are_read_with_their_spans(kind: str) -> None:
    with trace_server(kind, around(BROKEN_S)) as server:
        found = slowest(server)
    assert [trace.id for trace in found] == ["17", "16", "15"]
    first = found[0]
    assert (first.root.service, first.root.name, round(first.duration_s, 3)) == ("shop", "POST /submit", 2.12)
    assert [(span.parent, span.service, span.name) for span in first.spans[1:]] == [
        ("a1", "shop", "score"),
        ("b2", "mysql", "UPDATE standings"),
    ]
    assert round(first.spans[2].duration_s, 3) == 2.0


def test_a_search_is_limited_in_time_and_number() -> None:
    with trace_server("tempo", around(BROKEN_S)) as server:
        assert slowest(server, most=2)
    (search,) = [query for path, query in server.requests if path == "/api/search"]
    assert search == {"q": "{}", "start": "1700000000", "end": "1700000030", "limit": "100"}
    assert len([path for path, _ in server.requests if path.startswith("/api/traces/")]) == 2
    with trace_server("jaeger", around(BROKEN_S)) as server:
        assert slowest(server)
    (search,) = [query for path, query in server.requests if path == "/api/traces"]
    assert search == {"service": "shop", "start": "1700000000000000", "end": "1700000030000000", "limit": "100"}


def test_traces_that_tempo_has_removed_since_the_search_are_left_out() -> None:
    with trace_server("tempo", around(BROKEN_S)) as server:
        server.replies["/api/traces/17"] = ("404 Not Found", b"trace not found")
        assert [trace.id for trace in slowest(server)] == ["16", "15"]


@pytest.mark.parametrize(
    ("kind", "replies", "reason"),
    [
        ("tempo", {"/api/search": ("200 OK", b"[1]")}, "returned JSON that is not a response with traces: an object"),
        ("tempo", {"/api/search": ("200 OK", b'{"traces": [1]}')}, "not a response with traces: an object is missing"),
        ("tempo", {"/api/search": ("200 OK", b"{")}, "returned something other than JSON: {"),
        ("tempo", {"/api/search": ("200 OK", b"")}, "answers with nothing"),
        ("tempo", {"/api/search": ("200 OK", b"<html><title>Log in</title>")}, "answers with a page of HTML (Log in)"),
        ("tempo", {"/api/search": ("404 Not Found", b"")}, "has neither Tempo's nor Jaeger's API at /api/search"),
        ("tempo", {"/api/search": ("500 Internal Server Error", b"oh")}, "failed (HTTP 500"),
        ("tempo", {"/api/traces": ("200 OK", b'{"batches": 1}')}, "not a response with traces: a list is missing"),
        ("tempo", {"/api/services": ("401 Unauthorized", b"")}, "wants a user or a token"),
        ("jaeger", {"/api/traces": ("200 OK", b'{"data": null}')}, "not a response with traces: a list is missing"),
        ("jaeger", {"/api/services": ("503 Service Unavailable", b"")}, "is not ready, or has too much to do"),
    ],
)
def test_other_answers_are_errors_with_a_sentence(
    kind: str, replies: dict[str, tuple[str, bytes]], reason: str
) -> None:
    with trace_server(kind, around(BROKEN_S)) as server:
        server.replies |= replies
        with pytest.raises(SourceError) as raised:
            slowest(server)
    assert reason in str(raised.value)
    assert f"at http://{server.address}/prefix" in str(raised.value)


def test_a_server_that_is_not_there_is_an_error() -> None:
    with trace_server("tempo", []) as server:
        pass
    with pytest.raises(SourceError, match="does not answer"):
        slowest(server)


def test_answers_that_are_too_large_and_all_that_takes_too_long_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with trace_server("tempo", around(BROKEN_S)) as server:
        with TraceApi(server.url, deadline_s=-1.0) as api, pytest.raises(SourceError, match="the time for reading"):
            api.slowest(BROKEN_S, BROKEN_S + 30, 3)
        monkeypatch.setattr(module, "_MAX_RESPONSE_BYTES", 200)
        with pytest.raises(SourceError, match="does not answer as it should"):
            slowest(server)


OTLP = {
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
    "scopeSpans": [
        {
            "spans": [
                {"spanId": "a1", "name": "page", "startTimeUnixNano": "1000000000", "endTimeUnixNano": "1500000000"}
            ]
        }
    ],
}
OLD = {**OTLP, "instrumentationLibrarySpans": OTLP["scopeSpans"], "scopeSpans": None}


@pytest.mark.parametrize(
    "document",
    [{"batches": [OTLP]}, {"resourceSpans": [OTLP]}, {"trace": {"resourceSpans": [OTLP]}}, {"batches": [OLD]}],
)
def test_each_version_of_tempo_and_otlp_is_read(document: Any) -> None:
    trace = trace_of_tempo("1", json.loads(json.dumps(document)))
    assert trace is not None
    assert (trace.root.service, trace.root.name, trace.duration_s) == ("shop", "page", 0.5)


def test_searches_without_a_result_have_no_traces() -> None:
    assert found_by_tempo({"metrics": {}}) == []
    assert traces_of_jaeger({"data": []}) == []
    assert trace_of_tempo("1", {"batches": []}) is None


@pytest.mark.parametrize("time", [None, "x", "nan", True, {}, "1e999"])
def test_spans_without_a_time_are_no_traces(time: Any) -> None:
    spans = [{"spanId": "a", "name": "x", "startTimeUnixNano": time, "endTimeUnixNano": "1"}]
    with pytest.raises(NotTraces):
        trace_of_tempo("1", {"batches": [{"resource": {}, "scopeSpans": [{"spans": spans}]}]})

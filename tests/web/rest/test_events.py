"""Server-sent events: what listeners get, once for all, and what happens to those that do not read."""

import json
from typing import Any

import gevent
import pytest

from obswarm.record import Annotation, AnnotationKind
from obswarm.web.rest import events as module
from obswarm.web.rest.events import EventStreams, TooManyListeners
from tests.support.recorded import LOGIN, PAGE, MadeUpRun
from tests.support.stub_test_service import StubTestService, client_of


def parsed(event: bytes) -> tuple[str, Any]:
    """The name and the document of an event."""
    lines = [line for line in event.decode().splitlines() if line]
    fields = dict(line.split(": ", 1) for line in lines)
    assert event.endswith(b"\n\n")
    return fields["event"], json.loads(fields["data"])


@pytest.fixture
def service() -> StubTestService:
    return StubTestService()


def test_a_new_listener_gets_the_state_first(service: StubTestService) -> None:
    stream = service.streams.open()
    name, document = parsed(next(stream))
    assert (name, document["loadtest"], service.streams.listeners) == ("state", "shop.py", 1)
    stream.close()
    assert service.streams.listeners == 0
    service.streams.close()


def test_a_snapshot_has_the_endpoints_that_changed(service: StubTestService) -> None:
    stream = service.streams.open()
    next(stream)
    run = MadeUpRun([service.live])
    run.pass_a_second({PAGE: [0.1], LOGIN: [0.2]})
    run.pass_a_second({PAGE: [0.1]})
    run.pass_a_second({PAGE: [0.1]})
    found = [parsed(next(stream)) for _ in range(3)]
    assert {name for name, _ in found} == {"snapshot"}
    names = [[each["name"] for each in document["endpoints"]] for _, document in found]
    assert names == [["/login", "/page"], ["/login", "/page"], ["/page"]], "once more when it has become 0"
    assert found[1][1]["endpoints"][0]["now"]["rps"] == 0.0
    assert found[0][1]["point"]["rps"] == 2.0
    assert sum(count for _, count in found[0][1]["point"]["heat"]) == 2
    service.streams.close()


def test_annotations_logs_and_resets_are_events(service: StubTestService) -> None:
    stream = service.streams.open()
    next(stream)
    service.live.start(type("Run", (), {"run_id": "r"})())
    service.live.annotation(Annotation(1.0, AnnotationKind.NOTE, "deployed"))
    assert parsed(next(stream)) == ("reset", {"run_id": "r"})
    assert parsed(next(stream)) == ("annotation", {"time_s": 1.0, "kind": "note", "text": "deployed"})
    service.streams.close()


def test_each_event_is_encoded_once_for_all_listeners_and_not_without_any(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []
    original = module.encode
    monkeypatch.setattr(module, "encode", lambda document: encoded.append(document) or original(document))
    streams = EventStreams(dict)
    streams.publish("log", lambda: {"a": 1})
    assert encoded == []
    listeners = [streams.open() for _ in range(5)]
    for each in listeners:
        next(each)
    encoded.clear()
    streams.publish("log", lambda: {"a": 1})
    assert [parsed(next(each)) for each in listeners] == [("log", {"a": 1})] * 5
    assert encoded == [{"a": 1}]
    streams.close()


def test_a_listener_that_does_not_read_is_disconnected() -> None:
    streams = EventStreams(dict)
    slow, fast = streams.open(), streams.open()
    next(slow)
    next(fast)
    for number in range(101):
        streams.publish("log", lambda number=number: number)
        next(fast)
    assert streams.listeners == 1
    assert len(list(slow)) == 99, "what was waiting, without the oldest"
    streams.close()


def test_the_number_of_listeners_is_limited(service: StubTestService) -> None:
    streams = [service.streams.open() for _ in range(module.MOST_LISTENERS)]
    with pytest.raises(TooManyListeners):
        service.streams.open()
    answer = client_of(service).get("/api/v1/events")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    service.streams.close()
    assert [len(list(each)) for each in streams[:2]] == [1, 1], "they end"


def test_the_state_is_sent_once_a_second(service: StubTestService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EVERY_S", 0.001)
    stream = service.streams.open()
    with gevent.Timeout(30):
        names = [parsed(next(stream))[0] for _ in range(3)]
    assert names == ["state"] * 3
    service.streams.close()


def test_the_stream_is_what_the_application_sends(service: StubTestService) -> None:
    answer = client_of(service).get("/api/v1/events")
    assert answer.content_type.startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    assert parsed(next(iter(answer.response)))[0] == "state"
    answer.close()
    assert client_of(service).head("/api/v1/events").content_type.startswith("text/event-stream")
    assert service.streams.listeners == 0

"""Annotations in Grafana: sent in the background, and a Grafana that is away harms nothing."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
import requests
from gevent.event import Event

from obswarm.record import Annotation, AnnotationKind
from obswarm.report import grafana as module
from obswarm.report.grafana import GrafanaAnnotations

RUN: Any = SimpleNamespace(run_id="run-7")


class Grafana:
    """In place of an ApiSession."""

    def __init__(self) -> None:
        self.documents: list[Any] = []
        self.urls: set[str] = set()
        self.replies: int | Exception = 200
        self.may_answer = Event()
        self.may_answer.set()
        self.is_closed = False

    def post(self, url: str, json: Any, timeout: float) -> requests.Response:
        self.may_answer.wait()
        if isinstance(self.replies, Exception):
            raise self.replies
        self.urls.add(url)
        self.documents.append(json)
        response = requests.Response()
        response.status_code, response.url, response._content = self.replies, url, b'{"message": "x"}'
        response.request = requests.Request("POST", url).prepare()
        return response

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def grafana(monkeypatch: pytest.MonkeyPatch) -> Iterator[Grafana]:
    made = Grafana()
    monkeypatch.setattr(module, "ApiSession", lambda *arguments, **options: made)
    yield made
    made.may_answer.set()


def annotation(text: str = "It starts") -> Annotation:
    return Annotation(12.3456, AnnotationKind.START, text)


def test_annotations_are_sent_with_their_time_and_their_run_by_the_time_of_the_end(grafana: Grafana) -> None:
    output = GrafanaAnnotations("http://grafana:3000/", "token")
    output.start(RUN)
    output.annotation(annotation())
    output.annotation(annotation("p95 > <b>2s</b>\x1b[0m"))
    assert grafana.documents == [], "nothing waits for them"
    output.close()
    first, second = grafana.documents
    assert first == {"time": 12345, "tags": ["obswarm", "start", "run-7"], "text": "It starts"}
    assert second["text"].startswith("p95 &gt; &lt;b&gt;2s&lt;/b&gt;")
    assert "\x1b" not in second["text"]
    assert grafana.urls == {"http://grafana:3000/api/annotations"}
    assert grafana.is_closed


@pytest.mark.parametrize("replies", [401, 404, 500, requests.ConnectionError("refused")])
def test_a_grafana_that_refuses_is_warned_of_once(
    grafana: Grafana, caplog: pytest.LogCaptureFixture, replies: int | Exception
) -> None:
    grafana.replies = replies
    output = GrafanaAnnotations("http://grafana:3000", "token")
    output.start(RUN)
    for _ in range(3):
        output.annotation(annotation())
    output.close()
    (record,) = caplog.records
    assert record.getMessage().startswith("An annotation could not be sent to http://grafana:3000/api/annotations: it ")


def test_a_grafana_that_does_not_answer_does_not_keep_the_run_waiting(grafana: Grafana) -> None:
    grafana.may_answer.clear()
    output = GrafanaAnnotations("http://grafana:3000", "token", flush_timeout_s=0.01)
    output.start(RUN)
    output.annotation(annotation())
    with gevent.Timeout(5):
        output.close()
    assert grafana.documents == []


def test_what_does_not_fit_is_left_out_and_told(
    grafana: Grafana, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_QUEUE_SIZE", 2)
    output = GrafanaAnnotations("http://grafana:3000", "token", flush_timeout_s=0.01)
    output.start(RUN)
    for number in range(4):
        output.annotation(annotation(str(number)))
    assert [record.getMessage() for record in caplog.records] == [
        "An annotation could not be sent to http://grafana:3000/api/annotations: the queue is full."
    ]
    output.close()
    assert [document["text"] for document in grafana.documents] == ["0", "1"]


def test_a_run_that_never_started_closes_it(grafana: Grafana) -> None:
    GrafanaAnnotations("http://grafana:3000", "token").close()
    assert grafana.is_closed

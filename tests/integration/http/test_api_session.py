"""What others answer to requests of our own is bounded, whoever asks them for what."""

import json
import logging
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

import obswarm
from obswarm.clock import monotonic
from obswarm.http import AnswerTooLarge, ApiSession, bound_answers
from obswarm.metrics import Receiver, RemoteWriter, SnapshotRegistry
from obswarm.metrics import remote_write as remote_write_module
from obswarm.record import Annotation
from obswarm.report import GrafanaAnnotations
from obswarm.report import grafana as grafana_module
from obswarm.targets import EmbeddedSource, PrometheusSource, Target
from obswarm.targets import prometheus_api as promql_module
from obswarm.targets import scrape as scrape_module
from obswarm.targets.source import SourceError
from obswarm.web import MasterClient, MasterError
from obswarm.web import client as client_module
from tests.support.scripted_server import HANG, PAUSE, Exchange, ScriptedServer, answer
from tests.support.stalls import StallMeter

MOST = 1024 * 1024
ENDLESS = 32 * MOST


def endless(exchange: Exchange) -> None:
    """More than anybody takes; says how much was taken."""
    exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    sent = 0
    try:
        for _ in range(ENDLESS // 65_536):
            exchange.connection.sendall(b"10000\r\n" + b"1" * 65_536 + b"\r\n")
            sent += 65_536
    finally:
        taken.append(sent)
    exchange.connection.sendall(b"0\r\n\r\n")


taken: list[int] = []


@pytest.fixture(autouse=True)
def nothing_taken() -> None:
    taken.clear()


@pytest.fixture
def session() -> Any:
    with ApiSession(MOST, 3) as made:
        yield made


def test_an_answer_as_it_should_be_is_requests_own(session: ApiSession) -> None:
    with ScriptedServer(answer(json.dumps({"a": "ä"}).encode())) as server:
        response = session.get(server.url)
        assert (response.json(), response.ok, response.text) == ({"a": "ä"}, True, '{"a": "\\u00e4"}')
        assert session.get(server.url).status_code == 200
        assert server.connections == 1, "it is kept"


def test_an_answer_without_end_is_left(session: ApiSession) -> None:
    with ScriptedServer(endless) as server, pytest.raises(AnswerTooLarge, match=r"the answer is larger than 1\.0 MiB"):
        session.get(server.url)
    assert taken[0] < ENDLESS / 2


def test_a_redirect_with_too_large_a_body_is_refused(session: ApiSession) -> None:
    def redirect(exchange: Exchange) -> None:
        head = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: %d\r\n\r\n" % ENDLESS
        exchange.connection.sendall(head)
        for _ in range(ENDLESS // 65_536):
            exchange.connection.sendall(b"1" * 65_536)

    with ScriptedServer(redirect) as server, pytest.raises(AnswerTooLarge):
        session.get(server.url)


def test_redirects_that_lead_nowhere_end(session: ApiSession) -> None:
    with ScriptedServer(answer(b"", "302 Found", Location="/again")) as server:
        with pytest.raises(requests.TooManyRedirects):
            session.get(server.url)
        assert len(server.exchanges) == 6


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_an_answer_that_would_become_too_large_is_not_decoded(session: ApiSession, coding: str) -> None:
    window = 31 if coding == "gzip" else 15
    packer = zlib.compressobj(wbits=window)
    bomb = packer.compress(b"\0" * ENDLESS) + packer.flush()
    assert len(bomb) < MOST / 8
    with ScriptedServer(answer(bomb, Content_Encoding=coding)) as server, pytest.raises(AnswerTooLarge):
        session.get(server.url)


def test_an_answer_that_drips_has_no_more_time_than_others() -> None:
    drops = [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"x", PAUSE, b"x", PAUSE, b"x", HANG]
    with ScriptedServer(drops) as server, ApiSession(MOST, 0.5) as session, StallMeter() as stalls:
        began = monotonic()
        with pytest.raises(requests.exceptions.ReadTimeout, match=r"no complete answer within 0\.5s"):
            session.get(server.url, timeout=5)
        assert monotonic() - began < stalls.allowed_s(3)


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"], requests.exceptions.ChunkedEncodingError),
        (answer(b"not gzip at all", Content_Encoding="gzip"), requests.exceptions.ContentDecodingError),
        ([b"SSH-2.0\r\n\r\n"], requests.exceptions.ConnectionError),
    ],
)
def test_what_else_goes_wrong_is_an_exception_of_requests(
    session: ApiSession, pieces: list[bytes], error: type[Exception]
) -> None:
    with ScriptedServer(pieces, close=True) as server, pytest.raises(error):
        session.get(server.url)


def test_a_session_of_somebody_else_can_be_bounded() -> None:
    with ScriptedServer(endless) as server, requests.Session() as plain:
        bound_answers(plain, MOST)
        with pytest.raises(AnswerTooLarge):
            plain.get(server.url)
        with plain.get(server.url, stream=True) as response:
            assert len(next(response.iter_content(1000))) == 1000


def ask_prometheus(url: str) -> str:
    with pytest.raises(SourceError) as raised:
        PrometheusSource(url).query("up")
    return str(raised.value)


def read_a_page(url: str) -> str:
    source = EmbeddedSource([Target("app", url, "app")])
    with ApiSession(scrape_module._MAX_PAGE_BYTES, 5) as session:
        source._scrape(session, source._targets[0])
    (health,) = source.health()
    assert not health.up
    return health.detail


def ask_a_master(url: str) -> str:
    with pytest.raises(MasterError) as raised:
        MasterClient(url, "token").status()
    return str(raised.value)


def push(url: str) -> str:
    writer = RemoteWriter(Receiver(url), SnapshotRegistry())
    assert writer._send(remote_write_module.Batch(b"x", 1)) is False, "it is tried again"
    return ""


def annotate(url: str) -> str:
    annotations = GrafanaAnnotations(url, "token")
    annotations._send(Annotation(1.0, "start", "text"))
    annotations.close()
    return ""


ASKING: dict[str, tuple[Any, str, Callable[[str], str]]] = {
    "Prometheus": (promql_module, "_MAX_RESPONSE_BYTES", ask_prometheus),
    "a metrics page": (scrape_module, "_MAX_PAGE_BYTES", read_a_page),
    "a master": (client_module, "_LARGEST_ANSWER_BYTES", ask_a_master),
    "a receiver": (remote_write_module, "_MAX_RESPONSE_BYTES", push),
    "Grafana": (grafana_module, "_MAX_RESPONSE_BYTES", annotate),
}


@pytest.mark.parametrize("whom", ASKING)
def test_whoever_is_asked_is_named_when_the_answer_has_no_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, whom: str
) -> None:
    module, name, ask = ASKING[whom]
    assert getattr(module, name) <= 256 * MOST
    monkeypatch.setattr(module, name, MOST)
    with ScriptedServer(endless) as server, caplog.at_level(logging.WARNING):
        said = ask(server.url) or caplog.text
        assert "the answer is larger than 1.0 MiB" in said
    assert taken[0] < ENDLESS / 2


UNBOUNDED = re.compile(r"requests\.(Session|get|post|put|patch|delete|head|request)\(")


def test_nobody_in_the_package_asks_without_a_limit() -> None:
    package = Path(obswarm.__file__).parent
    texts = {path.relative_to(package).as_posix(): path.read_text() for path in package.rglob("*.py")}
    found = {name for name, text in texts.items() if "import requests" in text and UNBOUNDED.search(text)}
    # A process without gevent has a limit of its own, which tests/e2e/test_mcp.py tests.
    assert found == {"web/mcp.py"}, "use obswarm.http.ApiSession"

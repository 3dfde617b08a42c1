"""What is counted of a streamed response, and when: the same of both clients."""

import gzip
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import pytest
import requests

from obswarm import http
from tests.support.scripted_server import HANG, PAUSE, RESET, Script, ScriptedServer, answer

HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH = HEAD + b"Content-Length: 10\r\n\r\n"
CHUNKS = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PACKED = gzip.compress(b"hello" * 100)
CUT_OFF = "closed the connection in the middle of its answer's body"
REDIRECT = answer(status="302 Found", Location="/there")


class Stream(NamedTuple):
    scripts: tuple[Script, ...]
    received: int
    error: str | None = None
    close: bool = False


STREAMS = {
    "whole": Stream((answer(b"hello"),), 5),
    "whole, later": Stream(([LENGTH, PAUSE, b"0123456789"],), 10),
    "compressed": Stream(
        ([LENGTH.replace(b"10", b"%d" % len(PACKED)).strip() + b"\r\nContent-Encoding: gzip\r\n\r\n", PACKED],),
        len(PACKED),
    ),
    "chunks": Stream(([CHUNKS + b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"],), 5),
    "until it closes": Stream(([HEAD + b"\r\n", b"hello"],), 5, close=True),
    "204 with a length": Stream(([b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"],), 0),
    "redirected": Stream((REDIRECT, [LENGTH, b"0123456789"]), 10),
    "cut off": Stream(([LENGTH + b"abc"],), 3, CUT_OFF, close=True),
    "reset": Stream(([LENGTH + b"abc", PAUSE, RESET],), 3, "reset by peer"),
    "chunks cut off": Stream(([CHUNKS + b"3\r\nabc\r\n"],), 3, CUT_OFF, close=True),
    "chunks that are none": Stream(([CHUNKS, PAUSE, b"xyz\r\n"],), 0, "did not answer in HTTP"),
    "silent": Stream(([LENGTH + b"ab", HANG],), 2, "for 0.2s"),
    "redirected and cut off": Stream((REDIRECT, [LENGTH + b"abc"]), 3, CUT_OFF, close=True),
    "an error": Stream(([b"HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\n", b"abc"],), 3, "HTTP 500"),
}


def pieces(response: Any) -> None:
    for _ in response.iter_content(100):
        pass


def in_a_block(response: Any) -> None:
    with response:
        pieces(response)


WAYS: dict[str, Callable[[Any], object]] = {
    "pieces": pieces,
    "lines": lambda response: list(response.iter_lines()),
    "content": lambda response: response.content,
    "raw": lambda response: response.raw.read(),
    "block": in_a_block,
}


@pytest.fixture
def counted(environment) -> Callable[[], tuple[int, int, int, list[str]]]:
    """Requests, failures, bytes, and texts of errors since it was last asked."""

    def look() -> tuple[int, int, int, list[str]]:
        table = environment.recorder.take()
        total = table.total()
        return total.requests, total.failures, total.response_bytes, [key.message for key in table.errors]

    return look


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_counted_with_what_came(name: str, session_of, counted) -> None:
    stream = STREAMS[name]
    with ScriptedServer(*stream.scripts, close=stream.close) as server:
        client = session_of(server.url)
        for judged in (False, True):
            server.scripts = list(stream.scripts)
            broken = stream.error is not None and not stream.error.startswith("HTTP")
            # Short only where nothing comes: also on a busy machine everything else is there within ten seconds.
            timeout = 0.2 if any(HANG in script for script in stream.scripts) else 10
            response = client.get("/", stream=True, timeout=timeout, catch_response=judged)
            with pytest.raises(Exception, match=stream.error) if broken else nullcontext(), response:
                pieces(response)
            requests_counted, failures, received, texts = counted()
            assert (requests_counted, failures, received) == (1, int(stream.error is not None), stream.received)
            assert len(texts) == failures
            assert all(stream.error in text and "(" not in text.removesuffix(" (server error)") for text in texts)


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_is_counted_however_it_is_read(way: str, session_of, counted, environment) -> None:
    with ScriptedServer([LENGTH, PAUSE, b"01234", b"56789"], [LENGTH, b"01234", RESET]) as server:
        client = session_of(server.url)
        response = client.get("/", stream=True)
        assert counted() == (0, 0, 0, [])
        assert len(environment.recorder.pending) == 1
        WAYS[way](response)
        assert counted() == (1, 0, 10, [])
        assert not environment.recorder.pending
        with pytest.raises(Exception, match="reset by peer"):
            WAYS[way](client.get("/", stream=True))
        assert counted()[:2] == (1, 1)
        assert not environment.recorder.pending


def test_a_stream_that_is_left_early_is_counted_with_the_bytes_that_came(session_of, counted) -> None:
    with ScriptedServer([LENGTH + b"hello", HANG]) as server:
        client = session_of(server.url)
        with client.get("/", stream=True) as response:
            assert next(response.iter_content(5)) == b"hello"
            assert counted() == (0, 0, 0, [])
        assert counted() == (1, 0, 5, [])
        client.get("/", stream=True).close()
        assert counted()[:2] == (1, 0)
        client.get("/", stream=True)
        assert counted()[:2] == (1, 0)


def test_a_judged_stream_is_counted_as_judged(session_of, counted) -> None:
    with ScriptedServer([LENGTH, b"0123456789"]) as server:
        client = session_of(server.url)
        with client.get("/", stream=True, catch_response=True) as response:
            if response.content == b"0123456789":
                response.failure("digits")
        assert counted() == (1, 1, 10, ["digits"])


def test_listeners_hear_of_a_stream_once_it_has_ended(session_of, environment) -> None:
    told: list[dict[str, Any]] = []
    environment.events.request.add_listener(lambda **event: told.append(event))
    with ScriptedServer([LENGTH, PAUSE, b"0123456789"]) as server:
        response = session_of(server.url).get("/", stream=True, name="stream")
        assert not told
        assert response.content == b"0123456789"
    (event,) = told
    assert (event["name"], event["response_length"], event["exception"]) == ("stream", 10, None)
    assert event["response"] is response
    assert response.timings.download_s >= 0.05


def test_a_hook_that_reads_a_stream_does_not_lose_it(environment, counted) -> None:
    def read(response: requests.Response, **_: Any) -> None:
        assert response.content == b"0123456789"

    with ScriptedServer([LENGTH, PAUSE, b"0123456789"]) as server, http.HttpSession(environment, server.url) as client:
        client.get("/", stream=True, hooks={"response": read})
        assert counted() == (1, 0, 10, [])
        client.stream = True
        response = client.get("/")
        assert counted() == (0, 0, 0, [])
        assert response.content == b"0123456789"
    assert counted() == (1, 0, 10, [])

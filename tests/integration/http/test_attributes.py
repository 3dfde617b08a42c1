"""What the responses of both clients say, where it is not left to requests."""

import gzip
import pickle
from typing import Any

import pytest

from obswarm.api import Environment
from obswarm.http import FastHttpSession, HttpSession, StreamConsumed
from tests.support.scripted_server import ScriptedServer, answer

KINDS = (FastHttpSession, HttpSession)
CODED = gzip.compress(b"one\ntwo")


@pytest.mark.parametrize("kind", KINDS)
def test_the_body_before_it_is_decoded(kind: Any, environment: Environment) -> None:
    coded = answer(CODED, Content_Encoding="gzip")
    with ScriptedServer(answer(b"plain"), coded) as server, kind(environment, server.url) as client:
        assert client.get("/").raw_body == b"plain"
        response = client.get("/")
        assert (response.raw_body, response.content) == (CODED, b"one\ntwo")
        assert pickle.loads(pickle.dumps(response)).raw_body == CODED
        streamed = client.get("/", stream=True)
        assert (streamed.raw_body, streamed.content) == (CODED, b"one\ntwo")
    assert client.get("http://127.0.0.1:1/").raw_body == b""


def test_of_a_stream_that_requests_has_read_it_is_gone(environment: Environment) -> None:
    coded = answer(CODED, Content_Encoding="gzip")
    with ScriptedServer(coded) as server, HttpSession(environment, server.url) as client:
        response = client.get("/", stream=True)
        assert response.content == b"one\ntwo"
        with pytest.raises(StreamConsumed):
            _ = response.raw_body


@pytest.mark.parametrize("kind", KINDS)
def test_lines_are_bytes_as_those_of_requests(kind: Any, environment: Environment) -> None:
    with ScriptedServer(answer("eins\r\nzwölf".encode(), Content_Type="text/plain; charset=utf-8")) as server:
        client = kind(environment, server.url)
        for stream in (False, True):
            assert list(client.get("/", stream=stream).iter_lines()) == [b"eins", "zwölf".encode()]
            assert list(client.get("/", stream=stream).iter_lines(decode_unicode=True)) == ["eins", "zwölf"]
        client.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [200, 302, 399, 400, 599, 600, 700, 999])
def test_what_is_counted_as_a_failure_is_not_ok(kind: Any, status: int, environment: Environment) -> None:
    with ScriptedServer(answer(b"", status=f"{status} Odd")) as server, kind(environment, server.url) as client:
        response = client.get("/")
        assert response.ok == (status < 400)
        if status >= 400:
            with pytest.raises(Exception, match=str(status)):
                response.raise_for_status()
    assert environment.recorder.take().endpoints["GET", "/", ""].failures == int(status >= 400)


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_without_a_reason_is_named_as_the_standard_has_it(kind: Any, environment: Environment) -> None:
    bare = [b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n"]
    with ScriptedServer(bare) as server, kind(environment, server.url) as client:
        assert client.get("/").reason == ""
    (error,) = environment.recorder.take().errors
    assert error.message == "HTTP 404 Not Found (client error)"

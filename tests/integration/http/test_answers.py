"""Awkward but legal answers, and illegal ones, over real sockets: each ends as a response or as a clear failure."""

import gzip
import time
import zlib

import brotli
import gevent
import pytest
import zstandard

from obswarm.api import Environment
from obswarm.http import DecodingError, HttpUser
from tests.support.scripted_server import HANG, PAUSE, RESET, ScriptedServer, answer, byte_by_byte
from tests.support.stalls import StallMeter

pytestmark = pytest.mark.usefixtures("no_leaked_socket")

LEGAL = [
    ([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"], 200, b"hello"),
    ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\nhe\r\n", b"3;a=b\r\nllo\r\n0\r\nX: y\r\n\r\n"], 200, b"hello"),
    ([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", *answer(b"hello")], 200, b"hello"),
    ([b"HTTP/1.1 204 No Content\r\n\r\n"], 204, b""),
    ([b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n"], 304, b""),
    ([b"HTTP/1.1 200\r\ncontent-LENGTH:5\r\n\r\nhello"], 200, b"hello"),
    ([b"HTTP/1.1 299 Odd \xe4\xf6\xfc\r\nContent-Length: 5\r\nX: \xff\r\n\r\nhello"], 299, b"hello"),
    ([b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"], 200, b"hello"),
]  # fmt: skip


@pytest.mark.parametrize("pieces", [case[0] for case in LEGAL])
@pytest.mark.parametrize("how", ["as it is", "byte by byte"])
def test_legal_answers(make_session, pieces: list[bytes], how: str) -> None:
    _, status, body = next(case for case in LEGAL if case[0] is pieces)
    with ScriptedServer(byte_by_byte(*pieces) if how == "byte by byte" else pieces) as server:
        session = make_session(server.url)
        for _ in range(2):
            response = session.get("/")
            assert (response.error, response.status_code, response.content) == (None, status, body)
        assert server.connections == 1


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK",
    ],
)
def test_answers_that_end_the_connection(make_session, head: bytes) -> None:
    with ScriptedServer([head + b"\r\n\r\nhel", b"lo"], close=True) as server:
        session = make_session(server.url)
        for number in (1, 2):
            response = session.get("/")
            assert (response.error, response.content) == (None, b"hello")
            assert server.connections == number


ILLEGAL = {
    "no HTTP": ([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"], "did not answer in HTTP"),
    "bad status line": ([b"HTTP/1.1 abc OK\r\n\r\n"], "did not answer in HTTP"),
    "no end of the headers": ([b"HTTP/1.1 200 OK\r\n", *([b"X-Filler: " + b"x" * 60_000 + b"\r\n"] * 6)], "more than 256 KiB of headers"),
    "bad chunk size": ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"], "did not answer in HTTP"),
    "chunk longer than said": ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n"], "did not answer in HTTP"),
    "two lengths": ([b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"], "did not answer in HTTP"),
    "truncated body": ([b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"], "in the middle of its answer's body"),
    "truncated chunks": ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"], "in the middle of its answer's body"),
    "truncated headers": ([b"HTTP/1.1 200 OK\r\nContent-Le"], "in the middle of its answer's headers"),
    "no answer": ([], "closed the connection without an answer"),
    "reset": ([RESET], "broke: Connection reset by peer"),
    "reset in the body": ([b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", PAUSE, RESET], "broke: Connection reset by peer"),
    "endless interim answers": ([b"HTTP/1.1 102 Processing\r\n\r\n"] * 150, "more than 100 interim answers"),
}  # fmt: skip


@pytest.mark.parametrize("case", ILLEGAL)
def test_illegal_answers_are_failures_that_say_why(make_session, environment, case: str) -> None:
    pieces, message = ILLEGAL[case]
    with ScriptedServer(pieces, close=True) as server:
        session = make_session(server.url)
        response = session.get("/page")
        assert response.status_code == 0
        assert not response.ok
        assert message in str(response.error)
        assert f"127.0.0.1:{server.port}" in str(response.error)
        with pytest.raises(type(response.error)):
            response.raise_for_status()
    table = environment.recorder.take()
    assert [(stats.requests, stats.failures) for stats in table.endpoints.values()] == [(1, 1)]
    assert session.pool.open_connections == 0


def test_silence_ends_with_the_read_timeout(make_session) -> None:
    with ScriptedServer([HANG]) as server, StallMeter() as stalls:
        started = time.monotonic()
        response = make_session(server.url).get("/", timeout=0.2)
        assert "nothing came from" in str(response.error)
        assert "for 0.2s" in str(response.error)
        assert 0.19 < time.monotonic() - started < stalls.allowed_s(2)


def test_a_slow_drip_is_not_silence_but_ends_with_the_total_timeout(make_session) -> None:
    drip = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b"x", PAUSE] * 100]
    with ScriptedServer(drip) as server, StallMeter() as stalls:
        session = make_session(server.url)
        started = time.monotonic()
        response = session.get("/", timeout=3, total_timeout=3.5)
        assert "before the total timeout was over" in str(response.error)
        assert 3.4 < time.monotonic() - started < stalls.allowed_s(5.3)
        assert session.pool.open_connections == 0


def test_the_total_timeout_of_the_class(make_session) -> None:
    with ScriptedServer([HANG]) as server:
        response = make_session(server.url, total_timeout=0.2).get("/")
        assert "total timeout" in str(response.error)


def test_a_user_who_is_cut_off_leaves_no_connection(make_session, environment) -> None:
    with ScriptedServer([HANG]) as server:
        session = make_session(server.url)
        greenlet = gevent.spawn(session.get, "/")
        while not server.exchanges:
            gevent.sleep(0.01)
        greenlet.kill()
        assert session.pool.open_connections == 0
    table = environment.recorder.take()
    assert table.interrupted == 1
    assert not table.endpoints


CODINGS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "gzip, br": lambda body: brotli.compress(gzip.compress(body)),
    "identity": bytes,
    "unheard-of": bytes,
}


@pytest.mark.parametrize("coding", CODINGS)
def test_content_codings_are_undone_when_the_body_is_read(make_session, environment, coding: str) -> None:
    body = "grün ".encode() * 200
    coded = CODINGS[coding](body)
    with ScriptedServer(answer(coded, Content_Encoding=coding)) as server:
        session = make_session(server.url)
        response = session.get("/")
        assert response.raw_body == coded
        assert response.content == body
        assert response.text == body.decode()
        streamed = session.get("/", stream=True)
        assert b"".join(streamed.iter_content(100)) == body
    (stats,) = environment.recorder.take().endpoints.values()
    assert stats.response_bytes == 2 * len(coded)


def test_deflate_without_its_wrapper_and_gzip_in_members(make_session) -> None:
    raw = zlib.compressobj(wbits=-15)
    bare = raw.compress(b"hello") + raw.flush()
    members = gzip.compress(b"hel") + gzip.compress(b"lo")
    with ScriptedServer(answer(bare, Content_Encoding="deflate"), answer(members, Content_Encoding="gzip")) as server:
        session = make_session(server.url)
        assert [session.get("/").content for _ in range(2)] == [b"hello", b"hello"]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("damage", ["not it at all", "cut off"])
def test_a_damaged_body_is_a_failure(make_session, user_of, environment: Environment, coding: str, damage: str) -> None:
    coded = b"definitely not" if damage == "not it at all" else CODINGS[coding](bytes(range(256)) * 9)[:-9]
    with ScriptedServer(answer(coded, Content_Encoding=coding)) as server:
        for client in (make_session(server.url), user_of(HttpUser, server.url).client):
            response = client.get("/")
            assert (response.status_code, response.content, response.ok) == (0, b"", False)
            assert f"the body is not {coding}" in str(response.error)
            assert environment.recorder.take().endpoints["GET", "/", ""].failures == 1
        client = make_session(server.url)
        assert client.get("/", discard_body=True).ok
        for read in (lambda each: each.content, lambda each: list(each.iter_content(3))):
            with pytest.raises(DecodingError, match=f"the body is not {coding}"):
                read(client.get("/", stream=True))


def test_an_empty_body_with_a_coding_is_empty(make_session) -> None:
    with ScriptedServer(answer(b"", Content_Encoding="gzip")) as server:
        assert make_session(server.url).get("/").content == b""

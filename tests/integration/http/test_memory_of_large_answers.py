"""What large answers take of a worker's memory: about `max_response_bytes` for each that is under way, once."""

import gzip
import os
from collections.abc import Callable

import pytest

from obswarm.http import ConnectionLost, FastHttpUser, HttpUser, ResponseTooLarge
from tests.support.client_memory import measure
from tests.support.scripted_server import HANG, Exchange, ScriptedServer, answer

MIB = 1024 * 1024
LARGEST = 32 * MIB
USERS = 2
BOTH = pytest.mark.parametrize("kind", [FastHttpUser, HttpUser])


def chunks(total: int, size: int = 65_536) -> Callable[[Exchange], None]:
    def send(exchange: Exchange) -> None:
        exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n" % size + b"x" * size + b"\r\n"
        together = max(1, 65_536 // size)
        for _ in range(total // size // together):
            exchange.connection.sendall(chunk * together)
        exchange.connection.sendall(b"0\r\n\r\n")

    return send


def with_a_length(total: int) -> Callable[[Exchange], None]:
    def send(exchange: Exchange) -> None:
        exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        for _ in range(total // 65_536):
            exchange.connection.sendall(b"x" * 65_536)

    return send


def until_it_closes(exchange: Exchange) -> None:
    exchange.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(4 * LARGEST // 65_536):
        exchange.connection.sendall(b"x" * 65_536)
    exchange.connection.close()


UNANNOUNCED = {"in chunks": chunks(4 * LARGEST), "until it closes": until_it_closes}


@BOTH
@pytest.mark.parametrize("script", UNANNOUNCED)
def test_failing_bodies_take_no_more_than_the_limit_for_each_user(kind: type, script: str) -> None:
    with ScriptedServer(UNANNOUNCED[script]) as server:
        results, grown = measure(kind, server.url, LARGEST, USERS, 4)
    assert len(results) == USERS * 4
    assert all("the body is larger than 32 MiB" in each for each in results)
    assert grown < 3 * LARGEST


@BOTH
def test_an_announced_body_that_is_too_large_is_not_read(kind: type) -> None:
    with ScriptedServer(with_a_length(4 * LARGEST)) as server:
        results, grown = measure(kind, server.url, LARGEST, USERS, 4)
    assert all("the body is larger than 32 MiB" in each for each in results)
    assert grown < LARGEST // 4


@BOTH
@pytest.mark.parametrize("script", [with_a_length(2 * LARGEST), chunks(2 * LARGEST)], ids=["length", "chunks"])
def test_a_large_body_is_in_memory_once(kind: type, script: Callable[[Exchange], None]) -> None:
    with ScriptedServer(script) as server:
        results, grown = measure(kind, server.url, 2 * LARGEST + MIB, 1, 3)
    assert results == [str(2 * LARGEST)] * 3
    assert grown < 1.5 * 2 * LARGEST


def test_a_body_of_300_mb_is_in_memory_once() -> None:
    with ScriptedServer(with_a_length(300 * MIB)) as server:
        results, grown = measure(FastHttpUser, server.url, 0, 1, 1)
    assert results == [str(300 * MIB)]
    assert grown < 1.2 * 300 * MIB


@BOTH
def test_a_body_that_is_thrown_away_takes_no_memory(kind: type) -> None:
    with ScriptedServer(chunks(4 * LARGEST)) as server:
        results, grown = measure(kind, server.url, LARGEST, USERS, 1, discard=True)
    assert results == ["200"] * USERS
    assert grown < LARGEST // 4


def test_tiny_chunks_take_no_more_than_others() -> None:
    with ScriptedServer(chunks(8 * MIB, 2)) as server:
        results, grown = measure(FastHttpUser, server.url, LARGEST, 1, 1)
    assert results == [str(8 * MIB)]
    assert grown < 3 * LARGEST


def test_responses_that_failed_in_decoding_keep_nothing() -> None:
    body = gzip.compress(os.urandom(LARGEST - MIB) + b"\0" * LARGEST, 1)
    assert len(body) < LARGEST
    with ScriptedServer(answer(body, Content_Encoding="gzip")) as server:
        results, grown = measure(HttpUser, server.url, LARGEST, 1, 4, keep=True)
    assert all("the decoded body is larger than 32 MiB" in each for each in results)
    assert grown < 3 * LARGEST


@BOTH
@pytest.mark.parametrize(
    "head", [b"Content-Length: 1048577", b"content-LENGTH:1048577", b"X: y\r\nContent-Length:  1048577 "]
)
def test_an_announced_body_fails_before_any_of_it_has_come(user_of, kind: type, head: bytes) -> None:
    with ScriptedServer([b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n", head + b"\r\n\r\n", HANG]) as server:
        response = user_of(kind, server.url, MIB).client.get("/", timeout=20)
        assert "the body is larger than 1.0 MiB (max_response_bytes)" in str(response.error)


def test_a_body_that_looks_like_a_header_announces_nothing(user_of) -> None:
    text = b"\nContent-Length: 99999999999\n"
    pieces = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1d\r\n" + text, b"\r\n0\r\n\r\n"]
    with ScriptedServer(pieces) as server:
        assert user_of(FastHttpUser, server.url, MIB).client.get("/").content == text


@pytest.mark.parametrize("length", [10**12, 2**63])
def test_an_absurd_length_without_a_limit_reserves_no_memory(user_of, length: int) -> None:
    pieces = [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length, b"x" * 5 * MIB]
    with ScriptedServer(pieces, close=True) as server:
        response = user_of(FastHttpUser, server.url, None).client.get("/")
        assert isinstance(response.error, ConnectionLost)


@BOTH
@pytest.mark.parametrize("size", [100, 300_000, 5 * MIB])
def test_the_limit_is_exact(user_of, kind: type, size: int) -> None:
    with ScriptedServer(answer(b"x" * size), answer(b"x" * (size + 1))) as server:
        client = user_of(kind, server.url, size).client
        assert client.get("/").content == b"x" * size
        assert "(max_response_bytes)" in str(client.get("/").error)


@pytest.mark.parametrize("size", [MIB + 1, 4 * MIB, 7 * MIB])
def test_a_large_body_is_what_was_sent(user_of, size: int) -> None:
    body = os.urandom(size)
    in_chunks = (
        b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:MIB], body[MIB:])) + b"0\r\n\r\n"
    )
    chunked = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", in_chunks]
    for kind in (FastHttpUser, HttpUser):
        with ScriptedServer(answer(body), chunked) as server:
            client = user_of(kind, server.url, 8 * MIB).client
            assert client.get("/").content == body
            assert client.get("/").content == body
            assert server.connections == 1
            assert type(client.get("/").content) is bytes


@pytest.mark.parametrize("size", [MIB, 6 * MIB])
def test_one_byte_too_many_at_the_end_of_chunks_is_a_failure(user_of, size: int) -> None:
    with ScriptedServer(chunks(size)) as server:
        response = user_of(FastHttpUser, server.url, size - 1).client.get("/")
        assert isinstance(response.error, ResponseTooLarge)


@BOTH
@pytest.mark.parametrize("size", [MIB, 6 * MIB])
def test_what_comes_behind_a_large_body_does_not_spoil_it(user_of, kind: type, size: int) -> None:
    body = b"x" * size
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, body)
    with ScriptedServer([whole + b"HTTP/1.1 200 OK\r\n"]) as server:
        assert user_of(kind, server.url, size).client.get("/").content == body

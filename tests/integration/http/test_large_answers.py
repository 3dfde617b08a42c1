"""Bodies without end: of plain requests they are a failure, and neither they nor what they would become stay in memory."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import brotli
import pytest
import zstandard

from obswarm.api import Environment, ObswarmError
from obswarm.http import DecodingError, FastHttpUser, HttpUser, ResponseTooLarge
from obswarm.http.codings import decode, decoded
from tests.support.scripted_server import Exchange, ScriptedServer, answer

MOST = 1024 * 1024
ENDLESS = 64 * MOST


def chunked(exchange: Exchange) -> None:
    exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(ENDLESS // 65_536):
        exchange.connection.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
    exchange.connection.sendall(b"0\r\n\r\n")


def with_a_length(exchange: Exchange) -> None:
    exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % ENDLESS)
    for _ in range(ENDLESS // 65_536):
        exchange.connection.sendall(b"x" * 65_536)


def until_it_closes(exchange: Exchange) -> None:
    exchange.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(ENDLESS // 65_536):
        exchange.connection.sendall(b"x" * 65_536)
    exchange.connection.close()


@pytest.mark.parametrize("kind", [FastHttpUser, HttpUser])
@pytest.mark.parametrize("script", [chunked, with_a_length, until_it_closes])
def test_a_body_without_end_is_a_failure_and_its_connection_is_closed(
    environment: Environment, user_of, kind: type, script: Callable[[Exchange], None]
) -> None:
    with ScriptedServer(script, answer(b"fine")) as server:
        client = user_of(kind, server.url).client
        response = client.get("/")
        assert response.status_code == 0
        assert "the body is larger than 1.0 MiB (max_response_bytes)" in str(response.error)
        assert client.get("/").content == b"fine"
        assert server.connections == 2
    (errors,) = environment.recorder.take().errors.values()
    assert errors.count == 1


@pytest.mark.parametrize("kind", [FastHttpUser, HttpUser])
def test_a_body_as_large_as_the_limit_is_none(user_of, kind: type) -> None:
    body = b"x" * (MOST - 1000)
    with ScriptedServer(answer(body)) as server:
        assert user_of(kind, server.url).client.get("/").content == body


@pytest.mark.parametrize("kind", [FastHttpUser, HttpUser])
@pytest.mark.parametrize("most", [None, 0])
def test_without_a_limit_all_of_it_is_read(user_of, kind: type, most: int | None) -> None:
    with ScriptedServer(with_a_length) as server:
        assert len(user_of(kind, server.url, most).client.get("/").content) == ENDLESS


@pytest.mark.parametrize("kind", [FastHttpUser, HttpUser])
def test_a_streamed_body_may_be_of_any_size(environment: Environment, user_of, kind: type) -> None:
    with ScriptedServer(chunked) as server:
        with user_of(kind, server.url).client.get("/", stream=True) as response:
            assert sum(map(len, response.iter_content(65_536))) == ENDLESS
        assert not environment.recorder.take().errors


def test_the_answer_to_a_request_with_a_large_body_is_bounded_as_well(user_of) -> None:
    with ScriptedServer(chunked) as server:
        response = user_of(FastHttpUser, server.url).client.post("/", data=b"y" * (2 * MOST))
        assert isinstance(response.error, ResponseTooLarge)


@pytest.mark.parametrize("kind", [FastHttpUser, HttpUser])
@pytest.mark.parametrize("value", [-1, "1MiB", True, 1.5])
def test_a_limit_that_is_none_is_an_error_of_the_load_test(user_of, kind: type, value: object) -> None:
    with pytest.raises(ObswarmError, match=r"Visitor\.max_response_bytes is .*; it has to be a whole number of bytes"):
        user_of(kind, "http://127.0.0.1:9", value)


BOMB_BYTES = 256 * MOST


def gzip_bomb() -> bytes:
    return gzip.compress(b"\0" * BOMB_BYTES)


def deflate_bomb() -> bytes:
    return zlib.compress(b"\0" * BOMB_BYTES)


def brotli_bomb() -> bytes:
    return bytes(brotli.compress(b"\0" * BOMB_BYTES, quality=3))


def zstandard_bomb() -> bytes:
    return zstandard.ZstdCompressor().compress(b"\0" * BOMB_BYTES)


BOMBS = {"gzip": gzip_bomb, "deflate": deflate_bomb, "br": brotli_bomb, "zstd": zstandard_bomb}


@pytest.fixture(scope="module", params=BOMBS)
def bomb(request: pytest.FixtureRequest) -> tuple[str, bytes]:
    return request.param, BOMBS[request.param]()


@pytest.fixture
def most_memory() -> Iterator[Callable[[], int]]:
    """The most bytes that Python objects had since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def test_a_body_that_would_become_too_large_is_not_decoded_to_its_end(bomb: tuple[str, bytes], most_memory) -> None:
    coding, body = bomb
    with pytest.raises(ResponseTooLarge, match="the decoded body is larger than 8.0 MiB"):
        decode(body, coding, 8 * MOST)
    assert most_memory() < 48 * MOST


def test_a_stream_of_it_comes_in_pieces_of_moderate_size(bomb: tuple[str, bytes], most_memory) -> None:
    coding, body = bomb
    assert sum(map(len, decoded([body], coding))) == BOMB_BYTES
    assert most_memory() < 48 * MOST


def test_such_an_answer_is_a_failure(user_of, bomb: tuple[str, bytes]) -> None:
    coding, body = bomb
    with ScriptedServer(answer(body, Content_Encoding=coding)) as server:
        for kind in (FastHttpUser, HttpUser):
            failed = user_of(kind, server.url).client.get("/")
            assert failed.content == b""
            assert "the decoded body is larger than 1.0 MiB" in str(failed.error)


def test_a_body_with_hundreds_of_codings_is_refused() -> None:
    with pytest.raises(DecodingError, match="200 content codings; 5 are the most"):
        decode(b"x", ", ".join(["gzip"] * 200))

"""What a server does to a connection that nobody uses at the moment is no answer to the next request, and a request for
which one was closed is sent once more, and once only."""

import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
import trustme

from obswarm import http
from obswarm.http.client.settings import Settings
from obswarm.http.tls import TlsSettings
from tests.support.patience import HANG_S
from tests.support.scripted_server import PAUSE, RESET, Exchange, Script, ScriptedServer, answer

UNASKED = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(params=["fast", "http"])
def client_of(request, environment) -> Iterator[Callable[[str], Any]]:
    """client_of(url) gives a client that takes any certificate."""
    made: list[Any] = []

    def make(url: str) -> Any:
        if request.param == "fast":
            made.append(http.FastHttpSession(environment, url, settings=Settings(tls=TlsSettings(False))))
        else:
            made.append(http.HttpSession(environment, url))
            made[-1].verify = made[-1].trust_env = False
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def tls() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


def counted(environment: Any) -> tuple[int, int]:
    total = environment.recorder.take().total()
    return total.requests, total.failures


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("unasked", "hangs_up"), [(UNASKED, False), (UNASKED, True), (b"", True), (b"x", False)], ids=repr
)
def test_an_idle_connection_with_anything_unasked_is_not_used_again(
    unasked: bytes, hangs_up: bool, scheme: str, client_of, environment, tls
) -> None:
    with ScriptedServer(answer(b"asked"), tls=tls if scheme == "https" else None) as server:
        client = client_of(server.url)
        for number in range(1, 4):
            response = client.post("/", data=b"once")
            assert (response.status_code, response.content) == (200, b"asked")
            assert (len(server.exchanges), server.connections) == (number, number)
            connection = server.exchanges[-1].connection
            if unasked:
                connection.sendall(unasked)
            if hangs_up:
                connection.shutdown(socket.SHUT_WR)
            # Idle is what is not used again at once.
            gevent.sleep(0.001)
    assert counted(environment) == (3, 0)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_closes_without_saying_so_is_found_out_once(
    scheme: str, client_of, environment, tls, monkeypatch
) -> None:
    # Whatever the machine does meanwhile, the connection is used again at once.
    monkeypatch.setattr("obswarm.http.pool._FRESH_S", 60)
    with ScriptedServer([*answer(b"asked"), b""], tls=tls if scheme == "https" else None) as server:
        client = client_of(server.url)
        for _ in range(4):
            response = client.post("/", data=b"once")
            assert (response.status_code, response.content) == (200, b"asked")
            server.exchanges[-1].connection.shutdown(socket.SHUT_RDWR)
            gevent.sleep(0.001)
        assert (len(server.exchanges), server.connections) == (4, 4)
    assert counted(environment) == (4, 0)


def test_a_connection_of_tls_on_which_nothing_came_is_used_again(client_of, tls) -> None:
    with ScriptedServer(answer(b"asked"), tls=tls) as server:
        client = client_of(server.url)
        assert [client.get("/").content for _ in range(5)] == [b"asked"] * 5
        assert server.connections == 1


def test_an_answer_too_many_right_behind_one_over_tls_is_none(client_of, tls) -> None:
    # Records of their own, which arrive together.
    with ScriptedServer(answer(b"asked") * 2, answer(b"other"), tls=tls) as server:
        client = client_of(server.url)
        assert client.get("/").content == b"asked"
        assert client.get("/").content == b"other"


def closes(exchange: Exchange) -> None:
    exchange.connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("end", [[RESET], closes], ids=["reset", "closed"])
@pytest.mark.parametrize("again", [False, True])
def test_a_request_is_sent_once_more_when_a_used_connection_is_closed_without_a_byte(
    end: Script, method: str, again: bool, client_of, environment
) -> None:
    first = answer(b"" if method == "HEAD" else b"x")
    with ScriptedServer(first, end, end if again else first) as server:
        client = client_of(server.url)
        assert client.request(method, "/").status_code == 200
        body = {"data": b"order"} if method.startswith("P") else {}
        assert client.request(method, "/", **body).status_code == (0 if again else 200)
        assert (len(server.exchanges), server.connections) == (3, 2)
    assert counted(environment) == (2, int(again))


HEAD_OF_FIVE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("is_late", [False, True], ids=["at once", "later"])
def test_a_body_that_comes_in_response_to_head_is_no_answer_to_the_next_request(
    is_late: bool, is_streamed: bool, scheme: str, client_of, environment, tls, monkeypatch
) -> None:
    # Whatever the machine does meanwhile, the connection is used again at once.
    monkeypatch.setattr("obswarm.http.pool._FRESH_S", 60)
    first, later = (HEAD_OF_FIVE, b"hello") if is_late else (HEAD_OF_FIVE + b"hello", b"")
    with ScriptedServer([first], answer(b"asked"), tls=tls if scheme == "https" else None) as server:
        client = client_of(server.url)
        response = client.head("/", stream=is_streamed)
        assert (response.status_code, response.content) == (200, b"")
        if later:
            server.exchanges[-1].connection.sendall(later)
        gevent.sleep(0.001)
        response = client.post("/", data=b"once")
        assert (response.status_code, response.content) == (200, b"asked")
        assert (len(server.exchanges), server.connections) == (2, 2)
    assert counted(environment) == (2, 0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stray", [b"hello", b"\r\nhello"], ids=repr)
def test_bytes_that_come_after_a_request_was_sent_are_no_answer_to_it(
    stray: bytes, method: str, client_of, environment
) -> None:
    whole = answer(b"" if method == "HEAD" else b"asked")
    repeats = method not in ("POST", "PATCH")
    with ScriptedServer([HEAD_OF_FIVE], [stray, *whole], whole) as server:
        client = client_of(server.url)
        assert client.head("/").status_code == 200
        assert client.request(method, "/").status_code == (200 if repeats else 0)
        assert (len(server.exchanges), server.connections) == (3, 2) if repeats else (2, 1)
    table = environment.recorder.take()
    assert (table.total().requests, table.total().failures) == (2, 0 if repeats else 1)
    assert all("bytes that belong to no response" in key.message for key in table.errors)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_not_http_over_a_new_connection_either_is_a_failure(method: str, client_of, environment) -> None:
    with ScriptedServer([HEAD_OF_FIVE], [b"hello"], [b"SSH-2.0-x\r\n"]) as server:
        client = client_of(server.url)
        assert client.head("/").status_code == 200
        response = client.request(method, "/")
        assert response.status_code == 0
        assert len(server.exchanges) == (3 if method == "GET" else 2)
    assert counted(environment) == (2, 1)


def test_what_is_not_http_without_a_head_before_is_the_answer_and_not_asked_for_again(client_of, environment) -> None:
    with ScriptedServer(answer(), [b"hello\r\n\r\n"]) as server:
        client = client_of(server.url)
        assert client.get("/").status_code == 200
        assert client.get("/").status_code == 0
        assert (len(server.exchanges), server.connections) == (2, 1)
    (error,) = environment.recorder.take().errors
    assert "did not answer in HTTP" in error.message


def test_after_a_body_in_response_to_head_connections_are_not_used_again_after_one(client_of, environment) -> None:
    head, whole = [HEAD_OF_FIVE], answer(b"asked")
    with ScriptedServer(head, [b"hello", *whole], head, whole, head, whole) as server:
        client = client_of(server.url)
        client.head("/")
        assert client.post("/", data=b"once").status_code == 0
        for connections in (3, 4):
            client.head("/")
            response = client.post("/", data=b"once")
            assert (response.status_code, response.content) == (200, b"asked")
            assert server.connections == connections
    assert counted(environment) == (6, 1)


def test_not_once_a_byte_has_come(client_of, environment) -> None:
    with ScriptedServer(answer(), [b"HTTP/1.1 2", PAUSE, RESET], answer()) as server:
        client = client_of(server.url)
        assert client.get("/").status_code == 200
        assert client.get("/").status_code == 0
        assert len(server.exchanges) == 2
    assert counted(environment) == (2, 1)


def test_nor_is_one_whose_body_can_be_read_once(client_of, environment) -> None:
    with ScriptedServer(answer(), closes, answer()) as server:
        client = client_of(server.url)
        assert client.get("/").status_code == 200
        assert client.post("/", data=iter([b"a", b"b"])).status_code == 0
        assert len(server.exchanges) == 2
    assert counted(environment) == (2, 1)


@pytest.mark.parametrize("body", [lambda: b"order", lambda: iter([b"or", b"der"])], ids=["bytes", "pieces"])
def test_one_of_which_nothing_could_be_sent_goes_over_a_new_connection(
    body: Any, client_of, environment, monkeypatch
) -> None:
    from obswarm.http.transport import SocketStream

    with ScriptedServer([*answer(), PAUSE, UNASKED, RESET], answer(b"new")) as server:
        client = client_of(server.url)
        assert client.get("/").status_code == 200
        with gevent.Timeout(HANG_S):
            while server.open:
                gevent.sleep(0.01)
        # The look comes too early.
        monkeypatch.setattr(SocketStream, "has_news", lambda self: False)
        response = client.post("/", data=body())
        assert (response.status_code, response.content) == (200, b"new")
        assert [each.body for each in server.exchanges] == [b"", b"order"]
    assert counted(environment) == (2, 0)


def test_a_pool_that_hands_a_connection_over_looks_at_it_too(make_session) -> None:
    with ScriptedServer([*answer(b"first"), *answer(b"unasked")], answer(b"second")) as server:
        session = make_session(server.url, concurrency=1)
        calls = [gevent.spawn(session.get, "/") for _ in range(2)]
        gevent.joinall(calls, timeout=HANG_S)
        assert [call.value.content for call in calls] == [b"first", b"second"]
        assert server.connections == 2

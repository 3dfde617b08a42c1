"""The limits of the web port, with raw sockets."""

import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import gevent
import pytest
import trustme
from gevent import socket as gevent_socket

from obswarm import open_files
from obswarm.clock import monotonic, wall
from obswarm.metrics import MetricsApp, SnapshotRegistry
from obswarm.metrics.exposition import ARRIVED_S
from obswarm.web import WebServer, connections
from obswarm.web.answers import has_token, json_answer, read_body, refuse_token
from tests.support.patience import HANG_S, wait_until
from tests.support.stalls import StallMeter

TOKEN = b"secret"
AUTHORIZED = b"Authorization: Bearer secret\r\n"


def application(environ: Any, start_response: Any) -> Iterable[bytes]:
    if not has_token(environ, TOKEN):
        return refuse_token(start_response)
    gevent.sleep(0.3)
    return json_answer(start_response, "200 OK", {"size": len(read_body(environ, 1000) or b"")})


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 8)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_LOOK_EVERY_S", 0.02)
    for name in ("HEAD_S", "REQUEST_S"):
        monkeypatch.setattr(connections, name, 0.2)
    monkeypatch.setattr(connections, "IDLE_S", 3.0)


@pytest.fixture
def stalls() -> Iterator[StallMeter]:
    with StallMeter() as meter:
        yield meter


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer(MetricsApp(SnapshotRegistry()), "127.0.0.1", 0, {"/api": application}) as serving:
        yield serving


@pytest.fixture
def connect(server: WebServer) -> Iterator[Callable[..., Any]]:
    """connect(bytes) gives a socket through which they were sent."""
    with ExitStack() as stack:

        def make(sent: bytes = b"") -> Any:
            made = stack.enter_context(gevent_socket.create_connection(("127.0.0.1", server.port), HANG_S))
            made.sendall(sent)
            return made

        yield make


def answer_of(connection: Any) -> bytes:
    """Up to the end of the connection."""
    received = b""
    try:
        while piece := connection.recv(65_536):
            received += piece
    except OSError:
        pass
    return received


def status_of(connection: Any) -> bytes:
    received: bytes = connection.recv(65_536)
    return received.split(b"\r\n")[0]


METRICS = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"


def test_a_body_does_not_wait_for_the_acknowledgement_of_its_head(server: WebServer, connect) -> None:
    connection = connect(METRICS)
    assert status_of(connection) == b"HTTP/1.1 200 OK"
    (accepted,) = server._server.connections
    assert accepted.getsockopt(gevent_socket.IPPROTO_TCP, gevent_socket.TCP_NODELAY)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("sent", [b"", b"GET /metrics HT", b"GET /metrics HTTP/1.1\r\nHost: a\r\n"])
def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(connect, stalls: StallMeter, sent: bytes) -> None:
    connection = connect(sent)
    began = monotonic()
    answer_of(connection)
    assert 0.1 < monotonic() - began < stalls.allowed_s(3)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Files of a certificate and its key."""
    issued, folder = trustme.CA().issue_cert("127.0.0.1"), tmp_path_factory.mktemp("tls")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    return str(folder / "cert.pem"), str(folder / "key.pem")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "sent",
    [
        None,
        b"",
        b"GET /metrics HTTP/1.1\r\nHost: a\r\n",
        b"POST /api HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer wrong\r\nContent-Length: 9\r\n\r\n1",
        b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_connections_with_tls_have_the_same_limits(
    certificate: tuple[str, str], stalls: StallMeter, sent: bytes | None, capfd: pytest.CaptureFixture[str]
) -> None:
    def read_all(environ: Any, start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        gevent.sleep(0.5)
        return []

    context = ssl._create_unverified_context()
    metrics = MetricsApp(SnapshotRegistry())
    with WebServer(metrics, "127.0.0.1", 0, {"/api": read_all, "/slow": read_all}, tls=certificate) as server:
        plain = gevent_socket.create_connection(("127.0.0.1", server.port), HANG_S)
        began = monotonic()
        # Without a greeting, or with one.
        connection = plain if sent is None else context.wrap_socket(plain)
        connection.sendall(sent or b"")
        answer_of(connection)
        assert monotonic() - began < stalls.allowed_s(3)
        connection.close()
        wait_until(lambda: server._server is not None and not server._server.connections)
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("quick")
def test_a_head_that_comes_byte_by_byte_has_no_more_time_than_others(connect, stalls: StallMeter) -> None:
    connection = connect()
    began = monotonic()
    try:
        for byte in METRICS * 10:
            connection.sendall(bytes([byte]))
            gevent.sleep(0.02)
    except OSError:
        pass
    assert 0.1 < monotonic() - began < stalls.allowed_s(3)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("framing", [b"Content-Length: 1000\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch, connect, stalls: StallMeter, framing: bytes) -> None:
    monkeypatch.setattr(connections, "TRUSTED_REQUEST_S", 0.2)
    head = b"POST /api HTTP/1.1\r\nHost: a\r\n" + framing
    for authorized in (AUTHORIZED, b""):
        connection = connect(head + authorized + b"\r\n5\r\nab")
        began = monotonic()
        answer_of(connection)
        assert monotonic() - began < stalls.allowed_s(3)


@pytest.mark.usefixtures("quick")
def test_a_request_with_a_token_has_more_time(connect) -> None:
    connection = connect(b"POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n" + AUTHORIZED + b"\r\n")
    gevent.sleep(0.5)
    connection.sendall(b"ab")
    assert b'{"size": 2}' in connection.recv(1000)


@pytest.mark.usefixtures("quick")
def test_an_idle_connection_is_kept_for_the_next_request_and_closed_in_the_end(connect, stalls: StallMeter) -> None:
    connection = connect(METRICS)
    assert status_of(connection) == b"HTTP/1.1 200 OK"
    gevent.sleep(0.4)
    connection.sendall(METRICS)
    assert status_of(connection) == b"HTTP/1.1 200 OK"
    began = monotonic()
    assert answer_of(connection) == b""
    assert 2 < monotonic() - began < stalls.allowed_s(6)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", b"HTTP/1.1 414"),
        (b"GET /metrics HTTP/1.1\r\n" + b"".join(b"H%d: %s\r\n" % (n, b"x" * 800) for n in range(90)), b"HTTP/1.1 400"),
        (b"GET /metrics HTTP/1.1\r\n" + b"".join(b"H%d: x\r\n" % number for number in range(200)), b"HTTP/1.1 400"),
        (b"GET /metrics HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"HTTP/1.1 400"),
    ],
)
def test_a_head_that_is_too_large_or_none_is_refused_without_a_trace(
    connect, capfd, sent: bytes, status: bytes
) -> None:
    connection = connect(sent)
    assert answer_of(connection).startswith(status)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("few")
def test_when_all_are_taken_the_one_that_was_idle_for_longest_goes(server: WebServer, connect) -> None:
    idle = [connect(b"GET /metr") for _ in range(8)]
    gevent.sleep(0.05)
    assert status_of(connect(METRICS)) == b"HTTP/1.1 200 OK"
    assert answer_of(idle[0]) == b""
    idle[1].sendall(b"ics HTTP/1.1\r\n\r\n")
    assert status_of(idle[1]) == b"HTTP/1.1 200 OK"


@pytest.mark.usefixtures("few")
def test_requests_with_a_token_are_not_closed_for_others(connect) -> None:
    trusted = [connect(b"GET /api HTTP/1.1\r\nHost: a\r\n" + AUTHORIZED + b"\r\n") for _ in range(8)]
    gevent.sleep(0.1)
    assert answer_of(connect(METRICS)) == b"", "all are busy: it is closed at once"
    assert {status_of(each) for each in trusted} == {b"HTTP/1.1 200 OK"}
    assert answer_of(connect(METRICS)) == b"", "they may send another one"


@pytest.mark.usefixtures("few")
def test_a_token_is_served_however_many_hold_connections_without(connect) -> None:
    for _ in range(5):
        for _ in range(20):
            connect(b"GET /metr")
        alert = connect(b"POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n" + AUTHORIZED + b"\r\nab")
        assert status_of(alert) == b"HTTP/1.1 200 OK"
        assert status_of(connect(METRICS)) == b"HTTP/1.1 200 OK"


def test_descriptors_that_the_process_needs_itself_are_not_given_to_connections(monkeypatch, connect) -> None:
    first = connect(METRICS)
    assert status_of(first) == b"HTTP/1.1 200 OK"
    monkeypatch.setattr(open_files, "ceiling", lambda reserved: 3)
    assert answer_of(connect(METRICS)) == b""
    assert answer_of(first) == b"", "an idle one goes, so that there is one for the next"
    monkeypatch.undo()
    assert status_of(connect(METRICS)) == b"HTTP/1.1 200 OK"


def test_without_any_descriptor_it_waits_for_one(monkeypatch, server: WebServer, connect, capfd) -> None:
    idle = connect(METRICS)
    assert status_of(idle) == b"HTTP/1.1 200 OK"
    accept = connections.WSGIServer.do_read
    refused: list[int] = []

    def fail(serving: Any) -> Any:
        if len(refused) < 3:
            refused.append(1)
            raise open_files.none_left()
        return accept(serving)

    monkeypatch.setattr(connections.WSGIServer, "do_read", fail)
    assert status_of(connect(METRICS)) == b"HTTP/1.1 200 OK"
    assert len(refused) == 3
    assert answer_of(idle) == b""
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        (b"/", b"127.0.0.1:1", b"HTTP/1.1 200 OK"),
        (b"/", b"master:8089", b"HTTP/1.1 200 OK"),
        (b"/", b"evil.example:1", b"HTTP/1.1 421 Misdirected Request"),
        (b"/api", b"evil.example", b"HTTP/1.1 421 Misdirected Request"),
        (b"/metrics", b"metrics.example.com", b"HTTP/1.1 200 OK"),
    ],
)
def test_a_name_that_may_be_somebody_elses_gets_nothing_but_metrics(
    connect, path: bytes, host: bytes, status: bytes
) -> None:
    connection = connect(b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    assert status_of(connection) == status


def test_a_name_can_be_allowed() -> None:
    with (
        WebServer(MetricsApp(SnapshotRegistry()), "127.0.0.1", 0, allowed_hosts=["load.example.com"]) as serving,
        gevent_socket.create_connection(("127.0.0.1", serving.port), HANG_S) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: load.example.com:8089\r\n\r\n")
        assert status_of(connection) == b"HTTP/1.1 200 OK"


def test_a_scraper_that_does_not_read_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(connections, "REQUEST_S", 0.2)

    def endless(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", str(2**40))])
        while True:
            yield b"x" * 65_536

    with (
        WebServer(MetricsApp(SnapshotRegistry()), "127.0.0.1", 0, {"/endless": endless}) as serving,
        gevent_socket.create_connection(("127.0.0.1", serving.port), HANG_S) as connection,
    ):
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        assert serving._server is not None
        held = serving._server.connections
        wait_until(lambda: held, every_s=0.01)
        wait_until(lambda: not held, every_s=0.01)


def test_a_request_that_waited_for_the_process_came_before_it() -> None:
    arrived: list[float] = []

    def note(environ: Any, start_response: Any) -> Iterable[bytes]:
        arrived.append(environ[ARRIVED_S])
        return json_answer(start_response, "200 OK", {})

    with gevent_socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        request = b"GET /note HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        with gevent_socket.create_connection(listener.getsockname(), HANG_S) as client:
            sent_s = wall()
            client.sendall(request)
            gevent.sleep(0.2)
            serving_s = wall()
            with WebServer(
                MetricsApp(SnapshotRegistry()), "127.0.0.1", 0, {"/note": note}, inherited=listener.detach()
            ):
                assert status_of(client) == b"HTTP/1.1 200 OK"
                client.sendall(request)
                assert status_of(client) == b"HTTP/1.1 200 OK"
    first, second = arrived
    assert sent_s - 0.02 <= first < serving_s - 0.1
    assert second >= serving_s - 0.02

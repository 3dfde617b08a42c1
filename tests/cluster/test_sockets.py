"""Sockets of masters and workers over a ZeroMQ that is made up: whatever libzmq may answer."""

import errno
import logging
import os
import socket
import struct
from collections import deque
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
import zmq.green as zmq
from gevent.event import Event
from zmq.utils import z85

from obswarm.api import ObswarmError
from obswarm.cluster.wire import transport
from obswarm.cluster.wire.curve import derive_keys
from obswarm.cluster.wire.transport import (
    DealerSocket,
    RouterSocket,
    check_free,
    is_loopback,
    resolved_endpoint,
    tcp_endpoint,
)
from tests.support import patience

KEYS = derive_keys(b"a secret of the cluster")


class MadeUpSocket:
    """Of ZeroMQ. What arrives is said by the test; sending raises what is in `fails`."""

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.options: dict[int, Any] = {}
        self.endpoints: list[str] = []
        self.sent: list[list[bytes]] = []
        self.copied: list[bool] = []
        self.fails: Exception | None = None
        self.refuses: Exception | None = None
        self.is_closed = False
        self.reads = 0
        self._arrived: deque[list[bytes]] = deque()
        self._news = Event()
        self.monitor: MadeUpSocket

    def set(self, option: int, value: Any) -> None:
        self.options[option] = value

    def get(self, option: int) -> bytes:
        assert option == zmq.LAST_ENDPOINT
        return self.endpoints[-1].replace(":0", ":5557").encode() + b"\0"

    def bind(self, endpoint: str) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.endpoints.append(endpoint)

    connect = bind

    def get_monitor_socket(self, events: int) -> "MadeUpSocket":
        self.monitor = MadeUpSocket(zmq.PAIR)
        return self.monitor

    def disable_monitor(self) -> None: ...

    def arrive(self, *frames: bytes) -> None:
        self._arrived.append(list(frames))
        self._news.set()

    def recv_multipart(self) -> list[bytes]:
        while not self._arrived:
            self._news.clear()
            self._news.wait()
        self.reads += 1
        return self._arrived.popleft()

    def send_multipart(self, frames: list[bytes]) -> None:
        if self.fails is not None:
            raise self.fails
        self.sent.append(frames)

    def send_to(self, peer: bytes, frame: bytes, copy: bool) -> None:
        self.send_multipart([peer, frame])
        self.copied.append(copy)

    def send(self, frame: bytes, flags: int = 0) -> None:
        self.send_multipart([frame])

    def close(self, linger: int) -> None:
        self.is_closed = True


class MadeUpContext:
    def __init__(self) -> None:
        self.sockets: list[MadeUpSocket] = []
        self.refuses: Exception | None = None

    def socket(self, kind: int, socket_class: type[Any] = zmq.Socket) -> MadeUpSocket:
        self.sockets.append(MadeUpSocket(kind))
        self.sockets[-1].refuses = self.refuses
        return self.sockets[-1]


@pytest.fixture
def context() -> MadeUpContext:
    return MadeUpContext()


def monitor_event(event: int, value: int = 0) -> bytes:
    """The first frame of an event, as zmq_socket_monitor(3) has it."""
    return struct.pack("=Hi", event, value)


class Master:
    """A master's socket, and what it has received."""

    def __init__(self, context: MadeUpContext, endpoint: str = "tcp://127.0.0.1:0", keys: Any = None) -> None:
        self.received: list[tuple[bytes, bytes]] = []
        self.router = RouterSocket(context, endpoint, keys, lambda *each: self.received.append(each))
        self.socket = context.sockets[0]
        self.context = context


@pytest.fixture
def master(context: MadeUpContext) -> Iterator[Master]:
    made = Master(context)
    yield made
    made.router.close()


wait_until = partial(patience.wait_until, every_s=0.002)


# Addresses.
@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_addresses_that_only_this_machine_reaches(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.1", "master.example", "", "localhost.example"])
def test_addresses_that_others_reach_or_may_reach(address: str) -> None:
    assert not is_loopback(address)


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    family = {True: socket.AF_INET6, False: socket.AF_INET}
    found = [(family[":" in each], socket.SOCK_STREAM, 6, "", (each, 5557)) for each in addresses]
    monkeypatch.setattr(transport, "dns", SimpleNamespace(**vars(socket) | {"getaddrinfo": lambda *a, **o: found}))


def test_a_master_with_both_kinds_of_addresses_is_reached_at_that_of_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "2001:db8::1", "192.0.2.1")
    assert resolved_endpoint("master.example", 5557) == "tcp://192.0.2.1:5557"
    resolving(monkeypatch, "2001:db8::1")
    assert resolved_endpoint("master.example", 5557) == "tcp://[2001:db8::1]:5557"


def test_a_master_whose_name_is_unknown_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*arguments: Any, **options: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(transport, "dns", SimpleNamespace(**vars(socket) | {"getaddrinfo": unknown}))
    with pytest.raises(ObswarmError) as raised:
        resolved_endpoint("mastre", 5557)
    assert str(raised.value) == "--master mastre:5557: mastre cannot be resolved: Name or service not known."


class Probe:
    """In place of a socket that is bound: the port is free, or the bind fails."""

    fails: OSError | None = None

    def __init__(self, family: int) -> None:
        self.family = family

    def __enter__(self) -> "Probe":
        return self

    def __exit__(self, *_: object) -> None: ...

    def setsockopt(self, *_: object) -> None: ...

    def bind(self, address: tuple[str, int]) -> None:
        if self.fails is not None:
            raise self.fails


def test_a_port_that_is_in_use_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "dns", SimpleNamespace(**vars(socket) | {"socket": Probe}))
    check_free("127.0.0.1", 5557)
    monkeypatch.setattr(Probe, "fails", OSError(errno.EADDRINUSE, "Address already in use"))
    with pytest.raises(ObswarmError) as raised:
        check_free("::1", 5557)
    assert str(raised.value) == (
        "[::1]:5557 is in use: is another master running? Choose another port with --bind ADDRESS:PORT."
    )


def test_other_reasons_why_a_port_cannot_be_probed_are_left_to_the_bind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "dns", SimpleNamespace(**vars(socket) | {"socket": Probe}))
    monkeypatch.setattr(Probe, "fails", OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"))
    check_free("192.0.2.1", 5557)


# A master's.
def test_a_frame_is_received_with_its_peer_and_a_message_of_other_parts_as_nothing(master: Master) -> None:
    master.socket.arrive(b"one", b"frame")
    master.socket.arrive(b"two")
    master.socket.arrive(b"three", b"", b"frame")
    wait_until(lambda: len(master.received) == 3)
    assert master.received == [(b"one", b"frame"), (b"two", b""), (b"three", b"")]


def test_messages_that_never_stop_leave_a_turn_to_others(master: Master, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[int] = []

    def pause(seconds: float) -> None:
        pauses.append(len(master.received))

    monkeypatch.setattr(transport, "gevent", SimpleNamespace(sleep=pause))
    for number in range(120):
        master.socket.arrive(b"peer", b"%d" % number)
    wait_until(lambda: len(master.received) == 120)
    assert pauses == [50, 100]


def test_where_it_listens_is_the_port_that_it_got(context: MadeUpContext, master: Master) -> None:
    assert master.router.endpoint == "tcp://127.0.0.1:5557"
    assert master.socket.options[zmq.MAXMSGSIZE] == transport.LARGEST_FRAME_BYTES
    assert master.socket.options[zmq.IPV6] == 0
    Master(context, tcp_endpoint("::1", 0)).router.close()
    assert context.sockets[1].options[zmq.IPV6] == 1


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (
            errno.EADDRINUSE,
            "0.0.0.0:5557 is in use: is another master running? Choose another port with --bind ADDRESS:PORT.",
        ),
        (errno.EACCES, "The master cannot listen on 0.0.0.0:5557: Permission denied."),
    ],
)
def test_a_master_that_cannot_listen_says_why_and_closes_its_socket(
    context: MadeUpContext, number: int, text: str
) -> None:
    context.refuses = zmq.ZMQError(number)
    with pytest.raises(ObswarmError) as raised:
        Master(context, "tcp://0.0.0.0:5557")
    assert str(raised.value) == text
    assert context.sockets[0].is_closed


def test_a_large_frame_is_not_copied_for_each_peer(master: Master) -> None:
    assert master.router.send(b"peer", b"small")
    assert master.router.send(b"peer", bytes(transport._SHARED_BYTES))
    assert [frames[0] for frames in master.socket.sent] == [b"peer", b"peer"]
    assert master.socket.copied == [True, False]


def test_a_message_to_a_peer_whose_queue_is_full_is_dropped_and_the_peer_stays(
    master: Master, caplog: pytest.LogCaptureFixture
) -> None:
    master.socket.fails = zmq.Again()
    assert master.router.send(b"peer", b"frame")
    assert caplog.records == []


def test_a_peer_that_is_gone_is_told_to_the_sender_and_not_logged(
    master: Master, caplog: pytest.LogCaptureFixture
) -> None:
    master.socket.fails = zmq.ZMQError(errno.EHOSTUNREACH)
    assert not master.router.send(b"peer", b"frame")
    assert caplog.records == []


@pytest.mark.parametrize("error", [zmq.ZMQError(errno.ENOTSOCK), OSError(errno.EMFILE, "Too many open files")])
def test_other_failures_to_send_are_logged_once(
    master: Master, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    master.socket.fails = error
    assert not master.router.send(b"peer", b"frame")
    assert not master.router.send(b"peer", b"frame")
    (record,) = caplog.records
    assert record.getMessage() == f"A message cannot be sent: {error}. Further failures are not logged."


def test_failed_handshakes_are_counted_and_told(master: Master) -> None:
    reported: list[int] = []
    master.router.on_handshake_failure = lambda: reported.append(master.router.handshake_failures)
    for event in (zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_ACCEPTED, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL):
        master.socket.monitor.arrive(monitor_event(event), b"tcp://127.0.0.1:1")
    wait_until(lambda: master.socket.monitor.reads == 3)
    assert reported == [1, 2]


class Connection:
    """A descriptor of libzmq's, as a socket of this process sees it."""

    def __init__(self, name: Any = ("127.0.0.1", 5557)) -> None:
        self.name = name
        self.was_shut = False
        self.was_detached = False

    def getsockname(self) -> Any:
        if isinstance(self.name, OSError):
            raise self.name
        return self.name

    def shutdown(self, how: int) -> None:
        self.was_shut = True

    def detach(self) -> None:
        self.was_detached = True


def accept(master: Master, monkeypatch: pytest.MonkeyPatch, connection: Connection | None, descriptor: int) -> None:
    """Have the master accept a connection with that descriptor, where those from 960 on are reserved."""

    def of_descriptor(fileno: int) -> Connection:
        if connection is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return connection

    monkeypatch.setattr(transport, "_socket", SimpleNamespace(socket=of_descriptor))
    monkeypatch.setattr(transport.open_files, "ceiling", lambda: 960)
    monkeypatch.setattr(transport.open_files, "soft_limit", lambda: 1024)
    before = master.socket.monitor.reads
    master.socket.monitor.arrive(monitor_event(zmq.EVENT_ACCEPTED, descriptor), b"tcp://127.0.0.1:1")
    wait_until(lambda: master.socket.monitor.reads == before + 1)
    gevent.sleep(0)


def test_connections_that_use_reserved_descriptors_are_closed_with_one_warning(
    master: Master, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fits, first, second = Connection(), Connection(), Connection()
    for connection, descriptor in ((fits, 959), (first, 960), (second, 961)):
        accept(master, monkeypatch, connection, descriptor)
    assert [each.was_shut for each in (fits, first, second)] == [False, True, True]
    assert first.was_detached, "the descriptor stays libzmq's"
    assert master.router.shed_connections == 2
    (record,) = caplog.records
    assert record.getMessage() == (
        "Too many connections to tcp://127.0.0.1:5557 for the limit of 1,024 open files: further ones are closed."
        " Raise the limit with ulimit -n."
    )


@pytest.mark.parametrize(
    "name", [("127.0.0.1", 8080), "/run/some.socket", OSError(errno.ENOTCONN, "closed"), None], ids=str
)
def test_a_descriptor_that_is_another_file_by_now_is_left_alone(
    master: Master, monkeypatch: pytest.MonkeyPatch, name: Any
) -> None:
    connection = Connection(name)
    accept(master, monkeypatch, connection, 1000)
    assert not connection.was_shut
    assert connection.was_detached
    accept(master, monkeypatch, None, 1000)
    assert master.router.shed_connections == 0


def test_a_master_of_processes_of_this_machine_sheds_no_connection(
    context: MadeUpContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Master(context, "ipc:///tmp/workers")
    connection = Connection(("127.0.0.1", 0))
    accept(made, monkeypatch, connection, 1000)
    assert not connection.was_detached
    made.router.close()


# With a secret.
def test_workers_with_another_key_are_not_let_in(context: MadeUpContext) -> None:
    made = Master(context, keys=KEYS)
    assert made.socket.options[zmq.CURVE_SECRETKEY] == KEYS.server_secret
    authenticator = context.sockets[1]
    assert authenticator.endpoints == ["inproc://zeromq.zap.01"]
    known, other = z85.decode(KEYS.client_public), z85.decode(derive_keys(b"another").client_public)
    for mechanism, key in ((b"CURVE", known), (b"CURVE", other), (b"NULL", known)):
        authenticator.arrive(b"1.0", b"7", b"", b"127.0.0.1", b"", mechanism, key)
    wait_until(lambda: len(authenticator.sent) == 3)
    assert [reply[:4] for reply in authenticator.sent] == [
        [b"1.0", b"7", b"200", b"OK"],
        [b"1.0", b"7", b"400", b"unknown key"],
        [b"1.0", b"7", b"400", b"unknown key"],
    ]
    made.router.close()
    assert all(each.is_closed for each in context.sockets)


# A worker's.
class Worker:
    def __init__(self, context: MadeUpContext, keys: Any = None) -> None:
        self.received: list[bytes] = []
        self.dealer = DealerSocket(context, "tcp://master.example:5557", keys, self.received.append)
        self.socket = context.sockets[-1]


def test_a_worker_presents_the_keys_of_the_secret(context: MadeUpContext) -> None:
    made = Worker(context, KEYS)
    options = made.socket.options
    assert options[zmq.CURVE_SERVERKEY] == KEYS.server_public
    assert (options[zmq.CURVE_PUBLICKEY], options[zmq.CURVE_SECRETKEY]) == (KEYS.client_public, KEYS.client_secret)
    made.dealer.close()
    assert made.socket.is_closed


def test_a_worker_reads_the_parts_of_a_message_as_one(context: MadeUpContext, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Worker(context)
    pauses: list[int] = []
    monkeypatch.setattr(transport, "gevent", SimpleNamespace(sleep=lambda seconds: pauses.append(len(made.received))))
    made.socket.arrive(b"one")
    made.socket.arrive(b"t", b"wo")
    for _ in range(60):
        made.socket.arrive(b"more")
    wait_until(lambda: len(made.received) == 62)
    assert made.received[:2] == [b"one", b"two"]
    assert pauses == [50]
    made.dealer.close()


def test_a_worker_whose_message_cannot_be_queued_is_told(
    context: MadeUpContext, caplog: pytest.LogCaptureFixture
) -> None:
    made = Worker(context)
    assert made.dealer.send(b"frame")
    made.socket.fails = zmq.Again()
    assert not made.dealer.send(b"frame")
    assert caplog.records == []
    made.socket.fails = OSError(errno.EMFILE, "Too many open files")
    with caplog.at_level(logging.ERROR):
        assert not made.dealer.send(b"frame")
        assert not made.dealer.send(b"frame")
    assert caplog.text.count("A message cannot be sent: [Errno 24] Too many open files.") == 1
    made.dealer.close()


def test_a_handshake_that_is_broken_off_counts_for_a_worker(context: MadeUpContext) -> None:
    made = Worker(context)
    made.socket.monitor.arrive(monitor_event(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL), b"tcp://127.0.0.1:1")
    wait_until(lambda: made.dealer.handshake_failures == 1)
    made.dealer.close()

"""Frames over ZeroMQ: a listener (ROUTER) that many dial (DEALER), with CURVE when there is a secret. No messages'
meaning."""

import _socket  # the C type: one of gevent's would watch a descriptor that is libzmq's
import errno
import ipaddress
import logging
import socket as dns
from collections.abc import Callable
from typing import Any

import gevent
import zmq.green as zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from obswarm import open_files
from obswarm.api import ObswarmError
from obswarm.cluster.wire.curve import CurveKeys
from obswarm.cluster.wire.messages import LARGEST_FRAME_BYTES
from obswarm.greenlets import Supervisor, kill_all

logger = logging.getLogger(__name__)

DEFAULT_PORT = 5557
_MOST_SOCKETS = 16_384
_SEND_QUEUE = 10_000
"""Messages that wait for one peer; beyond it new ones are dropped, which the protocol bears."""

_RECEIVE_QUEUE = 20
"""Messages of one peer that wait to be read; beyond it they wait with their sender. A worker sends one a second, and a
few at once after it was cut off."""

_SILENT_S = 5
"""After so long without a sign the kernel asks whether the other machine is there, and gives up as long after."""

_HANDSHAKE_S = 10
_SHARED_BYTES = 65_536
_TURN_MESSAGES = 50
_PAUSE_S = 0.0005
_REFUSALS = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
_BROKEN_OFF = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
"""The other side closed the connection: it may have refused, or the line is bad."""

Received = Callable[[bytes, bytes], None]


def new_context() -> Any:
    context = zmq.Context()
    context.set(zmq.MAX_SOCKETS, _MOST_SOCKETS)
    return context


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach it."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def tcp_endpoint(address: str, port: int) -> str:
    return f"tcp://[{address}]:{port}" if ":" in address else f"tcp://{address}:{port}"


def check_free(address: str, port: int) -> None:
    """Raise ObswarmError when somebody listens there. What else keeps a master from listening shows when it does."""
    family = dns.AF_INET6 if ":" in address else dns.AF_INET
    with dns.socket(family) as probe:
        # As libzmq does: connections of a master that has ended are no reason.
        probe.setsockopt(dns.SOL_SOCKET, dns.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise _in_use(tcp_endpoint(address, port)) from None


def _in_use(endpoint: str) -> ObswarmError:
    where = endpoint.removeprefix("tcp://")
    return ObswarmError(f"{where} is in use: is another master running? Choose another port with --bind ADDRESS:PORT.")


def resolved_endpoint(host: str, port: int) -> str:
    """Where a host can be dialled: its IPv4 address when it has one. Raises ObswarmError when there is no such host."""
    try:
        found = dns.getaddrinfo(host, port, type=dns.SOCK_STREAM)
    except OSError as error:
        raise ObswarmError(f"--master {host}:{port}: {host} cannot be resolved: {error.strerror or error}.") from None
    addresses = sorted(found, key=lambda each: each[0] != dns.AF_INET)
    return tcp_endpoint(str(addresses[0][4][0]), port)


class _Socket:
    """What both ends have in common: reading in turns, and counting handshakes that fail."""

    def __init__(self, context: Any, kind: int, endpoint: str, failures: int, supervisor: Supervisor | None) -> None:
        self._supervisor = supervisor or Supervisor()
        self.handshake_failures = 0
        self.on_handshake_failure: Callable[[], None] = lambda: None
        self._socket = context.socket(kind)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.SNDHWM, _SEND_QUEUE)
        self._socket.set(zmq.RCVHWM, _RECEIVE_QUEUE)
        self._socket.set(zmq.MAXMSGSIZE, LARGEST_FRAME_BYTES)
        self._socket.set(zmq.IPV6, int("[" in endpoint))
        # A peer whose machine has gone says nothing; its connection is to be noticed all the same. The kernel looks
        # after it: libzmq 4.3.5 aborts the process (`!_io_error`) when one of its own heartbeats falls due on a
        # connection that was closed while its frames were waiting to be read.
        self._socket.set(zmq.TCP_KEEPALIVE, 1)
        self._socket.set(zmq.TCP_KEEPALIVE_IDLE, _SILENT_S)
        self._socket.set(zmq.TCP_KEEPALIVE_INTVL, 1)
        self._socket.set(zmq.TCP_KEEPALIVE_CNT, _SILENT_S)
        self._socket.set(zmq.TCP_MAXRT, 2 * _SILENT_S * 1000)
        self._monitor = self._socket.get_monitor_socket(failures)
        self._greenlets: list[gevent.Greenlet] = []
        self._send_has_failed = False

    def _serve(self, read: Callable[[], None]) -> None:
        self._greenlets = [
            self._supervisor.keep("The reader of messages", read),
            self._supervisor.keep("The count of failed handshakes", self._watch),
        ]

    def _watch(self) -> None:
        while True:
            message = parse_monitor_message(self._monitor.recv_multipart())
            if message["event"] == zmq.EVENT_ACCEPTED:
                self._accepted(message["value"])
            else:
                self.handshake_failures += 1
                self.on_handshake_failure()

    def _accepted(self, descriptor: int) -> None: ...

    def _note_failed_send(self, error: Exception) -> None:
        """Said once: what is sent is repeated, or asked for again."""
        if not self._send_has_failed:
            self._send_has_failed = True
            logger.error("A message cannot be sent: %s. Further ones are dropped without a word.", error)

    def close(self) -> None:
        kill_all(self._greenlets)
        self._socket.disable_monitor()
        self._socket.close(0)


class RouterSocket(_Socket):
    """Where workers dial to. `received(peer, frame)` is called for each frame, `peer` being good for `send`.

    Raises ObswarmError when it cannot listen there.
    """

    def __init__(
        self,
        context: Any,
        endpoint: str,
        keys: CurveKeys | None,
        received: Received,
        supervisor: Supervisor | None = None,
    ) -> None:
        super().__init__(context, zmq.ROUTER, endpoint, _REFUSALS | zmq.EVENT_ACCEPTED, supervisor)
        # A connection on which no handshake comes holds a descriptor all the while.
        self._socket.set(zmq.HANDSHAKE_IVL, _HANDSHAKE_S * 1000)
        self.shed_connections = 0
        """How many were closed at once, since there were no descriptors for more."""

        self._local_port = 0
        self._received = received
        # A peer whose connection is closed is told of, rather than sent to in vain.
        self._socket.set(zmq.ROUTER_MANDATORY, 1)
        self._door = _Door(context, keys.client_public, self._supervisor) if keys is not None else None
        if keys is not None:
            self._socket.set(zmq.CURVE_SERVER, 1)
            self._socket.set(zmq.CURVE_SECRETKEY, keys.server_secret)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            if error.errno == errno.EADDRINUSE:
                raise _in_use(endpoint) from None
            where = endpoint.removeprefix("tcp://")
            raise ObswarmError(f"A master cannot listen at {where}: {error.strerror}.") from None
        self.endpoint: str = self._socket.get(zmq.LAST_ENDPOINT).decode().rstrip("\0")
        if self.endpoint.startswith("tcp://"):
            self._local_port = int(self.endpoint.rpartition(":")[2])
        self._serve(self._read)

    def _read(self) -> None:
        turn = 0
        while True:
            frames = self._socket.recv_multipart()
            if len(frames) == 2:
                self._received(frames[0], frames[1])
            else:
                self._received(frames[0], b"")
            turn += 1
            if turn >= _TURN_MESSAGES:
                # Others must get a turn, and sockets be looked at, also when messages never end.
                turn = 0
                gevent.sleep(_PAUSE_S)

    def _accepted(self, descriptor: int) -> None:
        """Close a connection that has one of the descriptors that this process needs itself: libzmq has no limit."""
        if not self._local_port or descriptor < open_files.ceiling():
            return
        try:
            connection = _socket.socket(fileno=descriptor)
        except OSError:
            # It is closed already.
            return
        try:
            # Meanwhile the number may have become something else's.
            if connection.getsockname()[1:2] == (self._local_port,):
                connection.shutdown(dns.SHUT_RDWR)
                self.shed_connections += 1
                if self.shed_connections == 1:
                    logger.warning(
                        "More connections at %s than this process may have (%s open files): further ones are closed.",
                        self.endpoint,
                        f"{open_files.soft_limit():,}",
                    )
        except (OSError, TypeError):
            # It has ended, or is no connection of the network.
            pass
        finally:
            # It stays libzmq's.
            connection.detach()

    def send(self, peer: bytes, frame: bytes) -> bool:
        """False, and the frame is dropped, when the peer's connection has been closed or cannot be written to."""
        try:
            # Large ones are the same for many peers, and shared between their queues.
            self._socket.send_multipart([peer, frame], zmq.NOBLOCK, copy=len(frame) < _SHARED_BYTES)
        except zmq.Again:
            # Too many wait; the protocol bears that one of them is missing.
            return True
        except (zmq.ZMQError, OSError) as error:
            if error.errno != errno.EHOSTUNREACH:
                self._note_failed_send(error)
            return False
        return True

    def close(self) -> None:
        if self._door is not None:
            self._door.close()
        super().close()


class DealerSocket(_Socket):
    """A connection to a listener, which is made again by itself when it breaks."""

    def __init__(
        self,
        context: Any,
        endpoint: str,
        keys: CurveKeys | None,
        received: Callable[[bytes], None],
        supervisor: Supervisor | None = None,
    ) -> None:
        super().__init__(context, zmq.DEALER, endpoint, _REFUSALS | _BROKEN_OFF, supervisor)
        self._received = received
        if keys is not None:
            self._socket.set(zmq.CURVE_SERVERKEY, keys.server_public)
            self._socket.set(zmq.CURVE_PUBLICKEY, keys.client_public)
            self._socket.set(zmq.CURVE_SECRETKEY, keys.client_secret)
        self._socket.set(zmq.RECONNECT_IVL, 100)
        self._socket.set(zmq.RECONNECT_IVL_MAX, 1000)
        self._socket.connect(endpoint)
        self._serve(self._read)

    def _read(self) -> None:
        turn = 0
        while True:
            self._received(b"".join(self._socket.recv_multipart()))
            turn += 1
            if turn >= _TURN_MESSAGES:
                turn = 0
                gevent.sleep(_PAUSE_S)

    def send(self, frame: bytes) -> bool:
        """False when it was dropped: too many wait already, or the connection cannot be written to."""
        try:
            self._socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        except (zmq.ZMQError, OSError) as error:
            self._note_failed_send(error)
            return False
        return True


class _Door:
    """Lets in who has the key: a handler of ZAP requests (RFC 27/ZAP) for a context's servers."""

    def __init__(self, context: Any, admitted: bytes, supervisor: Supervisor) -> None:
        self._admitted = z85.decode(admitted)
        self._socket = context.socket(zmq.REP)
        self._socket.set(zmq.LINGER, 0)
        self._socket.bind("inproc://zeromq.zap.01")
        self._greenlet = supervisor.keep("The check of keys", self._serve)

    def _serve(self) -> None:
        while True:
            request = self._socket.recv_multipart()
            version, number = request[0], request[1]
            fine = request[5] == b"CURVE" and request[6] == self._admitted
            status = (b"200", b"OK") if fine else (b"400", b"unknown key")
            self._socket.send_multipart([version, number, *status, b"", b""])

    def close(self) -> None:
        self._greenlet.kill()
        self._socket.close(0)

"""Send and receive frames over ZeroMQ: the master's ROUTER socket and the workers' DEALER sockets, with CURVE if there
is a secret."""

import _socket  # the C type: one of gevent's would watch a descriptor that is libzmq's
import errno
import ipaddress
import logging
import socket as dns
import struct
from collections.abc import Callable
from typing import Any

import gevent
import zmq.green as zmq
from zmq import Socket
from zmq.utils import z85

from obswarm import open_files
from obswarm.api import ObswarmError
from obswarm.cluster.wire.curve import CurveKeys
from obswarm.cluster.wire.messages import LARGEST_FRAME_BYTES
from obswarm.greenlets import Supervisor, kill_all

logger = logging.getLogger(__name__)

DEFAULT_PORT = 5557
_MOST_SOCKETS = 16_384
_SEND_QUEUE = 10_000
"""Messages that are queued for one peer; further ones are dropped, which the protocol tolerates."""

_RECEIVE_QUEUE = 20
"""Messages of one peer that are queued here; further ones are queued by the sender. A worker sends one a second, and a
few at once after it has reconnected."""

_SILENT_S = 5
"""TCP keepalive: seconds without traffic until the kernel sends probes, and further seconds until it closes the
connection."""

_HANDSHAKE_S = 10
_FIRST_OF_TWO = int(zmq.SNDMORE | zmq.NOBLOCK)
_SHARED_BYTES = 65_536
_TURN_MESSAGES = 50
_PAUSE_S = 0.0005
_REFUSALS = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
_BROKEN_OFF = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
"""The peer closed the connection: it may have refused the key, or the network failed."""

_MONITOR_EVENT = struct.Struct("=Hi")
"""Event and value, as zmq_socket_monitor(3) has them. (zmq.utils.monitor, which decodes them, imports asyncio.)"""

Received = Callable[[bytes, bytes], None]


def new_context() -> Any:
    context = zmq.Context()
    context.set(zmq.MAX_SOCKETS, _MOST_SOCKETS)
    return context


def is_loopback(address: str) -> bool:
    """Return whether only this machine can reach the address."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def tcp_endpoint(address: str, port: int) -> str:
    return f"tcp://[{address}]:{port}" if ":" in address else f"tcp://{address}:{port}"


def check_free(address: str, port: int) -> None:
    """Raise ObswarmError if the port is in use. Other errors are left to the actual bind."""
    family = dns.AF_INET6 if ":" in address else dns.AF_INET
    with dns.socket(family) as probe:
        # As libzmq does: connections of a master that has ended do not count.
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
    """Return the endpoint of a host, with its IPv4 address if it has one. Raises ObswarmError if it cannot be
    resolved."""
    try:
        found = dns.getaddrinfo(host, port, type=dns.SOCK_STREAM)
    except OSError as error:
        raise ObswarmError(f"--master {host}:{port}: {host} cannot be resolved: {error.strerror or error}.") from None
    addresses = sorted(found, key=lambda each: each[0] != dns.AF_INET)
    return tcp_endpoint(str(addresses[0][4][0]), port)


# Of the two classes, only the one for type checkers is generic.
class _AddressedSocket(zmq.Socket):  # type: ignore[type-arg]
    """A ROUTER socket of pyzmq that sends with less CPU time: a master sends many heartbeats."""

    def send_to(self, peer: bytes, frame: bytes, copy: bool) -> None:
        """Do the same as `send_multipart([peer, frame], zmq.NOBLOCK, copy)`."""
        try:
            Socket.send(self, peer, _FIRST_OF_TWO)
        except zmq.ZMQError:
            # Sending may swallow the notification of received messages; this looks for them, as `send` does below.
            self.get(zmq.EVENTS)
            raise
        self.send(frame, zmq.NOBLOCK, copy=copy)


class _Socket:
    """Base of both sockets: options, reading of messages, and the count of failed handshakes."""

    _socket_class: type[Any] = zmq.Socket

    def __init__(self, context: Any, kind: int, endpoint: str, failures: int, supervisor: Supervisor | None) -> None:
        self._supervisor = supervisor or Supervisor()
        self.handshake_failures = 0
        self.on_handshake_failure: Callable[[], None] = lambda: None
        self._socket = context.socket(kind, self._socket_class)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.SNDHWM, _SEND_QUEUE)
        self._socket.set(zmq.RCVHWM, _RECEIVE_QUEUE)
        self._socket.set(zmq.MAXMSGSIZE, LARGEST_FRAME_BYTES)
        self._socket.set(zmq.IPV6, int("[" in endpoint))
        # Detects peers whose machine or network has failed. TCP keepalive and not ZeroMQ's heartbeats: libzmq 4.3.5
        # aborts the process (`!_io_error`) when one of these is due on a connection that was closed while its frames
        # were waiting to be read.
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
            event, value = _MONITOR_EVENT.unpack(self._monitor.recv_multipart()[0])
            if event == zmq.EVENT_ACCEPTED:
                self._accepted(value)
            else:
                self.handshake_failures += 1
                self.on_handshake_failure()

    def _accepted(self, descriptor: int) -> None: ...

    def _note_failed_send(self, error: Exception) -> None:
        """Log the first failure only: messages that matter are retransmitted or requested again."""
        if not self._send_has_failed:
            self._send_has_failed = True
            logger.error("A message cannot be sent: %s. Further failures are not logged.", error)

    def close(self) -> None:
        kill_all(self._greenlets)
        self._socket.disable_monitor()
        self._socket.close(0)


class RouterSocket(_Socket):
    """The master's socket, to which workers connect.

    `received(peer, frame)` is called for each frame; `send` takes the same `peer`. Raises ObswarmError if it cannot
    listen on the endpoint.
    """

    _socket_class = _AddressedSocket

    def __init__(
        self,
        context: Any,
        endpoint: str,
        keys: CurveKeys | None,
        received: Received,
        supervisor: Supervisor | None = None,
    ) -> None:
        super().__init__(context, zmq.ROUTER, endpoint, _REFUSALS | zmq.EVENT_ACCEPTED, supervisor)
        # A connection without a handshake would use a descriptor forever.
        self._socket.set(zmq.HANDSHAKE_IVL, _HANDSHAKE_S * 1000)
        self.shed_connections = 0
        """Connections that were closed at once because too few descriptors were left."""

        self._local_port = 0
        self._received = received
        # A send to a peer whose connection is closed fails, instead of being dropped silently.
        self._socket.set(zmq.ROUTER_MANDATORY, 1)
        self._authenticator = (
            _CurveAuthenticator(context, keys.client_public, self._supervisor) if keys is not None else None
        )
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
            raise ObswarmError(f"The master cannot listen on {where}: {error.strerror}.") from None
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
                # Other greenlets and the event loop have to run, also if messages never stop arriving.
                turn = 0
                gevent.sleep(_PAUSE_S)

    def _accepted(self, descriptor: int) -> None:
        """Close a connection if it uses one of the reserved descriptors: libzmq has no limit of its own."""
        if not self._local_port or descriptor < open_files.ceiling():
            return
        try:
            connection = _socket.socket(fileno=descriptor)
        except OSError:
            # Closed already.
            return
        try:
            # The number may belong to another file by now.
            if connection.getsockname()[1:2] == (self._local_port,):
                connection.shutdown(dns.SHUT_RDWR)
                self.shed_connections += 1
                if self.shed_connections == 1:
                    logger.warning(
                        "Too many connections to %s for the limit of %s open files: further ones are closed."
                        " Raise the limit with ulimit -n.",
                        self.endpoint,
                        f"{open_files.soft_limit():,}",
                    )
        except (OSError, TypeError):
            # Closed, or not a network connection.
            pass
        finally:
            # The descriptor still belongs to libzmq.
            connection.detach()

    def send(self, peer: bytes, frame: bytes) -> bool:
        """Send a frame. Returns False, and drops it, if the peer's connection is closed or cannot be written to."""
        try:
            # Large frames are the same for many peers, and their memory is shared by the queues.
            self._socket.send_to(peer, frame, copy=len(frame) < _SHARED_BYTES)
        except zmq.Again:
            # The queue is full; the protocol tolerates that a message is dropped.
            return True
        except (zmq.ZMQError, OSError) as error:
            if error.errno != errno.EHOSTUNREACH:
                self._note_failed_send(error)
            return False
        return True

    def close(self) -> None:
        if self._authenticator is not None:
            self._authenticator.close()
        super().close()


class DealerSocket(_Socket):
    """A worker's socket. ZeroMQ reconnects by itself when the connection breaks."""

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
        """Send a frame. Returns False, and drops it, if the queue is full or the connection cannot be written to."""
        try:
            self._socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        except (zmq.ZMQError, OSError) as error:
            self._note_failed_send(error)
            return False
        return True


class _CurveAuthenticator:
    """Authenticates the CURVE keys of workers: a handler of ZAP requests (RFC 27/ZAP) for a context's servers."""

    def __init__(self, context: Any, admitted: bytes, supervisor: Supervisor) -> None:
        self._admitted = z85.decode(admitted)
        self._socket = context.socket(zmq.REP)
        self._socket.set(zmq.LINGER, 0)
        self._socket.bind("inproc://zeromq.zap.01")
        self._greenlet = supervisor.keep("The authentication of workers", self._serve)

    def _serve(self) -> None:
        while True:
            request = self._socket.recv_multipart()
            version, number = request[0], request[1]
            is_known = request[5] == b"CURVE" and request[6] == self._admitted
            status = (b"200", b"OK") if is_known else (b"400", b"unknown key")
            self._socket.send_multipart([version, number, *status, b"", b""])

    def close(self) -> None:
        self._greenlet.kill()
        self._socket.close(0)

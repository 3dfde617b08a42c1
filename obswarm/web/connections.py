"""A WSGI server with limits: number of connections, timeouts, size of heads. Connections of other programs cannot use
up the file descriptors or the memory that the run needs."""

import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from typing import Any

import gevent
from gevent import socket as gevent_socket
from gevent.pywsgi import WSGIHandler, WSGIServer

from obswarm import clock, open_files
from obswarm.greenlets import Supervisor
from obswarm.metrics.exposition import ARRIVED_S
from obswarm.units import format_bytes

MOST_CONNECTIONS = 100
HEAD_S = 10.0
"""Timeout from the connection, or from the first byte of a further request, to the end of the request's head."""

IDLE_S = 120.0
"""Timeout between two requests; longer than usual scrape intervals."""

REQUEST_S = 30.0
"""Timeout from the end of the head to the end of the response, including the body."""

TRUSTED_REQUEST_S = 300.0
"""The same timeout for requests with a token, whose bodies may be large."""

HEAD_BYTES = 32 * 1024

_ENVIRON_KEY = "obswarm.connection"
_LAST_DATA_RECEIVED = slice(52, 56)
"""Position of `tcpi_last_data_recv`, in milliseconds, in Linux' `struct tcp_info` (include/uapi/linux/tcp.h)."""

_NO_WAIT_S = 0.02
"""Shorter waits count as none: the kernel counts in steps of up to 10 ms."""

_BODY_ENDS = "unexpected end of file while reading request"
"""Beginning of the error of gevent for a body that is shorter than announced."""

_LOOK_EVERY_S = 0.5
_ACCEPTED_AT_ONCE = 20
"""Connections accepted before greenlets of earlier ones are scheduled."""

_WITHOUT_DESCRIPTORS_S = 0.1


class Connection:
    """A connection and its state; `busy` is true from the end of a request's head to the end of its response."""

    def __init__(self, accepted: Any) -> None:
        self._socket = accepted
        self.busy = False
        self.trusted = False
        self.idle_since = clock.monotonic()
        self.due = self.idle_since + HEAD_S

    def wait_for_request(self, longest_s: float) -> None:
        self.busy = False
        self.idle_since = clock.monotonic()
        self.due = self.idle_since + longest_s

    def begin_request(self) -> None:
        self.busy = True
        self.due = clock.monotonic() + (TRUSTED_REQUEST_S if self.trusted else REQUEST_S)

    def trust(self) -> None:
        """Mark the connection as authenticated by a token: it has more time, and is not closed for a new one."""
        self.trusted = True
        self.begin_request()

    def wrap(self, wrapped: Any) -> None:
        """Note the socket with TLS, which has taken over the accepted one."""
        self._socket = wrapped

    def close(self) -> None:
        """Shut the connection down; pending reads and writes end."""
        try:
            # Of a socket with TLS, its own method would have pending reads fail in other ways.
            gevent_socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            # Already closed by the peer.
            pass


def trust(environ: Any) -> None:
    """Mark the connection of a request as authenticated by a token."""
    connection: Connection | None = environ.get(_ENVIRON_KEY)
    if connection is not None:
        connection.trust()


def keep_streaming(environ: Any, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pass on the pieces of a response that has no end. Its time limit begins anew with each piece, so it is that of a
    client that does not read."""
    connection: Connection | None = environ.get(_ENVIRON_KEY)
    try:
        for piece in pieces:
            if connection is not None:
                connection.begin_request()
            yield piece
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


class _BoundedHead:
    """The file of a connection, with a limit for the size of a head. It ends when the connection is closed, whatever a
    socket with TLS raises then."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left: int | None = None
        """Bytes that may still be read line by line; None outside of a head."""

    def begin_head(self) -> None:
        self._left = HEAD_BYTES

    def end_head(self) -> None:
        self._left = None

    def readline(self, size: int = -1) -> bytes:
        line = b""
        with suppress(OSError):
            line = self._file.readline(size)
        if self._left is not None:
            self._left -= len(line)
            if self._left < 0:
                raise ValueError(f"more than {format_bytes(HEAD_BYTES)} of headers")
        return line

    def read(self, size: int = -1) -> bytes:
        piece = b""
        with suppress(OSError):
            piece = self._file.read(size)
        return piece

    def wait_for_a_byte(self) -> None:
        with suppress(OSError):
            self._file.peek(1)

    @property
    def closed(self) -> bool:
        return bool(self._file.closed)


class _Handler(WSGIHandler):  # type: ignore[misc]  # gevent has no types
    def __init__(self, accepted: Any, address: Any, server: "BoundedServer") -> None:
        super().__init__(accepted, address, server)
        file: Any = self.rfile
        self.rfile: Any = _BoundedHead(file)
        self.connection = server.connections[accepted]
        self._is_first = True

    def read_requestline(self) -> str:
        if not self._is_first:
            self.connection.wait_for_request(IDLE_S)
            self.rfile.wait_for_a_byte()
            self.connection.wait_for_request(HEAD_S)
        self._is_first = False
        self.rfile.begin_head()
        line: str = super().read_requestline()
        return line

    def read_request(self, raw_requestline: str) -> bool:
        try:
            fine: bool = super().read_request(raw_requestline)
        except HTTPException as error:
            # gevent prints nothing for a ValueError.
            raise ValueError(str(error)) from None
        self.rfile.end_head()
        self.connection.begin_request()
        return fine

    def handle_error(self, kind: type[BaseException], error: BaseException, trace: Any) -> None:
        # Of a connection that was closed: with TLS, and while a body was read.
        if issubclass(kind, OSError) and (kind.__module__ == "ssl" or str(error).startswith(_BODY_ENDS)):
            self.close_connection = True
        else:
            super().handle_error(kind, error, trace)

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        environ[_ENVIRON_KEY] = self.connection
        environ[ARRIVED_S] = clock.wall() - _waited_s(self.socket)
        return environ


def _waited_s(connection: Any) -> float:
    """Return for how many seconds the newest bytes have waited to be read, including the time before the connection was
    accepted. 0 if the operating system does not provide it."""
    if not hasattr(socket, "TCP_INFO"):
        return 0.0
    try:
        state = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECEIVED.stop)
    except OSError:
        return 0.0
    waited_s = int.from_bytes(state[_LAST_DATA_RECEIVED], sys.byteorder) / 1000
    return waited_s if waited_s >= _NO_WAIT_S else 0.0


class BoundedServer(WSGIServer):  # type: ignore[misc]  # gevent has no types
    """A server with at most MOST_CONNECTIONS connections, or fewer if the limit of open files is low.

    At the limit, the connection that has been idle for longest is closed for a new one; while all are busy, new
    connections are closed at once.
    """

    max_accept = _ACCEPTED_AT_ONCE

    def __init__(self, listener: Any, application: Any, tls: Any = None) -> None:
        """`tls` is an SSLContext, None for plain HTTP."""
        further = {} if tls is None else {"ssl_context": tls}
        super().__init__(listener, application, log=None, error_log=None, handler_class=_Handler, **further)
        self.connections: dict[Any, Connection] = {}
        self._most = max(4, min(MOST_CONNECTIONS, open_files.room() // 2))
        self._sweeper: gevent.Greenlet | None = None

    def init_socket(self) -> None:
        """Create the listener. Its connections send the head and the body of a response, which are two writes, at once:
        otherwise the body waits for the acknowledgement of the head, 40 ms for all but a connection's first responses.
        """
        super().init_socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def update_environ(self) -> None:
        """As gevent's, without asking for the name of the address, which may take seconds, and starts a thread."""
        if isinstance(self.address, tuple):
            self.environ.setdefault("SERVER_NAME", str(self.address[0]))
        super().update_environ()

    def start(self) -> None:
        super().start()
        self._sweeper = Supervisor().keep("The time limits of the web port", self._sweep)

    def stop(self, timeout: float | None = None) -> None:
        super().stop(timeout)
        if self._sweeper is not None:
            self._sweeper.kill()

    def do_read(self) -> tuple[Any, Any] | None:
        try:
            found: tuple[Any, Any] | None = super().do_read()
        except OSError as error:
            if not open_files.is_exhaustion(error):
                raise
            self._make_room()
            self._pause()
            return None
        if found is None:
            return None
        accepted = found[0]
        too_high = accepted.fileno() >= open_files.ceiling(open_files.RESERVED_FROM_WEB)
        if (len(self.connections) >= self._most or too_high) and (not self._make_room() or too_high):
            accepted.close()
            return None
        self.connections[accepted] = Connection(accepted)
        return found

    def _make_room(self) -> bool:
        idle = [(each.idle_since, key) for key, each in self.connections.items() if not (each.busy or each.trusted)]
        if not idle:
            return False
        _, oldest = min(idle, key=lambda each: each[0])
        self.connections.pop(oldest).close()
        return True

    def _pause(self) -> None:
        """Stop accepting for a moment: without a free descriptor, an immediate retry would only use CPU time."""
        self.stop_accepting()
        self._timer = self.loop.timer(_WITHOUT_DESCRIPTORS_S)
        self._timer.start(self._start_accepting_if_started)

    def handle(self, accepted: Any, address: Any) -> None:
        if accepted not in self.connections:
            # Closed for a newer connection before its greenlet was first scheduled.
            accepted.close()
            return
        try:
            super().handle(accepted, address)
        finally:
            self.connections.pop(accepted, None)

    def wrap_socket_and_handle(self, accepted: Any, address: Any) -> None:
        """Do the TLS handshake, within the time for the first head, and handle the connection."""
        connection = self.connections.pop(accepted, None)
        if connection is None:
            # Closed for a newer connection before its greenlet was first scheduled.
            accepted.close()
            return
        wrapped = self.wrap_socket(accepted, **{**self.ssl_args, "do_handshake_on_connect": False})
        # From now on the accepted socket is an empty one, which cannot be shut down.
        connection.wrap(wrapped)
        self.connections[wrapped] = connection
        try:
            wrapped.do_handshake()
            self.handle(wrapped, address)
        except OSError:
            # No TLS, or the time is over.
            pass
        finally:
            self.connections.pop(wrapped, None)
            wrapped.close()

    def _sweep(self) -> None:
        while True:
            gevent.sleep(_LOOK_EVERY_S)
            now = clock.monotonic()
            for each in list(self.connections.values()):
                if now > each.due:
                    each.close()

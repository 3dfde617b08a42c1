"""A WSGI server whose connections have limits: how many there are, how long each step may take, how large a head is.
What strangers hold open cannot take the descriptors or the memory that the run needs."""

import socket
import sys
from http.client import HTTPException
from typing import Any

import gevent
from gevent.pywsgi import WSGIHandler, WSGIServer

from obswarm import clock, open_files
from obswarm.greenlets import Supervisor
from obswarm.metrics.exposition import ARRIVED_S

MOST_CONNECTIONS = 100
HEAD_S = 10.0
"""From a connection, or the first byte of its next request, to the end of the request's head."""

IDLE_S = 120.0
"""Between two requests: longer than the usual scrape intervals."""

REQUEST_S = 30.0
"""From the end of the head to the end of the response, the body included."""

TRUSTED_REQUEST_S = 300.0
"""The same for requests with a token, whose bodies may be large."""

HEAD_BYTES = 32 * 1024

_ENVIRON_KEY = "obswarm.connection"
_LAST_DATA_RECEIVED = slice(52, 56)
"""Where Linux' `struct tcp_info` has `tcpi_last_data_recv`, milliseconds (include/uapi/linux/tcp.h)."""

_NO_WAIT_S = 0.02
"""The kernel counts them in steps of up to 10 ms."""

_LOOK_EVERY_S = 0.5
_ACCEPTED_AT_ONCE = 20
"""Connections taken before those taken earlier get a turn to read what came with them."""

_WITHOUT_DESCRIPTORS_S = 0.1


class Connection:
    """One connection and what it is at. `busy` from the end of a request's head to the end of its response."""

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
        """Whoever sent the request has a token: it has more time, and is not closed for somebody else."""
        self.trusted = True
        self.begin_request()

    def close(self) -> None:
        """End it; whoever reads from it or writes to it finds it ended."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The other side was quicker.
            pass


def trust(environ: Any) -> None:
    """The request of `environ` has shown a token."""
    connection: Connection | None = environ.get(_ENVIRON_KEY)
    if connection is not None:
        connection.trust()


class _BoundedHead:
    """A connection's file, of which a head reads only so much."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.left: int | None = None
        """Bytes that may still be read line by line; None outside of a head."""

    def readline(self, size: int = -1) -> bytes:
        line: bytes = self._file.readline(size)
        if self.left is not None:
            self.left -= len(line)
            if self.left < 0:
                raise ValueError(f"more than {HEAD_BYTES} bytes of headers")
        return line

    def read(self, size: int = -1) -> bytes:
        piece: bytes = self._file.read(size)
        return piece

    def wait_for_a_byte(self) -> None:
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
        self.rfile.left = HEAD_BYTES
        line: str = super().read_requestline()
        return line

    def read_request(self, raw_requestline: str) -> bool:
        try:
            fine: bool = super().read_request(raw_requestline)
        except HTTPException as error:
            # As of ValueErrors, nothing is printed of it.
            raise ValueError(str(error)) from None
        self.rfile.left = None
        self.connection.begin_request()
        return fine

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        environ[_ENVIRON_KEY] = self.connection
        environ[ARRIVED_S] = clock.wall() - _waited_s(self.socket)
        return environ


def _waited_s(connection: Any) -> float:
    """How long the newest bytes of a connection have waited to be read: also before it was accepted, by a process that
    was not there yet. 0 where the system does not say."""
    if not hasattr(socket, "TCP_INFO"):
        return 0.0
    try:
        state = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECEIVED.stop)
    except OSError:
        return 0.0
    waited_s = int.from_bytes(state[_LAST_DATA_RECEIVED], sys.byteorder) / 1000
    return waited_s if waited_s >= _NO_WAIT_S else 0.0


class BoundedServer(WSGIServer):  # type: ignore[misc]  # gevent has no types
    """At most MOST_CONNECTIONS at a time, and fewer where few files may be open.

    When there are as many, the one that has been without a request for longest is closed for a new one; while all are
    busy, new ones are closed at once.
    """

    max_accept = _ACCEPTED_AT_ONCE

    def __init__(self, listener: Any, application: Any) -> None:
        super().__init__(listener, application, log=None, error_log=None, handler_class=_Handler)
        self.connections: dict[Any, Connection] = {}
        self._most = max(4, min(MOST_CONNECTIONS, open_files.room() // 2))
        self._sweeper: gevent.Greenlet | None = None

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
        """Without a descriptor nothing can be accepted; looking again at once would only take CPU time."""
        self.stop_accepting()
        self._timer = self.loop.timer(_WITHOUT_DESCRIPTORS_S)
        self._timer.start(self._start_accepting_if_started)

    def handle(self, accepted: Any, address: Any) -> None:
        if accepted not in self.connections:
            # Closed for a newer one before it had its first turn.
            accepted.close()
            return
        try:
            super().handle(accepted, address)
        finally:
            self.connections.pop(accepted, None)

    def _sweep(self) -> None:
        while True:
            gevent.sleep(_LOOK_EVERY_S)
            now = clock.monotonic()
            for each in list(self.connections.values()):
                if now > each.due:
                    each.close()

"""Bytes to and from a peer. The protocol code sees only the interface, so that it runs over TCP, TLS, Unix sockets and
tunnels alike, and in tests over a script."""

import _socket  # the C type itself: gevent's sockets wrap it, and the wrapping is what costs
import errno
import os
import select
import socket
from typing import Any, Protocol

import gevent
from gevent.monkey import get_original
from greenlet import getcurrent

from obswarm import open_files
from obswarm.http.deadlines import NEVER, Deadlines, deadlines

READ_SIZE = 65536
_READ, _WRITE = 1, 2  # libev's EV_READ and EV_WRITE
_new_poll = get_original("select", "poll")  # gevent's goes through its loop


class BrokenOff(OSError):
    """Sending failed after the peer may have been sent a part."""


class Stream(Protocol):
    """A connected, ordered stream. `due` bounds every wait; see Deadlines."""

    due: float

    @property
    def unread(self) -> bool:
        """Whether bytes have been received that `receive` has not returned yet."""

    def receive(self) -> bytes:
        """Return the next bytes, b"" at the end. Raises StreamTimeout and OSError."""

    def send(self, payload: bytes) -> None:
        """Send all of it. Raises StreamTimeout, BrokenOff, and any other OSError when nothing of it was sent."""

    def has_news(self) -> bool:
        """Return, without waiting, whether there is something to read, the end included."""

    def close(self) -> None: ...


class SocketStream:
    """A TCP or Unix socket. One watcher lives as long as the socket; a greenlet that waits is switched to directly."""

    __slots__ = (
        "_deadlines",
        "_loop",
        "_news",
        "_reading",
        "_socket",
        "_writing",
        "due",
        "looked_at",
        "waiter",
    )
    unread = False
    """Never: each byte that is received is returned."""

    def __init__(self, family: int) -> None:
        """Raises OSError (EMFILE) already when only descriptors are left that this process needs for itself."""
        self._socket = _socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        if self._socket.fileno() >= open_files.ceiling():
            self._socket.close()
            raise open_files.none_left()
        hub = gevent.get_hub()
        self._loop = hub.loop
        self._reading: Any = None
        self._writing: Any = None
        self._news: Any = None
        self._deadlines: Deadlines = deadlines()
        self.due = NEVER
        self.looked_at = NEVER
        self.waiter: Any = None

    def connect(self, address: Any) -> None:
        """Connect to a socket address. Raises StreamTimeout and OSError; the stream is closed then."""
        try:
            code = self._socket.connect_ex(address)
            if code in (errno.EINPROGRESS, errno.EAGAIN):
                self._wait_writable()
                code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                # Hardly any connection needs it again, and it would be a tenth of what an idle one takes.
                self._writing.close()
                self._writing = None
            if code:
                raise OSError(code, os.strerror(code))
            if self._socket.family != socket.AF_UNIX:
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            self.close()
            raise
        self._reading = self._loop.io(self._socket.fileno(), _READ)

    def receive(self) -> bytes:
        # An answer is hardly ever there already when it is asked for, and a recv that fails costs a system call and an
        # exception, so waiting comes first.
        watcher = self._reading
        while True:
            if self.due < self.looked_at:
                self._deadlines.watch(self)
            self.waiter = waiter = getcurrent()
            watcher.start(waiter.switch)
            try:
                self._deadlines.leave()
            finally:
                watcher.stop()
                self.waiter = None
            try:
                return self._socket.recv(READ_SIZE)
            except BlockingIOError:
                self._deadlines.refuse_hub(waiter)

    def send(self, payload: bytes) -> None:
        try:
            sent = self._socket.send(payload)
        except BlockingIOError:
            sent = 0
        if sent < len(payload):
            self._send_rest(memoryview(payload)[sent:])

    def _send_rest(self, rest: memoryview) -> None:
        while rest:
            self._wait_writable()
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise BrokenOff(error.errno, error.strerror) from None

    def has_news(self) -> bool:
        # A poll costs a third of a recv that raises.
        poll = self._news
        if poll is None:
            made = _new_poll()
            made.register(self._socket.fileno(), select.POLLIN)
            poll = self._news = made.poll
        return bool(poll(0))

    def _wait_writable(self) -> None:
        waiter = getcurrent()
        self._deadlines.refuse_hub(waiter)
        if self._writing is None:
            self._writing = self._loop.io(self._socket.fileno(), _WRITE)
        if self.due < self.looked_at:
            self._deadlines.watch(self)
        self.waiter = waiter
        self._writing.start(waiter.switch)
        try:
            self._deadlines.leave()
        finally:
            # Closed in the meantime by somebody else, it is gone.
            if self._writing is not None:
                self._writing.stop()
            self.waiter = None

    @property
    def fileno(self) -> int:
        return int(self._socket.fileno())

    def close(self) -> None:
        self._deadlines.forget(self)
        for watcher in (self._reading, self._writing):
            if watcher is not None:
                watcher.close()
        self._reading = self._writing = None
        self._socket.close()

"""One HTTP/1.1 connection: sends a request, reads its response. Knows neither cookies nor redirects nor statistics."""

import errno
import os
import re
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httptools

from obswarm.clock import monotonic
from obswarm.http.deadlines import NEVER, StreamTimeout
from obswarm.http.errors import ConnectionLost, HttpError, ProtocolError, ReadTimeout
from obswarm.http.stream import Stream

if TYPE_CHECKING:
    from obswarm.http.body import StreamedBody
    from obswarm.http.route import Route

Header = tuple[bytes, bytes]

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_DELIMITING = frozenset((b"content-length", b"transfer-encoding"))
_MOST_HEAD_BYTES = 256 * 1024
_MOST_INTERIM_RESPONSES = 100
_SWITCHING_PROTOCOLS = 101
_IDLE_WORTH_A_LOOK_S = 0.5
_HUNG_UP = frozenset((errno.EPIPE, errno.ECONNRESET))
"""The server stopped listening while a body was sent; what it answered before that can still be read."""


class _Excess(Exception):
    """The server began a second answer to one request."""


class ResponseHead:
    """What stands before the body, cut apart when somebody asks for it: most callers only want the status, which the
    parser knows, and calls into Python for each header are a tenth of a request's cost.

    `raw` begins with the answer's first byte and goes beyond its head; the parser has found it to be in order.
    """

    __slots__ = ("headers", "reason")

    def __init__(self, raw: bytes, interim: int = 0) -> None:
        """`interim` is the number of 1xx answers that came before."""
        position = 0
        for _ in range(interim + 1):
            while raw[position : position + 1] in (b"\r", b"\n"):
                position += 1
            end = _END_OF_HEAD.search(raw, position)
            begin, position = position, end.end() if end is not None else len(raw)
        lines = raw[begin : end.start() if end is not None else len(raw)].split(b"\n")
        parts = lines[0].split(b" ", 2)
        self.reason = parts[2].strip() if len(parts) > 2 else b""
        self.headers: list[Header] = []
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            self.headers.append((name, value.strip()))


class Connection:
    """A connection, used for one request after the other. After `exchange`, or `send` and `read_head`, it holds the
    answer until the next request begins: its status, its first bytes as they came (see `head`), the body's pieces.

    It is also what the parser calls back. Every failure is one of ConnectionLost, ReadTimeout, ProtocolError;
    afterwards the connection can only be closed.
    """

    __slots__ = (
        "_head_only",
        "_parser",
        "_reading_head",
        "_stream",
        "answered",
        "body",
        "complete",
        "connect_s",
        "deadline",
        "first_byte_at",
        "interim",
        "keep_alive",
        "on_body",
        "raw",
        "read_timeout_s",
        "route",
        "status",
        "tls_s",
        "used_at",
    )

    def __init__(self, stream: Stream, route: "Route", connect_s: float = 0.0, tls_s: float | None = None) -> None:
        self._stream = stream
        self.route = route
        self.connect_s = connect_s
        self.tls_s = tls_s
        self.answered = 0
        self.used_at = 0.0
        self.deadline = NEVER
        self.read_timeout_s: float = NEVER
        self.first_byte_at = 0.0
        self.raw = b""
        # One list for the life of the connection, so that the parser can append to it without a call into Python.
        self.body: list[bytes] = []
        self.on_body = self.body.append
        self.status = 0
        self.complete = False
        self.keep_alive = False
        self._head_only = False
        self._reading_head = False
        self.interim = 0
        self._new_parser()

    def _new_parser(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        # RFC 9112, 2.2 lets a recipient take a single LF as the end of a line, and old servers put blanks behind a
        # chunk's size.
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True)

    # What httptools calls while it parses. An interim response (1xx) is a message of its own before the final one.
    def on_message_begin(self) -> None:
        if self.complete:
            raise _Excess

    def on_headers_complete(self) -> None:
        self.status = status = self._parser.get_status_code()
        if status < 200 and status != _SWITCHING_PROTOCOLS:
            self.interim += 1
            if self.interim > _MOST_INTERIM_RESPONSES:
                raise ProtocolError(f"{self.peer} sent more than {_MOST_INTERIM_RESPONSES} interim responses (1xx)")
            return
        self._reading_head = False
        if self._head_only:
            self.complete = True
            self.keep_alive = self._is_kept_alive()

    def on_message_complete(self) -> None:
        if not self._reading_head and not self.complete:
            self.complete = True
            # Only now does the parser know; a moment later it has forgotten.
            self.keep_alive = self._parser.should_keep_alive() and self.status != _SWITCHING_PROTOCOLS

    def _is_kept_alive(self) -> bool:
        """For an answer without a body: whether it keeps the connection, by its headers alone."""
        tokens = {
            token.strip().lower()
            for name, value in self.head().headers
            if name.lower() == b"connection"
            for token in value.split(b",")
        }
        return b"close" not in tokens and (self._parser.get_http_version() == "1.1" or b"keep-alive" in tokens)

    @property
    def peer(self) -> str:
        return self.route.peer

    @property
    def tls_session(self) -> ssl.SSLSession | None:
        """What lets the next connection to the same peer resume TLS."""
        session: ssl.SSLSession | None = getattr(self._stream, "session", None)
        return session

    @property
    def heard(self) -> bool:
        """Whether any byte of the present answer has come."""
        return self.first_byte_at != 0.0

    def head(self) -> ResponseHead:
        """Reason and headers of the present answer."""
        return ResponseHead(self.raw, self.interim)

    def is_stale(self, now: float) -> bool:
        """True when the server has closed it, or sent something unasked, while it was idle.

        Looked at only after a pause: within a busy loop the look costs more than the rare retry.
        """
        return now - self.used_at > _IDLE_WORTH_A_LOOK_S and self._stream.has_news()

    def exchange(self, request: bytes, head_only: bool, now: float) -> None:
        """Send a request that is complete in bytes, and read the whole answer."""
        stream = self._stream
        self._begin(head_only)
        due = now + self.read_timeout_s
        stream.due = due if due < self.deadline else self.deadline
        try:
            try:
                stream.send(request)
            except OSError:
                # The server may have answered before it stopped listening; reading tells.
                pass
            piece = stream.receive()
            if piece:
                self.first_byte_at = monotonic()
                self.raw = piece
                self._parser.feed_data(piece)
                if not self.complete:
                    self._go_on(len(piece))
            else:
                self._at_end()
        except Exception as error:
            self._explain(error)
        if head_only and self.body:
            self.body.clear()
            self.keep_alive = False

    def send(self, head: bytes, body: "StreamedBody | bytes", now: float) -> None:
        """Send a request whose body may come in pieces. An answer that comes early is not waited for."""
        self._begin(False)
        self._set_due(now)
        try:
            if isinstance(body, bytes):
                self._stream.send(head + body)
            else:
                self._stream.send(head)
                for piece in body.pieces():
                    self._set_due(monotonic())
                    self._stream.send(piece)
        except StreamTimeout as error:
            self._explain(error)
        except OSError as error:
            if error.errno not in _HUNG_UP:
                self._explain(error)

    def read_head(self, head_only: bool) -> None:
        """Read up to the end of the head; what comes with it of the body is in `body`."""
        self._head_only = head_only
        received = 0
        try:
            while self._reading_head:
                self._set_due(monotonic())
                piece = self._stream.receive()
                if not piece:
                    self._at_end()
                if not received:
                    self.first_byte_at = monotonic()
                received += len(piece)
                self.raw += piece
                self._parser.feed_data(piece)
                self._check_head(received)
        except Exception as error:
            self._explain(error)

    def read_body(self) -> None:
        """Read the rest of the body into `body`."""
        try:
            self._go_on(0)
        except Exception as error:
            self._explain(error)

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives; after the last piece the answer is complete."""
        while True:
            while self.body:
                yield self.body.pop(0)
            if self.complete:
                return
            try:
                self._read_more()
            except Exception as error:
                self._explain(error)

    def _begin(self, head_only: bool) -> None:
        self.status = 0
        self.raw = b""
        self.body.clear()
        self.complete = False
        self.first_byte_at = 0.0
        self._reading_head = True
        self.interim = 0
        if self._head_only:
            # The parser still waits for the body of an answer to HEAD.
            self._new_parser()
        self._head_only = head_only

    def _set_due(self, now: float) -> None:
        self._stream.due = min(now + self.read_timeout_s, self.deadline)

    def _go_on(self, received: int) -> None:
        while not self.complete:
            received += self._read_more()
            self._check_head(received)

    def _read_more(self) -> int:
        self._set_due(monotonic())
        piece = self._stream.receive()
        if piece:
            if self._reading_head:
                self.raw += piece
            self._parser.feed_data(piece)
        else:
            self._at_end()
        return len(piece)

    def _check_head(self, received: int) -> None:
        if self._reading_head and received > _MOST_HEAD_BYTES:
            raise ProtocolError(f"{self.peer} sent more than {_MOST_HEAD_BYTES // 1024} KiB of headers")

    def _at_end(self) -> None:
        """The server closed. That ends a body that has no other end; everything else is cut off."""
        if self._reading_head:
            if self.heard:
                raise ConnectionLost(f"{self.peer} closed the connection in the middle of its answer's headers")
            raise ConnectionLost(f"{self.peer} closed the connection without an answer")
        if any(name.lower() in _DELIMITING for name, _ in self.head().headers):
            got = sum(map(len, self.body))
            raise ConnectionLost(
                f"{self.peer} closed the connection in the middle of its answer, after {got} bytes of the body"
            )
        self.complete = True
        self.keep_alive = False

    def _explain(self, error: Exception) -> None:
        """Map what the stream and the parser raise to the client's own errors, in this one place."""
        if self.complete:
            # What came after a complete answer does not spoil it, only the connection.
            self.keep_alive = False
            return
        self.keep_alive = False
        if isinstance(error, StreamTimeout):
            if self._stream.due >= self.deadline:
                raise ReadTimeout(f"no complete answer from {self.peer} before the total timeout was over") from None
            raise ReadTimeout(f"nothing came from {self.peer} for {self.read_timeout_s:g} s") from None
        if isinstance(error, HttpError):
            raise error
        if isinstance(error, httptools.HttpParserError):
            cause = error.__context__
            if isinstance(cause, HttpError):
                raise cause from None
            raise ProtocolError(f"{self.peer} did not answer in HTTP: {error}") from None
        if isinstance(error, OSError):
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise ConnectionLost(f"the connection to {self.peer} broke: {reason}") from None
        raise error

    def close(self) -> None:
        self._stream.close()
        # The parser holds our callbacks, and we hold the parser.
        self._parser = None

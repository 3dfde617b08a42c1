"""One HTTP/1.1 connection: send a request, read its response. Cookies, redirects and statistics are elsewhere."""

import errno
import math
import os
import ssl
from collections.abc import Iterator
from typing import Any, NoReturn

import httptools

from obswarm.clock import monotonic
from obswarm.http.body import StreamedBody
from obswarm.http.body_buffer import LARGE_BODY_BYTES, BodyBuffer
from obswarm.http.deadlines import NEVER, StreamTimeout
from obswarm.http.errors import (
    SHOWN_LENGTH,
    ConnectionLost,
    ConnectionReset,
    HttpError,
    ProtocolError,
    ReadTimeout,
    ResponseTooLarge,
    StrayBytes,
    TlsError,
)
from obswarm.http.known_heads import END_OF_HEAD, known_heads, learn
from obswarm.http.response_parser import NotHttp, ParsedResponse, TooMuch
from obswarm.http.route import Route
from obswarm.http.tls import tls_failure
from obswarm.http.transport import BrokenOff, Stream
from obswarm.sanitize import clean_text
from obswarm.units import format_limit

_HUNG_UP = frozenset((errno.EPIPE, errno.ECONNRESET))
"""The server stopped listening while a body was sent; what it answered before that can still be read."""


class Connection:
    """A connection, used for one request after the other.

    Every failure is one of ConnectionLost, ReadTimeout, ProtocolError, or TlsError; afterwards the
    connection can only be closed. `reusable` says whether it can be used again after an answer has been read.
    """

    __slots__ = (
        "answered",
        "connect_s",
        "deadline",
        "emptied_at",
        "first_byte_at",
        "had_head",
        "idle_below",
        "max_response_bytes",
        "place",
        "read_timeout_s",
        "reusable",
        "route",
        "stream",
        "tls_s",
        "unsent",
    )

    def __init__(self, stream: Stream, route: Route, connect_s: float = 0.0, tls_s: float | None = None) -> None:
        self.stream = stream
        """Its `has_news` tells of an idle connection whether the server has closed it, or sent unsolicited bytes since
        the last response: those would be read as the next response."""
        self.route = route
        self.connect_s = connect_s
        self.tls_s = tls_s
        self.answered = 0
        self.had_head = False
        """Whether a HEAD request was sent, to which some servers send a body."""
        self.unsent = False
        self.deadline = NEVER
        self.read_timeout_s: float = NEVER
        self.max_response_bytes: float = math.inf
        self.first_byte_at = 0.0
        self.emptied_at = 0.0
        """When all that had come was read; 0 where more than the response may come."""
        self.reusable = False
        self.idle_below: Connection | None = None
        """In the stack of a pool's idle connections, the next one."""
        self.place: Any = None
        """Where a pool has it."""

    @property
    def peer(self) -> str:
        return self.route.peer

    @property
    def tls_session(self) -> ssl.SSLSession | None:
        """The TLS session, with which the next connection to the same peer can resume."""
        session: ssl.SSLSession | None = getattr(self.stream, "session", None)
        return session

    @property
    def is_resumed(self) -> bool:
        """Whether the TLS handshake has resumed the session of an earlier connection."""
        return bool(getattr(self.stream, "resumed", False))

    @property
    def heard(self) -> bool:
        """Whether any byte of the current response has arrived."""
        return self.first_byte_at != 0.0

    def exchange(self, request: bytes, now: float) -> bytes:
        """Send a request that is complete in bytes, and return the first bytes of its answer, b"" at the end of the
        connection: for `finish`. `now` is the present moment."""
        stream = self.stream
        self.first_byte_at = 0.0
        self.reusable = False
        due = now + self.read_timeout_s
        stream.due = due if due < self.deadline else self.deadline
        try:
            try:
                stream.send(request)
            except OSError as error:
                self._check_unsent(error)
                # The server may have answered before it stopped listening; reading tells.
            piece = stream.receive()
        except BaseException as error:
            self._explain(error, None)
        if piece:
            self.first_byte_at = self.emptied_at = monotonic()
        return piece

    def finish(self, piece: bytes, head_only: bool) -> ParsedResponse:
        """Read the whole answer that begins with what `exchange` has returned."""
        answer = ParsedResponse.begin(head_only)
        try:
            self._take(answer, piece)
            if not answer.complete or len(piece) > self.max_response_bytes:
                self._read_rest(answer)
            elif not head_only:
                learn(piece, answer)
        except BaseException as error:
            self._explain(error, answer)
        if head_only:
            self._end_with_head(answer)
        self.reusable = answer.keep_alive
        return answer

    def _end_with_head(self, answer: ParsedResponse) -> None:
        """Some servers send a body all the same, at once or later: bytes that the next request would be answered
        with."""
        self.emptied_at = 0.0
        self.had_head = True
        if answer.body or (self.place is not None and self.place.sends_stray_bytes):
            answer.body.clear()
            answer.keep_alive = False

    def send_request(self, request: bytes, head_only: bool, now: float) -> ParsedResponse:
        """Send a request that is complete in bytes, and read the whole answer. `now` is the present moment."""
        piece = self.exchange(request, now)
        known = None if head_only else known_heads.get(piece[: piece.find(END_OF_HEAD) + len(END_OF_HEAD)])
        if known is None or known.size_bytes != len(piece) or len(piece) > self.max_response_bytes:
            return self.finish(piece, head_only)
        self.reusable = known.keep_alive
        answer = ParsedResponse.begin(head_only)
        answer.take_whole(piece, known.body_at, known.status, known.keep_alive)
        return answer

    def _read_rest(self, answer: ParsedResponse) -> None:
        """Read to the end of the answer. Raises ResponseTooLarge before anything is read of a body that is announced
        as larger than it may be, and for others when so much has come."""
        most = self.max_response_bytes
        while answer.reading_head:
            self._read_more(answer)
        received = sum(map(len, answer.body)) if answer.body else 0
        announced = 0 if answer.complete else answer.announced_bytes()
        if announced > most:
            raise ResponseTooLarge(most)
        while received <= most:
            if answer.complete:
                return
            if received >= LARGE_BODY_BYTES:
                self._read_large(answer, received, announced)
                return
            received += self._read_more(answer)
        raise ResponseTooLarge(most)

    def _read_large(self, answer: ParsedResponse, received: int, announced: int) -> None:
        """As _read_rest, in one buffer that becomes the body without being copied, and is gone as soon as this
        fails."""
        with BodyBuffer(announced) as buffer:
            try:
                while not answer.complete:
                    buffer.take(answer.body)
                    received += self._read_more(answer)
                    if received > self.max_response_bytes:
                        raise ResponseTooLarge(self.max_response_bytes)
            finally:
                # Also when something came behind a complete answer, which does not spoil it.
                if answer.complete:
                    buffer.take(answer.body)
                    answer.body.append(buffer.content())

    def send(self, head: bytes, body: StreamedBody | bytes, now: float) -> None:
        """Send a request whose body may come in pieces. An answer that comes early is not waited for."""
        self.first_byte_at = 0.0
        self.reusable = False
        self._set_due(now)
        try:
            try:
                self.stream.send(head + body if isinstance(body, bytes) else head)
            except OSError as error:
                self._check_unsent(error)
                raise
            if not isinstance(body, bytes):
                for piece in body.pieces():
                    self._set_due(monotonic())
                    self.stream.send(piece)
        except StreamTimeout as error:
            self._explain(error, None)
        except OSError as error:
            if error.errno not in _HUNG_UP:
                self._explain(error, None)

    def _check_unsent(self, error: OSError) -> None:
        """Raise ConnectionLost, with `unsent` set, when a connection that was used before took nothing of a request:
        what could be read there does not answer it."""
        if self.answered and not isinstance(error, BrokenOff | ssl.SSLError):
            self.unsent = True
            raise ConnectionLost(f"{self.peer} closed the connection") from None

    def read_head(self, head_only: bool) -> ParsedResponse:
        """Read to the end of the head; body bytes that arrive with it are in the response."""
        answer = ParsedResponse.begin(head_only)
        try:
            while answer.reading_head:
                self._read_more(answer)
        except BaseException as error:
            self._explain(error, answer)
        if head_only:
            self._end_with_head(answer)
        self.reusable = answer.complete and answer.keep_alive
        return answer

    def read_body(self, answer: ParsedResponse) -> None:
        """Read the rest of the body into the response."""
        try:
            self._read_rest(answer)
        except BaseException as error:
            self._explain(error, answer)
        self.reusable = answer.keep_alive

    def pieces(self, answer: ParsedResponse) -> Iterator[bytes]:
        """Iterate over the body as it arrives; after the last piece the response is complete."""
        for _ in self._rest(answer):
            while answer.body:
                yield answer.body.pop(0)

    def _rest(self, answer: ParsedResponse) -> Iterator[None]:
        yield None
        while not answer.complete:
            try:
                self._read_more(answer)
            except BaseException as error:
                self._explain(error, answer)
            yield None
        self.reusable = answer.keep_alive

    def _set_due(self, now: float) -> None:
        due = now + self.read_timeout_s
        self.stream.due = due if due < self.deadline else self.deadline

    def _read_more(self, answer: ParsedResponse) -> int:
        self._set_due(monotonic())
        piece = self.stream.receive()
        if piece and not self.first_byte_at:
            self.first_byte_at = monotonic()
        self._take(answer, piece)
        return len(piece)

    def _take(self, answer: ParsedResponse, piece: bytes) -> None:
        if piece:
            answer.feed(piece)
        elif not answer.end():
            raise ConnectionLost(self._where_it_ended(answer))

    def _where_it_ended(self, answer: ParsedResponse) -> str:
        if not self.heard:
            return f"{self.peer} closed the connection without an answer"
        if answer.reading_head:
            return f"{self.peer} closed the connection in the middle of its answer's headers"
        return f"{self.peer} closed the connection in the middle of its answer's body"

    def _explain(self, error: BaseException, answer: ParsedResponse | None) -> None:
        """Map what the stream and the parser raise to the client's own errors, in this one place."""
        self.reusable = False
        if answer is not None:
            answer.keep_alive = False
            if answer.complete and isinstance(error, httptools.HttpParserError | httptools.HttpParserUpgrade):
                # What came after a complete answer does not spoil it, only the connection; and so does a switch to
                # another protocol (101), which nobody has asked for.
                return
            self._check_stray(error, answer)
            answer.abandon()
        self._raise(error)

    def _check_stray(self, error: BaseException, answer: ParsedResponse) -> None:
        """Raise StrayBytes for what cannot be the response, and may be a late body in response to HEAD. Without one,
        it is taken for what the server answers."""
        if not self.had_head or not isinstance(error, NotHttp | httptools.HttpParserError):
            return
        if answer.reading_head and answer.begins_otherwise():
            shown = clean_text(answer.raw[:SHOWN_LENGTH].decode("latin-1"), SHOWN_LENGTH)
            answer.abandon()
            raise StrayBytes(
                f"{self.peer} sent bytes that belong to no response, after its last one: {shown!r}"
            ) from None

    def _raise(self, error: BaseException) -> NoReturn:
        if isinstance(error, StreamTimeout):
            if self.stream.due >= self.deadline:
                raise ReadTimeout(f"no complete answer from {self.peer} before the total timeout was over") from None
            raise ReadTimeout(f"nothing came from {self.peer} for {format_limit(self.read_timeout_s)}") from None
        if isinstance(error, HttpError):
            raise error
        cause = error.__context__ if isinstance(error, httptools.HttpParserError) else error
        if isinstance(cause, TooMuch):
            raise ProtocolError(f"{self.peer} sent {cause}") from None
        if isinstance(cause, NotHttp) or isinstance(error, httptools.HttpParserError):
            what = cause if isinstance(cause, NotHttp) else error
            raise ProtocolError(f"{self.peer} did not answer in HTTP: {what}") from None
        if isinstance(error, ssl.SSLError):
            text = tls_failure(self.peer, error)
            # As the handshake's own end, which a server of TLS 1.3 tells of with the first that it sends.
            raise (ConnectionLost(text) if self.answered else TlsError(text)) from None
        if isinstance(error, OSError):
            reason = os.strerror(error.errno) if error.errno else str(error)
            kind = ConnectionReset if isinstance(error, ConnectionResetError) else ConnectionLost
            raise kind(f"the connection to {self.peer} broke: {reason}") from None
        raise error

    def close(self) -> None:
        self.stream.close()

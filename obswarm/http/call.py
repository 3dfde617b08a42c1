"""One call of either client while it is under way: what it sends, and one hop of it over a connection of a pool."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from obswarm.api import ObswarmError
from obswarm.clock import monotonic
from obswarm.http.body import StreamedBody
from obswarm.http.connection import Connection
from obswarm.http.deadlines import NEVER
from obswarm.http.errors import ConnectionLost, HttpError, StrayBytes
from obswarm.http.head import Prepared
from obswarm.http.pool import ConnectionPool
from obswarm.http.response_parser import ParsedResponse

_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
LARGE_BODY = 1024 * 1024
"""Bytes; larger bodies are sent in pieces, each within the timeout."""


class Call:
    """A request, from hop to hop when it is redirected. One without a body of its own is plain: sent in one piece, and
    its answer read whole."""

    headers: Mapping[str, str | None] = MappingProxyType({})
    """Headers of the call itself, which replace those of the session."""

    extra_cookies: Any = None
    is_repeat = False
    """It has been sent over a connection that the server had closed, and needs a new one."""

    reused = False
    sent_at = 0.0

    def __init__(
        self,
        prepared: Prepared,
        connect_timeout_s: float,
        read_timeout_s: float,
        deadline: float,
        max_response_bytes: float,
    ) -> None:
        self.prepared = prepared
        self.connect_timeout_s = connect_timeout_s
        self.read_timeout_s = read_timeout_s
        self.deadline = deadline
        self.max_response_bytes = max_response_bytes
        # On the object rather than the class, since each is read for every request: Python finds it there much faster.
        self.body: bytes | StreamedBody = b""
        self.content_type: str | None = None
        self.stream = False
        self.is_plain = True
        self.cookie: str | None = None
        self.signature: Mapping[str, str] | None = None
        """Headers that depend on the moment and the path: made for each hop."""

    def carry(self, body: bytes | StreamedBody, content_type: str | None, stream: bool) -> None:
        """Give the request a body; with `stream` the body of its answer is read by the caller."""
        self.body = body
        self.content_type = content_type
        self.stream = stream
        self.is_plain = not stream and type(body) is bytes and len(body) <= LARGE_BODY

    def head(self) -> bytes:
        """The request's head, with what depends on cookies and body."""
        return self.prepared.head(self.cookie, self.signature, self.content_type, self.body)

    def redirect(self, prepared: Prepared, headers: Mapping[str, str | None], keeps_body: bool) -> None:
        """Continue with the request that a redirect asks for. Raises ConnectionLost when its body would have to be sent
        again and cannot be."""
        if not keeps_body:
            self.body, self.content_type, self.is_plain = b"", None, not self.stream
        elif isinstance(self.body, StreamedBody):
            if not self.body.replayable:
                peer = self.prepared.url.origin.peer
                raise ConnectionLost(f"{peer} redirects a request whose body cannot be sent again")
            self.body.rewind()
        self.prepared = prepared
        self.headers = headers

    def may_retry(self, connection: Connection, error: HttpError) -> bool:
        """Once, as `may_send_again` says, unless the body is gone."""
        if not self.reused or not may_send_again(self.prepared.method, connection, error):
            return False
        if isinstance(self.body, StreamedBody):
            if not self.body.replayable:
                return False
            self.body.rewind()
        return True


def may_send_again(method: str, connection: Connection, error: HttpError) -> bool:
    """Return whether a request that failed over a connection that was used before may be sent over a new one.

    One of any method, when the connection was closed before any byte of the answer came (RFC 9112, 9.3.1). Load
    balancers close one like that, without an answer, when the server's own connection to what is behind it has just
    ended, and count on clients to repeat the request, as browsers and curl do. When other bytes came before the answer,
    the server has got the request: then only one that may be repeated (RFC 9110, 9.2.2).
    """
    if isinstance(error, StrayBytes):
        return method in _IDEMPOTENT
    return isinstance(error, ConnectionLost) and not connection.heard


def send_request(pool: ConnectionPool, call: Call, head: bytes, started: float) -> tuple[Connection, ParsedResponse]:
    """Send one hop of a call, and return its connection, which the caller gives back, and its response; of a streamed
    response only the head has been read. Sends once more when a reused connection turns out to be closed.

    Raises HttpError; the connection is closed then.
    """
    prepared = call.prepared
    if call.is_repeat:
        connection = pool.take_new(prepared.route, call.connect_timeout_s, call.deadline)
    else:
        # A body that comes in pieces may be there only once.
        now = started if call.is_plain else NEVER
        connection = pool.take(prepared.route, call.connect_timeout_s, call.deadline, now)
    call.reused = connection.answered > 0
    while True:
        call.sent_at = started if call.reused else monotonic()
        connection.deadline = call.deadline
        connection.read_timeout_s = call.read_timeout_s
        connection.max_response_bytes = call.max_response_bytes
        try:
            body = call.body
            if call.is_plain:
                request = head + body if body else head  # type: ignore[operator]  # a plain one is bytes
                return connection, connection.send_request(request, prepared.method == "HEAD", call.sent_at)
            connection.send(head, body, call.sent_at)
            answer = connection.read_head(prepared.method == "HEAD")
            if not call.stream:
                connection.read_body(answer)
            return connection, answer
        except HttpError as error:
            pool.discard(connection)
            if call.reused:
                pool.note_failure(connection, error)
            if not connection.unsent and not call.may_retry(connection, error):
                raise
        except BaseException:
            pool.discard(connection)
            raise
        # What the server did to the idle connection while the request was on its way is no failure of that.
        call.reused = False
        connection = pool.take_new(prepared.route, call.connect_timeout_s, call.deadline)


def parse_max_response_bytes(where: str, value: Any) -> float:
    """Return the limit in bytes; None and 0 are no limit. Raises ObswarmError, naming where it stands, for what is no
    number of bytes."""
    if value is None:
        return math.inf
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ObswarmError(f"{where} is {value!r}; it has to be a whole number of bytes, 0 or None for no limit.")
    return value or math.inf

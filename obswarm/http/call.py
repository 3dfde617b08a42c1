"""One call of the client while it is under way, and the settings that calls of a user have in common."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from obswarm import defaults
from obswarm.api import ObswarmError
from obswarm.http.body import StreamedBody
from obswarm.http.connection import Connection
from obswarm.http.deadlines import NEVER
from obswarm.http.errors import ConnectionLost, HttpError, InvalidRequest
from obswarm.http.head import DEFAULT_FIELDS, Prepared, as_bytes
from obswarm.http.route import Proxy
from obswarm.http.tls import TlsSettings

_LARGE_BODY = 1024 * 1024
"""Bytes; larger bodies are sent in pieces, each within the timeout."""


class Settings(NamedTuple):
    """What the attributes of a FastHttpUser class say. Times are in seconds."""

    fields: tuple[tuple[str, str], ...] = tuple(DEFAULT_FIELDS.items())
    proxy: Proxy | None = None
    tls: TlsSettings = TlsSettings()
    connect_timeout_s: float = defaults.CONNECT_TIMEOUT_S
    read_timeout_s: float = defaults.NETWORK_TIMEOUT_S
    total_timeout_s: float | None = None
    max_redirects: int = defaults.MAX_REDIRECTS
    concurrency: int = defaults.POOL_CONNECTIONS
    dns_ttl_s: float | None = None
    max_response_bytes: float = defaults.MAX_RESPONSE_IN_MEMORY_BYTES


class Call:
    """A request, from hop to hop when it is redirected."""

    cookie: str | None = None
    signature: Mapping[str, str] = MappingProxyType({})
    """Headers that depend on the moment and the path: made for each hop."""

    extra_cookies: Any = None
    reused = False
    sent_at = 0.0

    def __init__(
        self,
        prepared: Prepared,
        headers: Any,
        body: bytes | StreamedBody,
        content_type: str | None,
        connect_timeout_s: float,
        read_timeout_s: float,
        deadline: float,
        stream: bool,
        max_response_bytes: float,
    ) -> None:
        self.prepared = prepared
        self.headers = headers
        self.body = body
        self.content_type = content_type
        self.connect_timeout_s = connect_timeout_s
        self.read_timeout_s = read_timeout_s
        self.deadline = deadline
        self.stream = stream
        self.max_response_bytes = max_response_bytes
        self.is_plain = not stream and type(body) is bytes and len(body) <= _LARGE_BODY

    def head(self) -> bytes:
        """The request's head, with what depends on cookies and body."""
        prepared, body = self.prepared, self.body
        if self.cookie is None and not self.signature and body == b"" and self.content_type is None:
            return prepared.bare
        lines = []
        names = prepared.names
        if self.cookie is not None and "cookie" not in names:
            lines.append(f"Cookie: {self.cookie}\r\n")
        lines.extend(f"{name}: {value}\r\n" for name, value in self.signature.items())
        if self.content_type is not None and "content-type" not in names:
            lines.append(f"Content-Type: {self.content_type}\r\n")
        if isinstance(body, StreamedBody):
            if body.length is None:
                lines.append("Transfer-Encoding: chunked\r\n")
            else:
                lines.append(f"Content-Length: {body.length}\r\n")
        elif body:
            lines.append(f"Content-Length: {len(body)}\r\n")
        else:
            return prepared.start + as_bytes("".join(lines)) + prepared.bare[len(prepared.start) :]
        lines.append("\r\n")
        return prepared.start + as_bytes("".join(lines))

    def may_retry(self, connection: Connection, error: HttpError) -> bool:
        """Once, of any method, when a connection that was used before was closed before any byte of the answer came
        (RFC 9112, 9.3.1). Load balancers close one like that, without an answer, when the server's own connection to
        what is behind it has just ended, and count on clients to repeat the request, as browsers and curl do."""
        if not self.reused or not isinstance(error, ConnectionLost) or connection.heard:
            return False
        if isinstance(self.body, StreamedBody):
            if not self.body.replayable:
                return False
            self.body.rewind()
        return True


def parse_timeout(timeout: Any, total_timeout: Any, settings: Settings, now: float) -> tuple[float, float, float]:
    """(connect timeout, read timeout, moment of the total deadline). Raises InvalidRequest for what is none."""
    if isinstance(timeout, tuple | list):
        if len(timeout) != 2:
            raise InvalidRequest(f"timeout={timeout!r}: give seconds, or a pair of them for connecting and reading")
        connect, read = timeout
    else:
        connect = read = timeout
    total = total_timeout if total_timeout is not None else settings.total_timeout_s
    return (
        _seconds("timeout", connect, settings.connect_timeout_s),
        _seconds("timeout", read, settings.read_timeout_s),
        NEVER if total is None else now + _seconds("total_timeout", total, 0.0),
    )


def parse_max_response_bytes(where: str, value: Any) -> float:
    """None and 0 are no limit. Raises ObswarmError, naming where it stands, for what is no number of bytes."""
    if value is None:
        return math.inf
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ObswarmError(f"{where} is {value!r}; it has to be a whole number of bytes, 0 or None for no limit.")
    return value or math.inf


def _seconds(name: str, value: Any, default: float) -> float:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or value <= 0:
        raise InvalidRequest(f"{name}={value!r}: give a number of seconds above 0")
    return float(value)

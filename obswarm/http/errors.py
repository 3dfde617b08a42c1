"""Exceptions of requests: the only ones that the client raises or reports."""

import copyreg
from functools import cache
from typing import Any

from obswarm.api.errors import ObswarmError
from obswarm.sanitize import clean_text
from obswarm.units import format_bytes

SHOWN_LENGTH = 100
"""Characters of a text of the target's that messages show."""


class HttpError(Exception):
    """Base class of the reasons for which a request got no response. The text says what happened, and which peer did
    it."""

    has_full_message = True


class InvalidRequest(HttpError, ValueError):
    """The call itself is wrong (URL, header, body): raised at the call, since no request can be counted."""


class InvalidMethod(InvalidRequest):
    """The method is no token (RFC 9110, section 9.1)."""


class InvalidHeaders(InvalidRequest):
    """A header that cannot be sent, or that contradicts the request."""


class InvalidStream(InvalidRequest):
    """A streamed body yielded something other than bytes, or not as many bytes as it announced."""


class ConnectError(HttpError):
    """No connection: refused, unreachable, unknown name, failed TLS handshake."""


class ConnectionRefused(ConnectError, ConnectionRefusedError):
    """Nothing listens at the address."""


class TlsError(ConnectError):
    """The TLS handshake failed, or the certificate was not accepted."""


class ProxyError(ConnectError):
    """The proxy cannot be reached, or refuses a tunnel."""


class NoDescriptorLeft(ConnectError):
    """The limit of open files of this process or machine is reached."""


class ConnectTimeout(ConnectError, TimeoutError):
    """No connection within the connect timeout."""


class ReadTimeout(HttpError, TimeoutError):
    """No bytes arrived within the read timeout, or no complete response before the total deadline."""


class ConnectionLost(HttpError):
    """The connection ended before the response was complete."""


class ConnectionReset(ConnectionLost, ConnectionResetError):
    """The peer reset the connection."""


class ProtocolError(HttpError):
    """The response is not HTTP."""


class StrayBytes(ProtocolError):
    """Over a connection that has had a HEAD request, something else came before the response: bytes that belong to
    none."""


class DecodingError(ProtocolError):
    """The body is not in the content coding that its header names."""


class ResponseTooLarge(HttpError):
    """The body of a response is larger than `max_response_bytes`."""

    def __init__(self, largest_bytes: float, what: str = "") -> None:
        size = format_bytes(int(largest_bytes))
        super().__init__(f"the {what + ' ' if what else ''}body is larger than {size} (max_response_bytes)")

    def __reduce__(self) -> Any:
        """For pickle and copy, which would hand the finished text to __init__."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class TooManyRedirects(HttpError):
    """The limit of redirects was reached."""


class InvalidRedirect(ProtocolError):
    """The response redirects to an address that cannot be requested."""


def wrong_redirect(peer: str, location: str, reason: object) -> InvalidRedirect:
    """Return the failure of a request that was redirected to an address that cannot be requested. The address is cut
    in the message: it may be long."""
    shown = clean_text(location, SHOWN_LENGTH)
    if isinstance(reason, UnicodeDecodeError):
        return InvalidRedirect(f"{peer} redirects to {shown!r}, which is not UTF-8")
    why = clean_text(reason, 3 * SHOWN_LENGTH)
    if location in why:
        # Of our own messages and requests', which name it.
        why = why.replace(location, shown)
    return InvalidRedirect(f"{peer} redirects to {shown!r}, which cannot be requested: {why}")


class StreamConsumed(RuntimeError):
    """A streamed body was read a second time, or after it was closed: a mistake of the load-test file."""


class MissingHost(ObswarmError):
    """A user whose requests have no base URL."""


def plain_reason(error: BaseException) -> str:
    """Return the system's message for an error of requests, such as `Connection refused`; else the innermost error's
    text, or a sentence where that shows objects of a library or what was answered."""
    inner = innermost(error)
    found: BaseException | None = inner
    for _ in range(_MOST_LAYERS):
        if isinstance(found, OSError) and found.strerror:
            return found.strerror
        if found is None:
            break
        found = found.__cause__ or found.__context__
    return next((sentence for kind, sentence in _sentences() if isinstance(inner, kind)), str(inner))


@cache
def _sentences() -> tuple[tuple[type[BaseException], str], ...]:
    # Only here: every process that knows a user class imports this module.
    import http.client

    from urllib3 import exceptions

    return (
        (exceptions.ConnectTimeoutError, "no connection in time"),
        (exceptions.ReadTimeoutError, "no answer in time"),
        (http.client.IncompleteRead, "the answer was cut off"),
        (http.client.RemoteDisconnected, "the connection was closed without an answer"),
        (http.client.HTTPException, "what answers is not HTTP"),
    )


_MOST_LAYERS = 5


def innermost(error: BaseException) -> BaseException:
    """Return the innermost error behind one of requests: urllib3 wraps it in pools and retries that differ from call to
    call."""
    for _ in range(_MOST_LAYERS):
        inner: Any = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((part for part in error.args if isinstance(part, BaseException)), None)
        if inner is None:
            break
        error = inner
    return error

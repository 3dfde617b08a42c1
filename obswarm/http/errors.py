"""What can go wrong with a request: the only exceptions that the client raises or reports."""

from obswarm.api.errors import ObswarmError


class HttpError(Exception):
    """Base of everything that keeps a request from getting its answer. The text says what happened, and to whom."""

    speaks_for_itself = True


class InvalidRequest(HttpError, ValueError):
    """The call itself is wrong (URL, header, body): raised at the call, since no request can be counted."""


class ConnectError(HttpError):
    """No connection: refused, unreachable, unknown name, failed TLS handshake."""


class ConnectTimeout(ConnectError):
    """No connection within the connect timeout."""


class ReadTimeout(HttpError):
    """No complete answer within the timeout."""


class ConnectionLost(HttpError):
    """The connection ended before the answer was complete."""


class ProtocolError(HttpError):
    """What came back is not HTTP."""


class TooManyRedirects(HttpError):
    """The limit of redirects was reached."""


class MissingHost(ObswarmError):
    """A user whose requests have no base URL."""

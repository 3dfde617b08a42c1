"""One HTTP/1.1 connection: sends a request, reads its response. Knows neither cookies nor redirects nor statistics."""

import ssl
from collections.abc import Callable

import httptools
from gevent import socket

from obswarm.http.errors import ConnectError, ConnectionLost, ConnectTimeout, ProtocolError, ReadTimeout
from obswarm.http.urls import Origin

_READ_SIZE = 65536


class RawResponse:
    """A response as it came: header names in lower case, the body in the pieces that arrived."""

    __slots__ = ("body", "complete", "headers", "headers_complete", "keep_alive", "parser", "reason", "status_code")

    def __init__(self) -> None:
        self.parser: httptools.HttpResponseParser | None = None
        self.keep_alive = False
        self.on_message_begin()

    # What httptools calls while it parses. An interim response (1xx) is a message of its own before the final one.
    def on_message_begin(self) -> None:
        self.status_code = 0
        self.reason = ""
        self.headers: list[tuple[str, str]] = []
        self.body: list[bytes] = []
        self.headers_complete = False
        self.complete = False

    def on_status(self, status: bytes) -> None:
        self.reason += status.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        assert self.parser is not None
        self.status_code = self.parser.get_status_code()
        self.headers_complete = not 100 <= self.status_code < 200

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        self.complete = self.headers_complete

    def header(self, name: str) -> str | None:
        """The first value of a header, by its name in lower case."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Connection:
    """A connected socket, used for one request after the other."""

    __slots__ = ("_peer", "_socket", "requests_served")

    def __init__(self, connected: socket.socket, peer: str) -> None:
        self._socket = connected
        self._peer = peer
        self.requests_served = 0

    @classmethod
    def open(
        cls, origin: Origin, connect_timeout_s: float | None, tls_context: Callable[[], ssl.SSLContext]
    ) -> "Connection":
        """Connect to an origin. Raises ConnectTimeout or ConnectError with the reason."""
        peer = f"{origin.host}:{origin.port}"
        try:
            raw = socket.create_connection((origin.host, origin.port), timeout=connect_timeout_s)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.scheme == "https":
                raw = tls_context().wrap_socket(raw, server_hostname=origin.host)
        except TimeoutError:
            raise ConnectTimeout(f"no connection to {peer} within {connect_timeout_s:g} s") from None
        except ssl.SSLCertVerificationError as error:
            raise ConnectError(f"the certificate of {peer} was not accepted: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise ConnectError(f"TLS with {peer} failed: {error.reason or error}") from None
        except socket.gaierror as error:
            raise ConnectError(f"the name {origin.host!r} cannot be resolved: {error.strerror or error}") from None
        except OSError as error:
            raise ConnectError(f"no connection to {peer}: {error.strerror or error}") from None
        return cls(raw, peer)

    def exchange(self, request: bytes, is_head: bool, read_timeout_s: float | None) -> RawResponse:
        """Send a request and read its response, interim ones (1xx) left out.

        Raises ConnectionLost, ReadTimeout or ProtocolError; the connection is of no use then.
        """
        self._socket.settimeout(read_timeout_s)
        try:
            self._socket.sendall(request)
            response = self._read(is_head)
        except TimeoutError:
            raise ReadTimeout(f"no complete answer from {self._peer} within {read_timeout_s:g} s") from None
        except httptools.HttpParserError as error:
            raise ProtocolError(f"{self._peer} did not answer in HTTP: {error}") from None
        except OSError as error:
            raise ConnectionLost(f"the connection to {self._peer} broke: {error.strerror or error}") from None
        self.requests_served += 1
        return response

    def _read(self, is_head: bool) -> RawResponse:
        response = RawResponse()
        parser = httptools.HttpResponseParser(response)
        response.parser = parser
        any_byte = False
        while True:
            piece = self._socket.recv(_READ_SIZE)
            if not piece:
                return self._at_end_of_stream(response, any_byte)
            any_byte = True
            parser.feed_data(piece)
            bodiless = response.headers_complete and (is_head or response.status_code in (204, 304))
            if response.complete or bodiless:
                keep = (response.header("connection") or "").lower() != "close" if bodiless else None
                response.keep_alive = parser.should_keep_alive() if keep is None else keep
                return response

    def _at_end_of_stream(self, response: RawResponse, any_byte: bool) -> RawResponse:
        if not any_byte:
            raise ConnectionLost(f"{self._peer} closed the connection without an answer")
        delimited = response.header("content-length") is not None or "chunked" in (
            response.header("transfer-encoding") or ""
        )
        if not response.headers_complete or delimited:
            raise ConnectionLost(f"{self._peer} closed the connection in the middle of its answer")
        return response

    def close(self) -> None:
        self._socket.close()

"""Transport adapter of requests over obswarm's connections: faster than requests' own, otherwise the same."""

from collections.abc import Mapping
from functools import lru_cache
from io import TextIOBase
from typing import Any, Self

import requests
from requests.adapters import BaseAdapter
from requests.exceptions import (
    ConnectionError as RequestsConnectionError,
)
from requests.exceptions import (
    ConnectTimeout as RequestsConnectTimeout,
)
from requests.exceptions import (
    ContentDecodingError,
    InvalidHeader,
    InvalidProxyURL,
    InvalidURL,
    RequestException,
    SSLError,
)
from requests.exceptions import (
    ProxyError as RequestsProxyError,
)
from requests.exceptions import (
    ReadTimeout as RequestsReadTimeout,
)
from requests.utils import select_proxy
from urllib3.exceptions import HTTPError as Urllib3Error

from obswarm import defaults
from obswarm.api import ObswarmError
from obswarm.clock import monotonic
from obswarm.http.body import StreamedBody, is_buffer
from obswarm.http.call import Call, send_request
from obswarm.http.codings import decode
from obswarm.http.connection import Connection
from obswarm.http.deadlines import NEVER
from obswarm.http.errors import (
    ConnectTimeout,
    DecodingError,
    HttpError,
    InvalidHeaders,
    InvalidMethod,
    InvalidRequest,
    InvalidStream,
    ProxyError,
    ReadTimeout,
    ResponseTooLarge,
    TlsError,
)
from obswarm.http.head import FRAMING, Prepared, as_bytes, check_coding, check_head, field_lines
from obswarm.http.known_heads import concerns_client
from obswarm.http.pool import ConnectionPool
from obswarm.http.raw import RawResponse, content_coding
from obswarm.http.requests.response import CountedResponse
from obswarm.http.response_parser import ParsedResponse
from obswarm.http.response_stream import ResponseStream
from obswarm.http.route import Proxy, Route, parse_proxy
from obswarm.http.tls import TlsSettings
from obswarm.http.urls import parse_url
from obswarm.redact import redact_url
from obswarm.sanitize import clean_text

_SENT = "obswarm_sent"
_UNLIMITED = 1_000_000


def was_sent(request: requests.PreparedRequest | None) -> bool:
    """Return whether FastAdapter has begun to send the request, so that the target may have received it."""
    return getattr(request, _SENT, False)


class FastAdapter(BaseAdapter):
    """Mount it like any adapter; HttpUser's session has one of its own for http:// and https://."""

    def __init__(self) -> None:
        super().__init__()
        # requests opens as many connections as are asked for at a time, and so does this.
        self.pool = ConnectionPool(_UNLIMITED)
        self.max_response_bytes: float = defaults.MAX_RESPONSE_IN_MEMORY_BYTES

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str | None = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> CountedResponse:
        """Send one request and return its response. Raises requests' exceptions."""
        started = monotonic()
        try:
            call = self.call_of(request, stream, timeout, verify, cert, proxies)
            setattr(request, _SENT, True)
            connection, answer = send_request(self.pool, call, call.head(), started)
        except HttpError as error:
            raise as_requests_error(error, request) from None
        except ObswarmError as error:
            # A certificate file that cannot be read: requests reports it as an OSError.
            setattr(request, _SENT, False)
            raise OSError(str(error)) from None
        assert request.url is not None
        response = self.response_of(call, connection, answer, request.url, started)
        response.request = request
        if stream:
            raw: Any = response.raw
            if not answer.complete:
                raw.body = ResponseStream(connection, answer, self.pool)
                return response
            # All of it came with its head; whoever asked for a stream gets one all the same.
            raw.whole = self._take_body(connection, answer)
            response.wire_bytes = len(raw.whole)
            return response
        self.read(response, connection, answer)
        return response

    def response_of(
        self, call: Call, connection: Connection, answer: ParsedResponse, url: str, started: float
    ) -> CountedResponse:
        """Return the response to a request that began at `started`, without its body."""
        now = monotonic()
        first_byte_at = connection.first_byte_at
        first_byte_s, download_s = first_byte_at - call.sent_at, now - first_byte_at
        times = (
            (None, None, first_byte_s, download_s)
            if call.reused
            else (connection.connect_s, connection.tls_s, first_byte_s, download_s)
        )
        response = CountedResponse.of_answer(answer.raw, answer.interim, answer.status, url, times)
        response.connection = self  # type: ignore[assignment]
        response._elapsed_s = now - started
        response.concerns_client = concerns_client(answer.raw)
        return response

    def read(self, response: CountedResponse, connection: Connection, answer: ParsedResponse) -> None:
        """Give the response its body, which has come, and the connection back. Raises requests' exceptions for one that
        is damaged or too large, and keeps nothing of it."""
        body = self._take_body(connection, answer)
        response._content_consumed = True
        response.wire_bytes = len(body)
        response._content = response._received = body
        if not response.concerns_client:
            return
        try:
            response._content = decode(body, content_coding(response._parsed_head.headers), self.max_response_bytes)
        except (DecodingError, ResponseTooLarge) as error:
            # The exception stays with the response, and with it the frames that it went through, which hold the body.
            error.__traceback__ = None
            body = response._content = response._received = b""
            if not isinstance(error, DecodingError):
                raise as_requests_error(error, response.request) from None
            damage = ContentDecodingError(error, request=response.request)
            if not response.is_redirect:
                raise damage from None
            # requests follows redirects whatever is in their bodies.
            response.damage = damage

    def _take_body(self, connection: Connection, answer: ParsedResponse) -> bytes:
        parts = answer.body
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        answer.recycle()
        self.pool.give_back(connection)
        return body

    def call_of(
        self,
        request: requests.PreparedRequest,
        stream: bool,
        timeout: Any,
        verify: bool | str | None,
        cert: Any,
        proxies: Mapping[str, str] | None,
    ) -> Call:
        """Return the call that sends a prepared request. Raises InvalidRequest, ObswarmError, and requests'
        exceptions."""
        assert request.url is not None
        url = parse_url(request.url)
        proxy_url = select_proxy(request.url, proxies) if proxies else None
        tls = None
        if url.origin.scheme == "https" or proxy_url:
            tls = TlsSettings(True if verify is None else verify, tuple(cert) if isinstance(cert, list) else cert)
        route = Route.to(url.origin, _proxy(proxy_url) if proxy_url else None, tls)
        fields, sends_length = fields_of(request.headers)
        if "host" not in request.headers:
            fields.append(("Host", url.origin.authority))
        target = url.target
        if route.absolute_form:
            assert route.proxy is not None
            target = f"{url.origin}{url.target}"
            if route.proxy.authorization and "proxy-authorization" not in request.headers:
                fields.append(("Proxy-Authorization", route.proxy.authorization))
        method = str(request.method)
        start = as_bytes(f"{method} {target} HTTP/1.1\r\n") + field_lines(fields)
        check_head(method, fields, start)
        prepared = Prepared(method, url, route, start, {"content-type", "cookie"}, sends_length)
        connect_s, read_s = parse_timeouts(timeout)
        call = Call(prepared, connect_s, read_s, NEVER, self.max_response_bytes)
        call.carry(_body(request), None, stream)
        return call

    def close(self) -> None:
        """Close the idle connections."""
        self.pool.close()

    @property
    def poolmanager(self) -> Self:
        """What closes the connections by `clear()`, where load tests for requests' own adapter look for it."""
        return self

    def clear(self) -> None:
        """Close the idle connections, as urllib3's PoolManager does."""
        self.close()


def read_and_discard(response: CountedResponse) -> None:
    """Read the body of a streamed response to its end, as it comes over the wire, and throw it away; `wire_bytes` says
    how much it was, and its time is in `timings`. Raises requests' exceptions for what breaks the connection."""
    began = monotonic()
    raw: Any = response.raw
    try:
        if isinstance(raw, RawResponse):
            received = raw.drain()
        elif raw is None:
            # Of an adapter that makes its responses up.
            received = len(response.content)
        else:
            received = sum(map(len, raw.stream(decode_content=False)))
    except HttpError as error:
        raise as_requests_error(error, response.request) from None
    except Urllib3Error as error:
        raise RequestsConnectionError(error, request=response.request) from None
    response._content = False  # type: ignore[assignment]
    response._content_consumed = True
    response.wire_bytes = received
    if response.timings is not None:
        response.timings = response.timings._replace(download_s=response.timings.download_s + monotonic() - began)


@lru_cache(maxsize=64)
def _proxy(url: str) -> Proxy:
    if url.lower().startswith("socks"):
        raise InvalidProxyURL(
            f"{redact_url(url)!r}: SOCKS needs requests' own transport:"
            " session.mount('http://', requests.adapters.HTTPAdapter())"
        )
    try:
        return parse_proxy(url)
    except ObswarmError as error:
        raise InvalidProxyURL(str(error)) from None


def fields_of(headers: Mapping[str, Any]) -> tuple[list[tuple[str, str]], bool]:
    """Return the headers that are sent as they are, and whether the others, which frame the body, say how long it is:
    requests takes those away where a redirect drops the body. Raises what check_coding raises."""
    fields = []
    sends_length = False
    for name, value in headers.items():
        name = _text(name)
        lowered = name.lower()
        if lowered not in FRAMING:
            fields.append((name, _text(value)))
            continue
        sends_length = True
        if lowered == "transfer-encoding":
            check_coding(_text(value))
    return fields, sends_length


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    # The characters of an Enum's member that is text as well, not its name.
    return str.__str__(value) if isinstance(value, str) else str(value)


def _body(request: requests.PreparedRequest) -> bytes | StreamedBody:
    body: Any = request.body
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    if is_buffer(body):
        return memoryview(body).tobytes()
    if not hasattr(body, "read") and not hasattr(body, "__iter__"):
        raise TypeError(
            f"data={clean_text(body, 100)}: give bytes, text, a dict, a list of pairs, a file, or an iterator of bytes"
        )
    streamed = StreamedBody(body)
    length = request.headers.get("Content-Length", "")
    if streamed.length is None and not isinstance(body, TextIOBase) and "Transfer-Encoding" not in request.headers:
        # Bodies that say how long they are in other ways, which requests knows; of text it would be characters.
        streamed.length = int(length) if length.isdecimal() else None
    return streamed


def parse_timeouts(timeout: Any) -> tuple[float, float]:
    """Return (connect, read) of requests' timeout; None waits for ever. Raises ValueError for what is none."""
    if isinstance(timeout, tuple):
        if len(timeout) != 2:
            raise ValueError(f"Invalid timeout {timeout}: give seconds, or a pair of them for connecting and reading")
        connect, read = timeout
    elif hasattr(timeout, "connect_timeout"):
        connect, read = timeout.connect_timeout, timeout.read_timeout
    else:
        connect = read = timeout
    return _seconds(connect), _seconds(read)


def _seconds(value: Any) -> float:
    if value is None or not isinstance(value, int | float):
        if value is None or type(value).__name__ == "_TYPE_DEFAULT":
            return NEVER
        raise ValueError(f"Timeout value {value!r}: give a number of seconds")
    if value <= 0:
        raise ValueError(f"Timeout value {value!r}: it has to be above 0")
    return float(value)


_EXCEPTIONS: tuple[tuple[type[HttpError], type[RequestException]], ...] = (
    (ConnectTimeout, RequestsConnectTimeout),
    (ProxyError, RequestsProxyError),
    (TlsError, SSLError),
    (ReadTimeout, RequestsReadTimeout),
    (InvalidHeaders, InvalidHeader),
    (InvalidStream, RequestException),
    (InvalidRequest, InvalidURL),
)
"""The first that fits; RequestsConnectionError for all others."""


def as_requests_error(error: HttpError, request: requests.PreparedRequest) -> Exception:
    """Return the exception of requests for one of ours, which becomes its first argument."""
    if isinstance(error, InvalidMethod):
        # For which requests has no exception of its own.
        return ValueError(str(error))
    kind = next((theirs for ours, theirs in _EXCEPTIONS if isinstance(error, ours)), RequestsConnectionError)
    return kind(error, request=request)

"""FastHttpUser's client: requests over kept-alive connections, cookies, redirects, and one report for each call."""

import base64
import json as jsonlib
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from http.client import HTTPMessage
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request as CookieRequest

from obswarm import clock, defaults
from obswarm.api import Environment, User
from obswarm.http.connection import Connection, RawResponse
from obswarm.http.errors import ConnectionLost, HttpError, InvalidRequest, TooManyRedirects
from obswarm.http.outcome import Outcome, status_error
from obswarm.http.response import FastResponse, SentRequest, reason_phrase
from obswarm.http.urls import Origin, Url, absolute, parse_url, redirect_target, with_params

_DEFAULT_FIELDS = {"User-Agent": "obswarm", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_RETRIED_WHEN_IDLE = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"))


class FastHttpSession:
    """Makes requests like requests.Session, for one user. Not for use by several greenlets at once, connections apart.

    A request that gets no answer does not raise: it returns a response with `status_code` 0 and `error` set, and is
    counted as failed. What is wrong with the call itself raises InvalidRequest or MissingHost.
    """

    def __init__(
        self,
        environment: Environment,
        base_url: str | None,
        user: User | None = None,
        *,
        insecure: bool = False,
        connection_timeout: float = defaults.CONNECT_TIMEOUT_S,
        network_timeout: float = defaults.NETWORK_TIMEOUT_S,
        max_redirects: int = defaults.MAX_REDIRECTS,
        default_headers: dict[str, str] | None = None,
    ) -> None:
        self.environment = environment
        self.base_url = base_url
        self.user = user
        self.headers: dict[str, str] = dict(default_headers or {})
        self.auth: tuple[str, str] | None = None
        self.cookiejar = CookieJar()
        self.request_name: str | None = None
        self._insecure = insecure
        self._connect_timeout_s = connection_timeout
        self._read_timeout_s = network_timeout
        self._max_redirects = max_redirects
        self._idle: dict[Origin, list[Connection]] = {}

    def request(
        self,
        method: str,
        url: str,
        name: str | None = None,
        params: object = None,
        data: object = None,
        json: object = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        catch_response: bool = False,
        allow_redirects: bool = True,
        timeout: float | tuple[float | None, float | None] | None = None,
        context: dict[str, Any] | None = None,
    ) -> FastResponse:
        """Send a request and return its response.

        `url` is a path below the user's host or an absolute URL; `name` groups requests in the statistics; `data` is
        bytes, text or a form (dict or pairs), `json` anything that serialises; `timeout` is in seconds, or a pair for
        connecting and reading. Raises InvalidRequest or MissingHost for a call that makes no request.
        """
        method = method.upper()
        asked = with_params(absolute(self.base_url, url), params)
        parsed = parse_url(asked)
        body, content_type = _encode_body(data, json)
        fields = self._header_fields(headers, auth or self.auth, parsed.userinfo, content_type)
        connect_timeout, read_timeout = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        timeouts = (connect_timeout or self._connect_timeout_s, read_timeout or self._read_timeout_s)

        started = clock.monotonic()
        try:
            response = self._follow(method, parsed, fields, body, allow_redirects, timeouts)
        except HttpError as error:
            if isinstance(error, InvalidRequest):
                raise
            response = FastResponse(SentRequest(method, asked, fields, body), 0, "", [], b"", asked, [], error)
        except BaseException:
            # The user was stopped by force in the middle of it.
            self.environment.recorder.record_interrupted()
            raise
        response.elapsed_s = clock.monotonic() - started
        response.outcome = Outcome(
            self.environment,
            method,
            name or self.request_name or parsed.target,
            asked,
            response.elapsed_s,
            response.status_code,
            len(response.raw_body),
            response.error or status_error(response.status_code, response.reason),
            {**(self.user.context() if self.user else {}), **(context or {})},
        )
        if not catch_response:
            response.outcome.report(response)
        return response

    def _follow(
        self,
        method: str,
        url: Url,
        fields: dict[str, str],
        body: bytes,
        allow_redirects: bool,
        timeouts: tuple[float | None, float | None],
    ) -> FastResponse:
        history: list[FastResponse] = []
        while True:
            raw = self._send(method, url, fields, body, timeouts)
            self._keep_cookies(url, raw)
            response = FastResponse(
                SentRequest(method, str(url), fields, body),
                raw.status_code,
                reason_phrase(raw.status_code, raw.reason),
                raw.headers,
                b"".join(raw.body),
                str(url),
                list(history),
            )
            location = raw.header("location")
            if not allow_redirects or raw.status_code not in _REDIRECTS or location is None:
                return response
            if len(history) >= self._max_redirects:
                raise TooManyRedirects(f"more than {self._max_redirects} redirects, the last one to {location!r}")
            history.append(response)
            following = parse_url(redirect_target(str(url), location))
            # RFC 9110, 15.4: 303 always becomes GET; for 301 and 302, POST does, as every browser has it.
            if (raw.status_code == 303 and method != "HEAD") or (raw.status_code in (301, 302) and method == "POST"):
                method, body = "GET", b""
                fields = {
                    key: value
                    for key, value in fields.items()
                    if key.lower() not in ("content-type", "content-length", "transfer-encoding")
                }
            if following.origin != url.origin:
                fields = {key: value for key, value in fields.items() if key.lower() != "authorization"}
            url = following

    def _send(
        self, method: str, url: Url, fields: dict[str, str], body: bytes, timeouts: tuple[float | None, float | None]
    ) -> RawResponse:
        request = self._serialise(method, url, fields, body)
        idle = self._idle.setdefault(url.origin, [])
        reused = bool(idle)
        connection = idle.pop() if idle else self._connect(url.origin, timeouts[0])
        try:
            raw = connection.exchange(request, method == "HEAD", timeouts[1])
        except ConnectionLost:
            connection.close()
            if not reused or method not in _RETRIED_WHEN_IDLE:
                raise
            # The server may have closed the idle connection just as the request was sent; that is no failure of it.
            connection = self._connect(url.origin, timeouts[0])
            try:
                raw = connection.exchange(request, method == "HEAD", timeouts[1])
            except BaseException:
                connection.close()
                raise
        except BaseException:
            connection.close()
            raise
        if raw.keep_alive:
            idle.append(connection)
        else:
            connection.close()
        return raw

    def _connect(self, origin: Origin, timeout_s: float | None) -> Connection:
        return Connection.open(origin, timeout_s, lambda: self._tls_context)

    @cached_property
    def _tls_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _header_fields(
        self,
        headers: dict[str, str] | None,
        auth: tuple[str, str] | None,
        userinfo: str | None,
        content_type: str | None,
    ) -> dict[str, str]:
        fields = {**self.headers, **(headers or {})}
        names = {key.lower() for key in fields}
        if content_type and "content-type" not in names:
            fields["Content-Type"] = content_type
        if "authorization" not in names and (auth or userinfo):
            pair = f"{auth[0]}:{auth[1]}" if auth else str(userinfo)
            fields["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
        fields.update({key: value for key, value in _DEFAULT_FIELDS.items() if key.lower() not in names})
        for key, value in fields.items():
            if not isinstance(value, str):
                raise InvalidRequest(f"the header {key!r}: {value!r} is not text")
            if any(character in key + value for character in "\r\n\0") or not key:
                raise InvalidRequest(f"the header {key!r}: {value!r} contains a line break or control character")
        return fields

    def _serialise(self, method: str, url: Url, fields: dict[str, str], body: bytes) -> bytes:
        lines = [f"{method} {url.target} HTTP/1.1"]
        names = {key.lower() for key in fields}
        if "host" not in names:
            lines.append(f"Host: {url.origin.authority}")
        lines.extend(f"{key}: {value}" for key, value in fields.items())
        if (body or method in ("POST", "PUT", "PATCH")) and "content-length" not in names:
            lines.append(f"Content-Length: {len(body)}")
        if "cookie" not in names and len(self.cookiejar):
            cookies = CookieRequest(str(url))
            self.cookiejar.add_cookie_header(cookies)
            sent = cookies.get_header("Cookie")
            if sent:
                lines.append(f"Cookie: {sent}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def _keep_cookies(self, url: Url, raw: RawResponse) -> None:
        if not any(name == "set-cookie" for name, _ in raw.headers):
            return
        message = HTTPMessage()
        for name, value in raw.headers:
            message.add_header(name, value)

        class _Headers:
            @staticmethod
            def info() -> HTTPMessage:
                return message

        self.cookiejar.extract_cookies(_Headers(), CookieRequest(str(url)))  # type: ignore[arg-type]

    @contextmanager
    def rename_request(self, name: str) -> Generator[None, None, None]:
        """Requests made in the block are counted under this name unless they have their own."""
        before, self.request_name = self.request_name, name
        try:
            yield
        finally:
            self.request_name = before

    def get(self, url: str, **kwargs: Any) -> FastResponse:
        return self.request("GET", url, **kwargs)

    def post(self, url: str, data: object = None, json: object = None, **kwargs: Any) -> FastResponse:
        return self.request("POST", url, data=data, json=json, **kwargs)

    def put(self, url: str, data: object = None, **kwargs: Any) -> FastResponse:
        return self.request("PUT", url, data=data, **kwargs)

    def patch(self, url: str, data: object = None, **kwargs: Any) -> FastResponse:
        return self.request("PATCH", url, data=data, **kwargs)

    def delete(self, url: str, **kwargs: Any) -> FastResponse:
        return self.request("DELETE", url, **kwargs)

    def options(self, url: str, **kwargs: Any) -> FastResponse:
        return self.request("OPTIONS", url, **kwargs)

    def head(self, url: str, **kwargs: Any) -> FastResponse:
        """Redirects are not followed unless asked for, as in requests."""
        kwargs.setdefault("allow_redirects", False)
        return self.request("HEAD", url, **kwargs)

    def close(self) -> None:
        """Close all idle connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()


def _encode_body(data: object, json: object) -> tuple[bytes, str | None]:
    if json is not None:
        if data is not None:
            raise InvalidRequest("give either data or json, not both")
        try:
            return jsonlib.dumps(json).encode(), "application/json"
        except (TypeError, ValueError) as error:
            raise InvalidRequest(f"json={json!r} cannot be serialised: {error}") from None
    if data is None:
        return b"", None
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data), None
    if isinstance(data, str):
        return data.encode(), None
    if isinstance(data, dict | list | tuple):
        try:
            return urlencode(data, doseq=True).encode(), "application/x-www-form-urlencoded"
        except (TypeError, ValueError):
            pass
    raise InvalidRequest(f"data={data!r}: give bytes, text, a dict or a list of pairs")

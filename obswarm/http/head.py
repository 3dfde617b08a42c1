"""Heads of requests as bytes. The parts that do not change from call to call are built once and shared by users."""

import base64
import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote
from weakref import WeakValueDictionary

from obswarm import __version__
from obswarm.api import RequestSigner
from obswarm.http.body import StreamedBody
from obswarm.http.codings import ACCEPTED
from obswarm.http.errors import InvalidHeaders, InvalidMethod, InvalidRequest
from obswarm.http.known_heads import KnownHead
from obswarm.http.route import Proxy, Route
from obswarm.http.tls import TlsSettings
from obswarm.http.urls import Url, absolute, parse_url

DEFAULT_FIELDS = {"User-Agent": f"obswarm/{__version__}", "Accept": "*/*", "Accept-Encoding": ACCEPTED}
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FORBIDDEN_IN_VALUE = re.compile(r"[\r\n\0]")
_MOST_PREPARED = 512

FRAMING = frozenset(("content-length", "transfer-encoding"))
"""Headers that say where a request ends. They come from its body alone: recorded requests (HAR, curl) carry those of
another body, and one that is wrong makes the request behind it unreadable."""

PSEUDO = frozenset((":authority", ":method", ":path", ":protocol", ":scheme"))
"""HTTP/2's pseudo-header fields (RFC 9113, 8.3.1), which recordings show among the headers."""


class Prepared:
    """A reusable request: its route, and its head except for cookies and body."""

    __slots__ = ("answered", "bare", "method", "names", "route", "sends_length", "start", "target", "url")

    def __init__(
        self, method: str, url: Url, route: Route, start: bytes, names: set[str], sends_length: bool = True
    ) -> None:
        """`sends_length` is False for a request whose body a redirect dropped: then only some methods send
        `Content-Length: 0`."""
        self.names = names
        self.method = method
        self.url = url
        self.target = url.target
        self.answered: KnownHead | None = None
        """The head of the last response; most often the next one has the same."""
        self.route = route
        self.start = start
        # Methods that may have a body say when there is none (RFC 9110, 8.6); requests is generous in what it counts.
        self.sends_length = sends_length
        silent = _WITHOUT_A_BODY if sends_length else _EXPECTING_NO_BODY
        self.bare = start + (b"\r\n" if method in silent else b"Content-Length: 0\r\n\r\n")

    def head(
        self,
        cookie: str | None,
        signature: Mapping[str, str] | None,
        content_type: str | None,
        body: bytes | StreamedBody,
    ) -> bytes:
        """Return the whole head, with the headers that depend on cookies and body, and those of a signature."""
        if cookie is None and not signature and body == b"" and content_type is None:
            return self.bare
        lines = []
        names = self.names
        if cookie is not None and "cookie" not in names:
            lines.append(f"Cookie: {cookie}\r\n")
        if signature:
            lines.extend(f"{name}: {value}\r\n" for name, value in signature.items())
        if content_type is not None and "content-type" not in names:
            lines.append(f"Content-Type: {content_type}\r\n")
        if isinstance(body, StreamedBody):
            if body.length is None:
                lines.append("Transfer-Encoding: chunked\r\n")
            else:
                lines.append(f"Content-Length: {body.length}\r\n")
        elif body:
            lines.append(f"Content-Length: {len(body)}\r\n")
        else:
            return self.start + as_bytes("".join(lines)) + self.bare[len(self.start) :]
        lines.append("\r\n")
        return self.start + as_bytes("".join(lines))


_WITHOUT_A_BODY = frozenset(("GET", "HEAD"))
_EXPECTING_NO_BODY = _WITHOUT_A_BODY | {"CONNECT", "DELETE", "OPTIONS", "TRACE"}
"""As urllib3, which decides where requests does not: after a redirect that drops the body."""


@lru_cache(maxsize=1024)
def _is_token(text: str) -> bool:
    return _TOKEN.fullmatch(text) is not None


def check_head(method: str, fields: Collection[tuple[str, str]], start: bytes) -> None:
    """Raise InvalidRequest if a method, a header name or a value is invalid; `start` is the head made of them.

    For heads that are assembled for each request: the check of names is cached, and line breaks in values are found by
    counting those of the head.
    """
    lines = len(fields) + 1
    broken = start.count(b"\r") != lines or start.count(b"\n") != lines or b"\0" in start
    if not _is_token(method):
        check_method(method)
    for name, value in fields:
        if broken or not _is_token(name):
            check_field(name, value)


def check_field(name: Any, value: Any) -> tuple[str, str]:
    """Return a header's name and value as text. Raises InvalidRequest for invalid ones, such as those with line
    breaks."""
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(name, str) or not isinstance(value, str):
        raise InvalidHeaders(f"the header {name!r}: {value!r} is not text")
    if not _is_token(name):
        raise InvalidHeaders(f"the header name {name!r} is empty or holds a character that cannot be in one")
    if _FORBIDDEN_IN_VALUE.search(value):
        raise InvalidHeaders(f"the header {name!r}: {value!r} contains a line break or control character")
    return name, value.strip(" \t")


def check_fields(fields: Any) -> dict[str, str]:
    """Return the headers of a mapping as text, without PSEUDO. Raises InvalidRequest as check_field does."""
    try:
        pairs = list(fields.items())
    except AttributeError:
        raise InvalidHeaders(f"headers={fields!r}: give a dict") from None
    try:
        return dict([check_field(name, value) for name, value in pairs])
    except InvalidRequest:
        # Only now, since pseudo-headers are rare: comparing each name costs more than the rest of this function.
        real = [pair for pair in pairs if pair[0] not in PSEUDO]
        if len(real) == len(pairs):
            raise
    return dict([check_field(name, value) for name, value in real])


def check_coding(value: str) -> None:
    """Raise InvalidRequest for a Transfer-Encoding with other codings than chunked, such as gzip."""
    if value.strip().lower() not in ("chunked", "identity", ""):
        raise InvalidHeaders(
            f"the header 'Transfer-Encoding': {value!r} names a coding in which the body is not sent; leave it out"
        )


def check_method(method: Any) -> str:
    """Return the method in upper case. Raises InvalidRequest when it is no token."""
    if isinstance(method, str) and _is_token(method):
        return method.upper()
    raise InvalidMethod(f"the method {method!r} is empty or holds a character that cannot be in one")


def field_lines(fields: Iterable[tuple[str, str]]) -> bytes:
    return as_bytes("".join([f"{name}: {value}\r\n" for name, value in fields]))


def as_bytes(text: str | bytes) -> bytes:
    """Encode as Latin-1, as requests does, or as UTF-8 what Latin-1 does not have, as browsers do."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def basic_auth(auth: Any) -> str:
    """Return the Authorization header's value for (user, password). Raises InvalidRequest for anything else."""
    if isinstance(auth, tuple | list) and len(auth) == 2 and all(isinstance(part, str | bytes) for part in auth):
        pair = b":".join(as_bytes(part) for part in auth)
        return "Basic " + base64.b64encode(pair).decode("ascii")
    raise InvalidRequest(f"auth={auth!r}: give a pair of user and password")


def signature_for(signer: RequestSigner, base_url: str | None, url: str, run_id: str) -> Mapping[str, str]:
    """Return the signature's headers for a request that is sent now; none for another host than the user's, which must
    not receive signatures. Raises InvalidRequest if they are invalid."""
    try:
        here, there = parse_url(base_url or ""), parse_url(url)
    except InvalidRequest:
        return {}
    return check_fields(signer.headers(there.path, run_id)) if here.origin == there.origin else {}


class Template:
    """Builds the requests of users that have the same base URL, headers, proxy and TLS settings. Get one by
    `template`."""

    __slots__ = ("__weakref__", "_prepared", "base_url", "fields", "proxy", "tls", "with_headers")

    def __init__(
        self, base_url: str | None, fields: tuple[tuple[str, str], ...], proxy: Proxy | None, tls: TlsSettings
    ) -> None:
        self.base_url = base_url
        self.fields = dict(fields)
        self.proxy = proxy
        self.tls = tls
        self._prepared: dict[tuple[str, str], Prepared] = {}
        self.with_headers: dict[Any, tuple[Prepared, Mapping[str, str | None]]] = {}
        """Requests with headers of their own, and those headers, by a key of the call's arguments."""

    def prepared(self, method: str, url: str) -> Prepared:
        """Return the request without headers of its own. Raises InvalidRequest and MissingHost."""
        try:
            return self._prepared[method, url]
        except (KeyError, TypeError):
            pass
        made = self.prepare(check_method(method), parse_url(absolute(self.base_url, url)), {})
        if len(self._prepared) >= _MOST_PREPARED:
            self._prepared.clear()
        self._prepared[method, url] = made
        return made

    def keep(self, key: Any, made: Prepared, headers: Mapping[str, str | None]) -> None:
        """Keep a request in `with_headers`, one of a limited number. Raises TypeError for a key that has no hash."""
        if len(self.with_headers) >= _MOST_PREPARED:
            self.with_headers.clear()
        self.with_headers[key] = (made, headers)

    def prepare(self, method: str, url: Url, headers: Mapping[str, str | None]) -> Prepared:
        """Return a request with headers of its own; one whose value is None is left out, as in requests."""
        fields = self.fields
        if headers:
            replaced = {name.lower() for name in headers}
            fields = {name: value for name, value in fields.items() if name.lower() not in replaced}
            fields.update((name, value) for name, value in headers.items() if value is not None)
        return self.assemble(method, url, fields)

    def assemble(self, method: str, url: Url, fields: Mapping[str, str], sends_length: bool = True) -> Prepared:
        """Return a request with exactly these headers, but for FRAMING, Host and credentials in the URL or for the
        proxy.

        Of names that differ in case only, the last is taken. Raises what check_coding raises.
        """
        route = self.route_to(url)
        names = {name.lower() for name in fields}
        if len(names) < len(fields) or not names.isdisjoint(FRAMING):
            spelled = {name.lower(): name for name in fields}
            if "transfer-encoding" in spelled:
                check_coding(fields[spelled["transfer-encoding"]])
            fields = {name: fields[name] for lowered, name in spelled.items() if lowered not in FRAMING}
        target = f"{url.origin}{url.target}" if route.absolute_form else url.target
        lines = [] if "host" in names else [("Host", url.origin.authority)]
        lines.extend(fields.items())
        if url.userinfo is not None and "authorization" not in names:
            lines.append(("Authorization", _from_userinfo(url.userinfo)))
        if route.absolute_form and route.proxy is not None and route.proxy.authorization:
            lines.append(("Proxy-Authorization", route.proxy.authorization))
        start = f"{method} {target} HTTP/1.1\r\n".encode("latin-1") + field_lines(lines)
        return Prepared(method, url, route, start, names, sends_length)

    def route_to(self, url: Url) -> Route:
        return Route.to(url.origin, self.proxy, self.tls if url.origin.scheme == "https" else None)


@lru_cache(maxsize=256)
def _from_userinfo(userinfo: str) -> str:
    user, _, password = userinfo.partition(":")
    return basic_auth((unquote(user), unquote(password)))


_templates: "WeakValueDictionary[Any, Template]" = WeakValueDictionary()


def template(
    base_url: str | None, fields: tuple[tuple[str, str], ...], proxy: Proxy | None, tls: TlsSettings
) -> Template:
    """Return the template for these settings, one object for all of its users."""
    key = (base_url, fields, proxy, tls)
    found = _templates.get(key)
    if found is None:
        found = _templates[key] = Template(*key)
    return found

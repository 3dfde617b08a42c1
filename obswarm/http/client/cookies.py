"""Cookies of one user: the standard library's rules (domain, path, expiry, secure), cached as header lines."""

from collections.abc import Iterable
from email.message import Message
from http.cookiejar import Cookie, CookieJar
from typing import Any, cast
from urllib.request import Request

from obswarm import clock
from obswarm.http.client.cookie_jar import DictCookieJar, make_cookie
from obswarm.http.errors import InvalidRequest
from obswarm.http.head import check_field
from obswarm.http.urls import Origin, Url

_MOST_REMEMBERED = 256


class _ForJar:
    """The part of urllib.request.Request that a cookie jar needs."""

    __slots__ = ("cookie", "host", "origin_req_host", "type", "unverifiable", "url")

    def __init__(self, url: Url) -> None:
        self.url = str(url)
        # http.cookiejar knows no other scheme; a Unix socket is as local as it gets.
        self.type = "https" if url.origin.scheme == "https" else "http"
        self.host = url.origin.authority
        self.origin_req_host = url.origin.authority
        self.unverifiable = False
        self.cookie: str | None = None
        if url.origin.scheme not in ("http", "https"):
            self.url = f"http://localhost{url.target}"

    def get_full_url(self) -> str:
        return self.url

    def has_header(self, name: str) -> bool:
        return False

    def add_unredirected_header(self, name: str, value: str) -> None:
        if name == "Cookie":
            self.cookie = value


class _Answer:
    def __init__(self, headers: Message) -> None:
        self._headers = headers

    def info(self) -> Message:
        return self._headers


def _header_of(jar: CookieJar, url: Url) -> str | None:
    request = _ForJar(url)
    jar.add_cookie_header(cast(Request, request))
    if request.cookie is not None:
        check_field("Cookie", request.cookie)
    return request.cookie


class Cookies(DictCookieJar):
    """The cookies of a session: `cookies["name"]`, `.set(name, value, domain=…, path=…)`, `.get_dict()`."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: dict[tuple[Origin, str], str | None] = {}
        self._lines_until = float("inf")
        self._last_received: tuple[Origin, str, tuple[bytes, ...]] | None = None
        self._last_received_at = 0.0

    def set_cookie(self, cookie: Cookie, *args: Any, **kwargs: Any) -> None:
        self._changed()
        super().set_cookie(cookie, *args, **kwargs)

    def clear(self, domain: str | None = None, path: str | None = None, name: str | None = None) -> None:
        self._changed()
        super().clear(domain, path, name)

    def _changed(self) -> None:
        self._lines = {}
        self._lines_until = float("inf")
        self._last_received = None

    def header_for(self, url: Url) -> str | None:
        """Return the value of the Cookie header, None when no cookie is for that URL.

        It is cached for each path until the jar changes or a cookie expires.
        """
        if clock.wall() >= self._lines_until:
            self._changed()
        key = (url.origin, url.path)
        try:
            return self._lines[key]
        except KeyError:
            pass
        line = self._work_out(url)
        if len(self._lines) >= _MOST_REMEMBERED:
            self._lines.clear()
        self._lines_until = min((cookie.expires for cookie in self if cookie.expires is not None), default=float("inf"))
        self._lines[key] = line
        return line

    def _work_out(self, url: Url) -> str | None:
        return _header_of(self, url)

    def header_with(self, extra: Any, url: Url) -> str | None:
        """As `header_for`, with cookies of one request on top, a dict or a jar.

        Both raise InvalidRequest for cookies that cannot be in a header.
        """
        merged = DictCookieJar()
        try:
            merged.update(self)
            if isinstance(extra, CookieJar):
                merged.update(extra)
            else:
                for name, value in dict(extra).items():
                    merged.set_cookie(make_cookie(name, value))
        except (TypeError, ValueError, AttributeError):
            raise InvalidRequest(f"cookies={extra!r}: give a dict or a cookie jar") from None
        return _header_of(merged, url)

    def take_from(self, url: Url, set_cookies: Iterable[bytes]) -> None:
        """Store the cookies of Set-Cookie headers.

        Many servers send the same session cookie with every answer; within a second of the last one it changes nothing.
        """
        received = (url.origin, url.path, tuple(set_cookies))
        now = clock.monotonic()
        if received == self._last_received and now - self._last_received_at < 1:
            return
        headers = Message()
        for value in received[2]:
            headers.add_header("Set-Cookie", value.decode("latin-1"))
        self.extract_cookies(cast(Any, _Answer(headers)), cast(Request, _ForJar(url)))
        self._last_received, self._last_received_at = received, now

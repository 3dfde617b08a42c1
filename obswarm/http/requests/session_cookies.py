"""Cookies of a session: requests' own Cookie header and jar, with what gives the same each time left out."""

import copy
from http.cookiejar import Cookie, CookieJar
from typing import Any

import requests
from requests.cookies import RequestsCookieJar, cookiejar_from_dict, extract_cookies_to_jar, merge_cookies
from requests.structures import CaseInsensitiveDict

from obswarm import clock
from obswarm.http.requests.encoding import is_plain_value
from obswarm.http.requests.prepared_urls import PreparedUrl

_MOST_REMEMBERED = 256
NO_COOKIES: tuple[Cookie, ...] = ()


class SessionCookies:
    """Lines of the Cookie header by URL. The cookies of a jar are compared at each call, each with all of its
    attributes, so that no change is missed, whichever way it was made."""

    __slots__ = ("_any_path", "_attributes", "_lines", "_taken", "_taken_at", "_until", "cookies")

    def __init__(self) -> None:
        self.cookies: tuple[Cookie, ...] = NO_COOKIES
        self._attributes: list[list[Any]] = []
        self._lines: dict[Any, bytes] = {}
        self._until = 0.0
        self._any_path = False
        self._taken: tuple[Any, ...] | None = None
        self._taken_at = 0.0

    def line_for(self, jar: RequestsCookieJar, url: PreparedUrl, own: dict[str, str] | None) -> bytes | None:
        """Return the line, empty where no cookie goes to the URL, None where it cannot be a header as it is; `own` are
        those of the call. `cookies` has those of the jar then."""
        attributes = _attributes_of(jar)
        if attributes != self._attributes or clock.wall() >= self._until:
            self._begin_anew(jar, attributes)
        place = url.origin if self._any_path else (url.origin, url.path_url.partition("?")[0])
        key = (place, tuple(own.items())) if own else place
        line = self._lines.get(key)
        if line is None:
            if len(self._lines) >= _MOST_REMEMBERED:
                self._lines.clear()
            line = self._work_out(url, own)
            if line is not None:
                self._lines[key] = line
        return line

    def take_from(
        self, jar: CookieJar, response: requests.Response, url: PreparedUrl, received: tuple[bytes, ...]
    ) -> None:
        """Store the cookies that a response sets, in these headers.

        Many servers send the same session cookie with every answer; within a second of the last one it changes nothing,
        unless the jar has changed.
        """
        if type(jar) is not RequestsCookieJar:
            extract_cookies_to_jar(jar, response.request, response.raw)
            return
        now = clock.monotonic()
        # The jar by its id, since its `==` goes through all cookies; one with these cookies would do as well.
        here = (url.text, received, id(jar), id(jar._policy))  # type: ignore[attr-defined]
        if self._taken == (here, _attributes_of(jar)) and now - self._taken_at < 1:
            return
        extract_cookies_to_jar(jar, response.request, response.raw)
        self._taken = here, _attributes_of(jar)
        self._taken_at = now

    def _begin_anew(self, jar: RequestsCookieJar, attributes: list[list[Any]]) -> None:
        self._attributes = attributes
        # Copies, for those who ask for the request when the jar has changed.
        self.cookies = tuple(copy.copy(cookie) for cookie in jar)
        self._lines.clear()
        now = clock.wall()
        expiries = [cookie.expires for cookie in self.cookies if cookie.expires is not None]
        self._until = min((float(each) for each in expiries if each > now), default=float("inf"))
        # They go to every path of their hosts.
        self._any_path = all(cookie.path == "/" for cookie in self.cookies)

    def _work_out(self, url: PreparedUrl, own: dict[str, str] | None) -> bytes | None:
        request = requests.PreparedRequest()
        request.url = url.text
        request.headers = CaseInsensitiveDict()
        request.prepare_cookies(jar_of(self.cookies, own))
        value = request.headers.get("Cookie")
        if value is None:
            return b""
        return f"Cookie: {value!s}\r\n".encode() if is_plain_value(value) else None


def _attributes_of(jar: RequestsCookieJar) -> list[list[Any]]:
    """Return the attributes of all cookies."""
    return [
        list(cookie.__dict__.values())
        for paths in jar._cookies.values()  # type: ignore[attr-defined]
        for names in paths.values()
        for cookie in names.values()
    ]


def jar_of(cookies: tuple[Cookie, ...], own: dict[str, str] | None) -> RequestsCookieJar:
    """Return the jar of a request: cookies of its session, and its own."""
    jar = RequestsCookieJar()
    for cookie in cookies:
        jar.set_cookie(copy.copy(cookie))
    if own:
        merge_cookies(jar, cookiejar_from_dict(own))
    jar.clear_expired_cookies()
    return jar

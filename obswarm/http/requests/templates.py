"""Templates of requests: what does not change from call to call, prepared once by requests and shared by users."""

from typing import Any
from weakref import WeakValueDictionary

import requests
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict
from requests.utils import select_proxy

from obswarm.http.head import field_lines
from obswarm.http.requests import preparation
from obswarm.http.requests.adapter import FastAdapter, fields_of
from obswarm.http.requests.prepared_urls import PreparedUrl

_MOST_REMEMBERED = 512

NO_BODY, JSON, FORM, RAW = "", "json", "form", "raw"
"""Kinds of bodies, which differ in the headers that requests adds."""

_EXAMPLES: dict[str, tuple[Any, Any]] = {
    NO_BODY: ({}, None),
    JSON: ({}, {}),
    FORM: ({"a": "1"}, None),
    RAW: (b"a", None),
}
"""`data` and `json` of each kind."""


class RequestTemplate:
    """A request without URL, body, cookies, and the values of those headers that are the call's own.

    `settings` are the arguments of `send`, as for the hops of a redirected request.
    """

    __slots__ = (
        "_cookie_at",
        "_end",
        "_example",
        "_own",
        "_start",
        "_tail",
        "has_cookie",
        "has_host",
        "method",
        "prepared",
        "settings",
    )

    def __init__(
        self,
        session: requests.Session,
        adapter: FastAdapter,
        method: str,
        url: PreparedUrl,
        names: tuple[str, ...],
        kind: str,
        auth: Any,
        verify: Any,
    ) -> None:
        """`names` are those of the call's headers. Raises NotPlain for what needs requests' own way, and what the
        preparation raises."""
        own = {name: f"value-{number}" for number, name in enumerate(names)}
        data, json = _EXAMPLES[kind]
        request = requests.Request(method, url.text, own, None, data, {}, auth, None, None, json)
        example = preparation.begin(session, request)
        # Cookies come between those of the session and the call, and those that requests adds.
        count = len(example.headers)
        preparation.complete(session, request, example)
        settings = session.merge_environment_settings(example.url, {}, None, verify, None)
        if settings["proxies"] and select_proxy(url.text, settings["proxies"]):
            raise NotPlain
        call = adapter.call_of(example, False, None, settings["verify"], settings["cert"], {})
        fields = list(example.headers.items())
        first, _ = fields_of(dict(fields[:count]))
        rest, _ = fields_of(dict(fields[count:]))
        self.has_host = "host" in example.headers
        if not self.has_host:
            rest.append(("Host", url.origin.authority))
        self._own = [name.lower() for name, value in first if own.get(name) == value]
        if len(self._own) != len(own) or "host" in self._own or example.hooks != default_hooks():
            raise NotPlain
        self.method = str(example.method)
        self.prepared = call.prepared
        self.settings = settings
        self.has_cookie = "cookie" in example.headers
        self._example = example
        self._cookie_at = count
        self._start = _start_of(first, self._own)
        self._tail = field_lines(rest)
        self._end = call.prepared.bare[len(call.prepared.start) :]
        if self.head(url, own, b"", b"") != call.prepared.bare:
            raise NotPlain

    def head(self, url: PreparedUrl, headers: dict[str, str] | None, cookie: bytes, body: bytes) -> bytes:
        """Return the request's head; `headers` are those of the call, `cookie` is a whole line."""
        start = self._start
        if headers:
            if len(self._own) > 1:
                headers = {name.lower(): value for name, value in headers.items()}
                start %= tuple([headers[name].encode() for name in self._own])
            else:
                (value,) = headers.values()
                start %= value.encode()
        end = b"Content-Length: %d\r\n\r\n" % len(body) if body else self._end
        return f"{self.method} {url.target}".encode("latin-1") + start + cookie + self._tail + end

    def request(
        self, url: PreparedUrl, headers: dict[str, str] | None, cookie: bytes, body: str | bytes | None, size: int
    ) -> requests.PreparedRequest:
        """Return the request as requests prepares it; `size` is that of the body, in bytes."""
        made = self._example.copy()
        made.hooks = default_hooks()
        made.url = url.text
        made.body = body
        for name, value in (headers or {}).items():
            made.headers[name] = value
        if size:
            made.headers["Content-Length"] = str(size)
        if cookie:
            fields = list(made.headers.items())
            fields.insert(self._cookie_at, ("Cookie", cookie[8:-2].decode()))
            made.headers = CaseInsensitiveDict(fields)
        return made


def _start_of(fields: list[tuple[str, str]], own: list[str]) -> bytes:
    """Return the rest of the request line and the first headers; with `own`, as a format for the values of these."""
    start = b" HTTP/1.1\r\n"
    for name, value in fields:
        if name.lower() in own:
            start += name.replace("%", "%%").encode() + b": %b\r\n"
        else:
            line = field_lines([(name, value)])
            start += line.replace(b"%", b"%%") if own else line
    return start


class NotPlain(Exception):
    """A request that has to take the full way of requests."""


class Templates:
    """The templates for one state of a session, by what its calls have.

    One is made when a key comes for the second time, so that calls which are all different cost nothing more.
    """

    __slots__ = ("__weakref__", "_by_key", "state")
    unseen: bool | None = None
    """What stands for a key that has not come yet: None, or, with True, its template is made at once."""

    def __init__(self, state: Any) -> None:
        self.state = state
        self._by_key: dict[Any, RequestTemplate | bool] = {}

    def get(self, key: Any, *arguments: Any) -> RequestTemplate | None:
        """Return the template, made of the arguments; None for a request that has to take the full way."""
        found = self._by_key.get(key, self.unseen)
        if type(found) is RequestTemplate:
            return found
        if found is None:
            if len(self._by_key) >= _MOST_REMEMBERED:
                self._by_key.clear()
            self._by_key[key] = True
        elif found is True:
            try:
                made = self._by_key[key] = RequestTemplate(*arguments)
            except NotPlain:
                self._by_key[key] = False
            else:
                return made
        return None


_known: "WeakValueDictionary[Any, Templates]" = WeakValueDictionary()


def templates_for(state: Any) -> Templates:
    """Return the templates for a state, one object for all sessions that are in it."""
    found = _known.get(state)
    if found is None:
        found = _known[state] = Templates(state)
    return found

"""Calls of the usual kind, sent without the steps of requests that give the same for each of them.

Whatever is unusual about a call or its session (hooks, authentication classes, other adapters, proxies, methods that a
subclass overrides or a library has patched) makes it take the full way.
"""

from collections.abc import Callable
from http.cookiejar import Cookie
from typing import Any

import requests
import requests.models
from requests.cookies import RequestsCookieJar
from requests.models import REDIRECT_STATI
from requests.structures import CaseInsensitiveDict
from requests.utils import default_headers

from obswarm.api import ObswarmError
from obswarm.http.call import Call, send_request
from obswarm.http.deadlines import NEVER
from obswarm.http.errors import HttpError
from obswarm.http.raw import set_cookies
from obswarm.http.requests.adapter import FastAdapter, as_requests_error, parse_timeouts
from obswarm.http.requests.encoding import encode_pairs, is_plain_value
from obswarm.http.requests.full_call import times_of_all
from obswarm.http.requests.prepared_urls import PreparedUrl, prepared_url
from obswarm.http.requests.response import CountedResponse
from obswarm.http.requests.session_cookies import NO_COOKIES, SessionCookies, jar_of
from obswarm.http.requests.templates import FORM, JSON, NO_BODY, RAW, RequestTemplate, Templates, templates_for
from obswarm.stats.timings import Times

_FULL_WAY: Any = None
_dumps: Callable[..., str] = requests.models.complexjson.dumps  # type: ignore[attr-defined]
"""simplejson's where that is installed."""

_DEFAULT_HEADERS = default_headers()
_NO_JAR = RequestsCookieJar()
"""Of sessions whose own nobody has looked at."""


class PlainCall:
    """A call, and the request that it sends."""

    __slots__ = (
        "_allow_redirects",
        "_body",
        "_cookie",
        "_cookies",
        "_headers",
        "_own_cookies",
        "_size_bytes",
        "_template",
        "_timeout",
        "_url",
        "is_sent",
        "method",
        "path_url",
        "url",
    )

    def __init__(
        self,
        template: RequestTemplate,
        url: PreparedUrl,
        headers: dict[str, str] | None,
        body: str | bytes | None,
        cookie: bytes,
        cookies: tuple[Cookie, ...],
        own_cookies: dict[str, str] | None,
        timeout: Any,
        allow_redirects: bool,
    ) -> None:
        self._template = template
        self._url = url
        self._headers = headers
        self._body = body
        self._cookie = cookie
        self._cookies = cookies
        self._own_cookies = own_cookies
        self._timeout = timeout
        self._allow_redirects = allow_redirects
        self._size_bytes = 0
        self.is_sent = False
        self.method = template.method
        self.path_url = url.path_url
        self.url = url.given

    def begin(self, session: requests.Session) -> None:
        """Prepare the request, which it is."""

    def send(self, session: Any, started: float) -> CountedResponse:
        """Send the request, and those of the redirects, and return the response. Raises what requests raises."""
        adapter: FastAdapter = session.fast_adapter
        template, timeout = self._template, self._timeout
        connect_s, read_s = (NEVER, NEVER) if timeout is None else parse_timeouts(timeout)
        call = Call(template.prepared, connect_s, read_s, NEVER, adapter.max_response_bytes)
        body = b""
        if self._body is not None:
            body = self._body.encode() if type(self._body) is str else self._body  # type: ignore[assignment]
            self._size_bytes = len(body)
            call.carry(body, None, False)
        head = template.head(self._url, self._headers, self._cookie, body)
        self.is_sent = True
        try:
            connection, answer = send_request(adapter.pool, call, head, started)
        except HttpError as error:
            raise as_requests_error(error, self.prepared()) from None
        except ObswarmError as error:
            # A certificate file that cannot be read: requests reports it as an OSError.
            self.is_sent = False
            raise OSError(str(error)) from None
        response = adapter.response_of(call, connection, answer, self._url.text, started)
        response._sent = self
        adapter.read(response, connection, answer)
        if response.concerns_client:
            received = set_cookies(response._parsed_head.headers)
            if received:
                session.plain_calls.cookies().take_from(session.cookies, response, self._url, received)
        if response.status_code in REDIRECT_STATI:
            response = self._follow(session, response)
            if response.damage is not None:
                raise response.damage
        return response

    def _follow(self, session: requests.Session, response: CountedResponse) -> CountedResponse:
        """Follow a redirect as requests.Session.send does, and return the last response."""
        request = response.request
        settings = {"timeout": self._timeout, **self._template.settings}
        if not self._allow_redirects:
            response._next = next(  # type: ignore[attr-defined]
                session.resolve_redirects(response, request, yield_requests=True, **settings), None
            )
            return response
        history: list[Any] = [response, *session.resolve_redirects(response, request, **settings)]
        last: CountedResponse = history.pop()
        last.history = history
        return last

    def size_of(self, response: CountedResponse) -> int:
        """Return the bytes of the body."""
        return response.wire_bytes or 0

    def times_of(self, response: CountedResponse) -> Times | None:
        """Return the phases of a request, added up over all hops of a redirected one."""
        return response._times if response._sent is self else times_of_all(response)

    def prepared(self) -> requests.PreparedRequest:
        """Return the request as requests has it."""
        made = self._template.request(self._url, self._headers, self._cookie, self._body, self._size_bytes)
        made._cookies = jar_of(self._cookies, self._own_cookies)  # type: ignore[attr-defined]
        return made


class PlainCalls:
    """Prepares the plain calls of one session."""

    __slots__ = ("_session_cookies", "_templates")

    def __init__(self) -> None:
        self._templates: Templates | None = None
        self._session_cookies: SessionCookies | None = None

    def cookies(self) -> SessionCookies:
        """Return what is known of the session's cookies."""
        if self._session_cookies is None:
            self._session_cookies = SessionCookies()
        return self._session_cookies

    def prepare(
        self,
        session: Any,
        method: str,
        url: str | bytes,
        params: Any,
        data: Any,
        json: Any,
        headers: Any,
        cookies: Any,
        auth: Any,
        verify: Any,
        timeout: Any,
        allow_redirects: bool,
    ) -> PlainCall | None:
        """Return the call, None when it has to take the full way: also for all that is wrong with it."""
        try:
            templates = self._templates
            state = _state_of(session)
            if templates is None or templates.state != state:
                if state is None:
                    return None
                templates = self._templates = templates_for(state)
            place = prepared_url(session.base_url, url) if type(url) is str else None
            if place is None or not (verify is None or type(verify) is bool) or not _is_basic(auth):
                return None
            if params:
                if not place.is_plain:
                    return None
                place = place.with_query(encode_pairs(params))
            kind, body = _body_of(data, json) if data or json is not None else (NO_BODY, None)
            if kind is _FULL_WAY:
                return None
            names: tuple[str, ...] = ()
            if headers:
                if type(headers) is not dict:
                    return None
                for value in headers.values():
                    if type(value) is not str or not is_plain_value(value):
                        return None
                headers = headers.copy()
                names = tuple(headers)
            template = templates.get(
                (method, place.origin, names, kind, auth, verify),
                session,
                session.fast_adapter,
                method,
                place,
                names,
                kind,
                auth,
                verify,
            )
            if template is None:
                return None
            cookie, of_session = b"", NO_COOKIES
            # A session makes it when somebody looks at it, or a response sets cookies.
            jar = session.cookies if cookies or "cookies" in session.__dict__ else _NO_JAR
            if type(jar) is not RequestsCookieJar:
                return None
            if cookies or jar._cookies:  # type: ignore[attr-defined]
                if template.has_host or (cookies and type(cookies) is not dict):
                    return None
                lines = self.cookies()
                own = cookies.copy() if cookies else None
                line = lines.line_for(jar, place, own)
                if line is None:
                    return None
                cookie, of_session = b"" if template.has_cookie else line, lines.cookies
                cookies = own
            else:
                cookies = None
            return PlainCall(
                template, place, headers or None, body, cookie, of_session, cookies, timeout, allow_redirects
            )
        except Exception:
            # Raised once more on the full way.
            return None


def _body_of(data: Any, json: Any) -> tuple[str, str | bytes | None]:
    """Return the kind of a body, and the body as requests has it in the request."""
    if not data:
        return JSON, _dumps(json, allow_nan=False).encode()
    kind = type(data)
    if kind is str or kind is bytes:
        return RAW, data
    if kind is dict or kind is list or kind is tuple:
        form = encode_pairs(data)
        if form:
            return FORM, form
    return _FULL_WAY, None


def _is_basic(auth: Any) -> bool:
    return auth is None or (type(auth) is tuple and len(auth) == 2 and type(auth[0]) is str and type(auth[1]) is str)


def _state_of(session: Any) -> Any:
    """Return what the templates of a session depend on, None where it is none of the usual."""
    headers: Any = session.headers if "headers" in session.__dict__ else _DEFAULT_HEADERS
    if type(headers) is CaseInsensitiveDict:
        fields = tuple(headers._store.values())  # type: ignore[attr-defined]
    elif type(headers) is dict:
        fields = tuple(headers.items())
    else:
        return None
    auth, verify = session.auth, session.verify
    if not _is_basic(auth) or not (verify is None or type(verify) is bool or type(verify) is str):
        return None
    return fields, auth, verify, session.trust_env

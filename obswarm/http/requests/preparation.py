"""Preparation of a request with the settings of its session, in the steps of requests."""

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.cookies import RequestsCookieJar, cookiejar_from_dict, merge_cookies
from requests.exceptions import InvalidHeader
from requests.sessions import merge_hooks, merge_setting
from requests.structures import CaseInsensitiveDict
from requests.utils import get_netrc_auth, to_native_string

from obswarm.http.errors import InvalidRequest
from obswarm.http.head import PSEUDO, check_coding


def prepare(session: requests.Session, request: requests.Request) -> requests.PreparedRequest:
    """As requests.Session.prepare_request; but cookies are only merged when there are any, and netrc is read once."""
    prepared = begin(session, request)
    cookies = request.cookies
    if cookies or len(session.cookies):
        if not hasattr(cookies, "set_cookie"):
            cookies = cookiejar_from_dict(cookies or {})
        merged = merge_cookies(merge_cookies(RequestsCookieJar(), session.cookies), cookies)
        prepared.prepare_cookies(merged)
    else:
        prepared._cookies = RequestsCookieJar()  # type: ignore[attr-defined]
    complete(session, request, prepared)
    return prepared


def begin(session: requests.Session, request: requests.Request) -> requests.PreparedRequest:
    """Return the request with the steps before its cookies: method, URL and headers."""
    prepared = requests.PreparedRequest()
    prepared.prepare_method("GET" if request.method is None else request.method.upper())
    prepared.prepare_url(
        request.url, merge_setting(request.params, session.params) if session.params else request.params
    )
    own = request.headers
    headers: Any = session.headers
    if own or headers is None or None in headers.values():
        # Without those that are None.
        headers = merge_setting(own, headers, dict_class=CaseInsensitiveDict)
    try:
        prepared.prepare_headers(headers)
    except InvalidHeader:
        if PSEUDO.isdisjoint(headers):
            raise
        prepared.prepare_headers({name: value for name, value in headers.items() if name not in PSEUDO})
    coding = prepared.headers.get("Transfer-Encoding")
    if coding is not None:
        # Before requests puts its own in place of it, for a body in chunks.
        try:
            check_coding(to_native_string(coding, "latin-1"))
        except InvalidRequest as error:
            raise InvalidHeader(str(error)) from None
    return prepared


def complete(session: requests.Session, request: requests.Request, prepared: requests.PreparedRequest) -> None:
    """Do the steps behind the cookies: body, authentication and hooks."""
    prepared.prepare_body(request.data, request.files, request.json)
    auth = request.auth
    if session.trust_env and not auth and not session.auth:
        auth = _netrc(urlsplit(request.url).netloc, request.url)
    prepared.prepare_auth(merge_setting(auth, session.auth), request.url)
    # After auth, as in requests: what an auth class adds does not see the session's hooks.
    prepared.prepare_hooks(merge_hooks(request.hooks, session.hooks))


@lru_cache(maxsize=1024)
def _netrc(netloc: str, url: str) -> tuple[str, str] | None:
    return get_netrc_auth(url)

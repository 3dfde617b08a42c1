"""Redirects as RFC 9110, section 15.4 has them: the request that follows a redirecting answer."""

from collections.abc import Mapping
from typing import NamedTuple

from obswarm.http.errors import SHOWN_LENGTH, InvalidRedirect, wrong_redirect
from obswarm.http.head import Prepared, Template
from obswarm.http.urls import UNIX_SCHEME, Url, parse_url, redirect_target
from obswarm.sanitize import clean_text

REDIRECTS = frozenset((301, 302, 303, 307, 308))
PERMANENT_REDIRECTS = frozenset((301, 308))
_BODY_FIELDS = frozenset(("content-type", "content-encoding"))
"""Headers that go with the body. Those that frame it are never copied: they come from the body itself."""

_ORIGIN_FIELDS = frozenset(("authorization", "cookie", "host", "proxy-authorization"))
"""Headers that another origin must not get."""


class NextRequest(NamedTuple):
    """The request that a redirect asks for. `headers` are those of the call that still go with it, `keeps_body` says
    whether its body does, `same_origin` whether scheme, host and port stay the same."""

    prepared: Prepared
    headers: Mapping[str, str | None]
    keeps_body: bool
    same_origin: bool


def next_request(
    sent: Prepared, headers: Mapping[str, str | None], status_code: int, location: str, template: Template
) -> NextRequest:
    """Return the request that follows `sent`, whose answer had this status and Location header. `headers` are those of
    the call itself, `template` has those of its session.

    Method and body change as in requests: 302 and 303 become GET (but for HEAD), and so does 301 for POST; only 307 and
    308 keep the body. Credentials do not go to another origin. Raises InvalidRedirect.
    """
    url = _next_url(sent.url, location)
    same_origin = url.origin == sent.url.origin
    # Credentials are those of the request, which the target has no say in.
    url = url._replace(userinfo=sent.url.userinfo if same_origin else None)
    method = sent.method
    if method != "HEAD" and (status_code in (302, 303) or (status_code == 301 and method == "POST")):
        method = "GET"
    keeps_body = status_code in (307, 308)
    dropped = (frozenset() if keeps_body else _BODY_FIELDS) | (frozenset() if same_origin else _ORIGIN_FIELDS)
    replaced = {name.lower() for name in headers} | dropped
    kept = {name: value for name, value in headers.items() if name.lower() not in dropped}
    fields = {name: value for name, value in template.fields.items() if name.lower() not in replaced}
    fields.update((name, value) for name, value in kept.items() if value is not None)
    prepared = template.assemble(method, url, fields, sent.sends_length and keeps_body)
    return NextRequest(prepared, kept, keeps_body, same_origin)


def _next_url(here: Url, location: str) -> Url:
    """Return the URL of a Location header, relative to that of its request. Raises InvalidRedirect."""
    peer = here.origin.peer
    try:
        # ASCII by the standard; browsers and requests take UTF-8. Headers are handed on as Latin-1.
        url = parse_url(redirect_target(str(here), location.encode("latin-1").decode("utf-8")))
    except ValueError as error:
        raise wrong_redirect(peer, location, error) from None
    if url.origin.scheme == UNIX_SCHEME and here.origin != url.origin:
        raise InvalidRedirect(f"{peer} redirects to a Unix socket, {clean_text(location, SHOWN_LENGTH)!r}")
    return url

"""Following redirects as RFC 9110, 15.4 says."""

from typing import TYPE_CHECKING

from obswarm.clock import monotonic
from obswarm.http.body import StreamedBody
from obswarm.http.call import Call
from obswarm.http.errors import ConnectionLost, InvalidRedirect, TooManyRedirects
from obswarm.http.response import FastResponse
from obswarm.http.urls import UNIX_SCHEME, Url, parse_url, redirect_target
from obswarm.sanitize import clean_text

if TYPE_CHECKING:
    from obswarm.http.session import FastHttpSession

REDIRECTS = frozenset((301, 302, 303, 307, 308))
_SHOWN = 100
_OF_THE_BODY = frozenset(("content-type", "content-encoding"))
"""Besides what frames it, which always comes from the body itself."""

_OF_THE_ORIGIN = frozenset(("authorization", "cookie", "host", "proxy-authorization"))


def follow(
    session: "FastHttpSession", call: Call, response: FastResponse, limit: int, started: float, discard_bodies: bool
) -> FastResponse:
    """Go where the answers point, until one does not; that one's `history` has the others.

    Methods and bodies are those of requests: 302 and 303 become GET (but for HEAD), and so does 301 for POST; only 307
    and 308 keep the body. Credentials do not go to another origin. Raises TooManyRedirects, InvalidRedirect, and what
    `hop` raises.
    """
    history: list[FastResponse] = []
    while response.status_code in REDIRECTS:
        raw = response.headers.get("location")
        if not raw:
            # An answer like any other, as in requests.
            break
        if len(history) >= limit:
            raise TooManyRedirects(f"more than {limit} redirects, the last one to {clean_text(raw, _SHOWN)!r}")
        # A body that nobody will read; the connection is wanted again.
        if discard_bodies:
            response.discard()
        else:
            _ = response.raw_body
        history.append(response)
        _go_to(session, call, raw, response.status_code)
        before = response
        response = session.hop(call, monotonic())
        _add_timings(response, before)
    response.history = history
    response.elapsed_s = monotonic() - started
    return response


def _go_to(session: "FastHttpSession", call: Call, location: str, status_code: int) -> None:
    """Make the call's next hop of a Location header."""
    here = call.prepared
    url = _next_url(here.url, location)
    # Credentials are those of the request, which the target has no say in.
    url = url._replace(userinfo=here.url.userinfo if url.origin == here.url.origin else None)
    method = here.method
    dropped: set[str] = set()
    if method != "HEAD" and (status_code in (302, 303) or (status_code == 301 and method == "POST")):
        method = "GET"
    if status_code not in (307, 308):
        call.body, call.content_type, call.is_plain = b"", None, not call.stream
        dropped |= _OF_THE_BODY
    elif isinstance(call.body, StreamedBody):
        if not call.body.replayable:
            raise ConnectionLost(f"{here.url.origin.peer} redirects a request whose body cannot be sent again")
        call.body.rewind()
    if url.origin != here.url.origin:
        dropped |= _OF_THE_ORIGIN
    template = session.current_template()
    replaced = {name.lower() for name in call.headers} | dropped
    fields = {name: value for name, value in template.fields.items() if name.lower() not in replaced}
    fields.update(
        (name, value) for name, value in call.headers.items() if value is not None and name.lower() not in dropped
    )
    call.headers = {name: value for name, value in call.headers.items() if name.lower() not in dropped}
    says_length = here.says_length and status_code in (307, 308)
    call.prepared = template.assemble(method, url, fields, says_length)
    if call.extra_cookies is not None and url.origin == here.url.origin:
        call.cookie = session.cookies.header_with(call.extra_cookies, url)
    else:
        call.extra_cookies = None
        call.cookie = session.cookies.header_for(url)


def _next_url(here: Url, location: str) -> Url:
    """What a Location header's bytes mean, seen from where they came. Raises InvalidRedirect."""
    peer = here.origin.peer
    try:
        # ASCII by the standard; browsers and requests take UTF-8. Headers are handed on as Latin-1.
        url = parse_url(redirect_target(str(here), location.encode("latin-1").decode("utf-8")))
    except ValueError as error:
        raise wrong_redirect(peer, location, error) from None
    if url.origin.scheme == UNIX_SCHEME and here.origin != url.origin:
        raise InvalidRedirect(f"{peer} redirects to a Unix socket, {clean_text(location, _SHOWN)!r}")
    return url


def wrong_redirect(peer: str, location: str, reason: object) -> InvalidRedirect:
    """The failure of a request whose target sent it where no request can go. The address is cut: it may be long."""
    shown = clean_text(location, _SHOWN)
    if isinstance(reason, UnicodeDecodeError):
        return InvalidRedirect(f"{peer} redirects to {shown!r}, which is not UTF-8")
    why = clean_text(reason, 3 * _SHOWN)
    if location in why:
        # Of our own messages and requests', which name it.
        why = why.replace(location, shown)
    return InvalidRedirect(f"{peer} redirects to {shown!r}, where nothing can be: {why}")


def _add_timings(response: FastResponse, before: FastResponse) -> None:
    response.first_byte_s += before.first_byte_s
    response.download_s += before.download_s
    for phase in ("connect_s", "tls_s"):
        earlier = getattr(before, phase)
        if earlier is not None:
            setattr(response, phase, earlier + (getattr(response, phase) or 0.0))

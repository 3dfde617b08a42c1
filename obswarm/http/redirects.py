"""Following redirects as RFC 9110, 15.4 says."""

from typing import TYPE_CHECKING

from obswarm.clock import monotonic
from obswarm.http.body import StreamedBody
from obswarm.http.call import Call
from obswarm.http.errors import ConnectionLost, ProtocolError, TooManyRedirects
from obswarm.http.response import FastResponse
from obswarm.http.urls import UNIX_SCHEME, parse_url, redirect_target
from obswarm.sanitize import clean_text

if TYPE_CHECKING:
    from obswarm.http.session import FastHttpSession

REDIRECTS = frozenset((301, 302, 303, 307, 308))
_OF_THE_BODY = frozenset(("content-type", "content-length", "transfer-encoding", "content-encoding"))
_OF_THE_ORIGIN = frozenset(("authorization", "cookie", "host", "proxy-authorization"))


def follow(session: "FastHttpSession", call: Call, response: FastResponse, limit: int, started: float) -> FastResponse:
    """Go where the answers point, until one does not; that one's `history` has the others.

    303 becomes GET, and so do 301 and 302 for POST, as every browser has it. Credentials do not go to another origin.
    Raises TooManyRedirects, and what `hop` raises.
    """
    history: list[FastResponse] = []
    while response.status_code in REDIRECTS:
        raw = response.headers.get("location")
        if not raw:
            break
        if len(history) >= limit:
            raise TooManyRedirects(f"more than {limit} redirects, the last one to {clean_text(raw, 100)!r}")
        # A body that nobody will read; the connection is wanted again.
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
    try:
        # Location is ASCII by the standard; browsers take UTF-8, and http libraries hand it on as Latin-1.
        location = location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        pass
    try:
        url = parse_url(redirect_target(str(here.url), location))
    except ValueError as error:
        raise wrong_redirect(here.url.origin.peer, location, error) from None
    if url.origin.scheme == UNIX_SCHEME and here.url.origin != url.origin:
        raise ProtocolError(f"{here.url.origin.peer} redirects to a Unix socket, {clean_text(location, 100)!r}")
    method = here.method
    dropped: set[str] = set()
    if (status_code == 303 and method != "HEAD") or (status_code in (301, 302) and method == "POST"):
        method = "GET"
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
    call.prepared = template.assemble(method, url, fields)
    if call.extra_cookies is not None and url.origin == here.url.origin:
        call.cookie = session.cookies.header_with(call.extra_cookies, url)
    else:
        call.extra_cookies = None
        call.cookie = session.cookies.header_for(url)


def wrong_redirect(peer: str, location: str, reason: object) -> ProtocolError:
    """The failure of a request whose target sent it where no request can go. The address is cut: it may be long."""
    shown = clean_text(location, 100)
    why = str(reason)
    if location in why:
        # Of our own messages and requests', which name it.
        why = why.replace(location, shown)
    return ProtocolError(f"{peer} redirects to {shown!r}, where nothing can be: {why}")


def _add_timings(response: FastResponse, before: FastResponse) -> None:
    response.first_byte_s += before.first_byte_s
    response.download_s += before.download_s
    for phase in ("connect_s", "tls_s"):
        earlier = getattr(before, phase)
        if earlier is not None:
            setattr(response, phase, earlier + (getattr(response, phase) or 0.0))

"""Routes: the peer of a connection, and the proxy and TLS settings by which it is reached."""

import base64
from typing import NamedTuple
from urllib.parse import unquote

from obswarm.api import ObswarmError
from obswarm.http.errors import InvalidRequest
from obswarm.http.tls import TlsSettings
from obswarm.http.urls import UNIX_SCHEME, Origin, parse_url
from obswarm.redact import redact_url


class Proxy(NamedTuple):
    """An HTTP proxy, itself over http or https; `authorization` is the header's value, if it wants one."""

    origin: Origin
    authorization: str | None = None


def parse_proxy(text: str) -> Proxy:
    """A proxy written as a URL, `http://user:password@proxy:3128`. Raises ObswarmError when it is none."""
    try:
        url = parse_url(text if "://" in text else f"http://{text}")
    except InvalidRequest:
        url = None
    if url is None or url.origin.scheme == UNIX_SCHEME:
        raise ObswarmError(
            f"{redact_url(text)!r} is not a proxy's URL; write it like http://user:password@proxy.example:3128."
        )
    if url.userinfo is None:
        return Proxy(url.origin)
    credentials = base64.b64encode(unquote(url.userinfo).encode()).decode("ascii")
    return Proxy(url.origin, f"Basic {credentials}")


class Route:
    """An origin, and the proxy and TLS settings by which it is reached. Equal ones are the same object, so that looking
    a pool up by its route costs no comparison. Get one by `Route.to`."""

    __slots__ = ("origin", "peer", "proxy", "tls")

    def __init__(self, origin: Origin, proxy: Proxy | None, tls: TlsSettings | None) -> None:
        self.origin = origin
        self.proxy = proxy
        self.tls = tls
        self.peer = origin.peer

    @classmethod
    def to(cls, origin: Origin, proxy: Proxy | None = None, tls: TlsSettings | None = None) -> "Route":
        key = (origin, proxy if origin.scheme != UNIX_SCHEME else None, tls)
        found = _known.get(key)
        if found is None:
            if len(_known) >= _MOST_ROUTES:
                _known.clear()
            found = _known[key] = cls(*key)
        return found

    @property
    def absolute_form(self) -> bool:
        """Whether the request line holds the whole URL (RFC 9112, 3.2.2): plain HTTP through a proxy."""
        return self.proxy is not None and self.origin.scheme == "http"


_MOST_ROUTES = 10_000
_known: dict[tuple[Origin, Proxy | None, TlsSettings | None], Route] = {}

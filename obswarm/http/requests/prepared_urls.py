"""URLs as requests prepares them, each once; those of a form that it leaves as they are without its parser."""

import re
from urllib.parse import urlsplit

import requests

from obswarm.http.urls import Origin, absolute, parse_url

_UNCHANGED = r"A-Za-z0-9\-._~!$&'()*+,;=:@/"
_plain = re.compile(
    rf"(https?://[a-z0-9.-]+(?::[1-9][0-9]{{0,4}})?)(/[{_UNCHANGED}]*(?:\?[{_UNCHANGED}?]+)?)", re.ASCII
).fullmatch
_MOST_REMEMBERED = 4096


class PreparedUrl:
    """A URL: `given` by the call, `text` as requests prepares it, `target` of the request line, `path_url` as
    requests has it. `is_plain` says whether a query can be added to it."""

    __slots__ = ("given", "is_plain", "origin", "path_url", "target", "text")

    def __init__(self, given: str, text: str, origin: Origin, target: str, path_url: str, is_plain: bool) -> None:
        self.given = given
        self.text = text
        self.origin = origin
        self.target = target
        self.path_url = path_url
        self.is_plain = is_plain

    def with_query(self, query: str) -> "PreparedUrl":
        """Return the URL with an encoded query behind its own."""
        more = ("&" if "?" in self.target else "?") + query if query else ""
        target = self.target + more
        return PreparedUrl(self.given, self.text + more, self.origin, target, target, True)


_prepared: dict[tuple[str | None, str], PreparedUrl] = {}
_origins: dict[str, Origin | None] = {}


def prepared_url(base_url: str | None, url: str) -> PreparedUrl | None:
    """Return the URL of a call, None for one of another scheme, or with credentials in it.

    Raises what requests raises, InvalidRequest, and MissingHost.
    """
    found = _prepared.get((base_url, url))
    if found is None:
        found = _prepare(absolute(base_url, url))
        if found is not None:
            if len(_prepared) >= _MOST_REMEMBERED:
                _prepared.clear()
            _prepared[base_url, url] = found
    return found


def _prepare(url: str) -> PreparedUrl | None:
    match = _plain(url)
    # Dot segments are removed.
    if match is not None and "/." not in url:
        start, target = match.groups()
        try:
            origin = _origins[start]
        except KeyError:
            origin = _plain_origin(start)
        if origin is not None:
            return PreparedUrl(url, url, origin, target, target, True)
    request = requests.PreparedRequest()
    request.prepare_url(url, None)
    text = str(request.url)
    if "@" in urlsplit(text).netloc or not text.startswith(("http://", "https://")):
        return None
    parsed = parse_url(text)
    return PreparedUrl(url, text, parsed.origin, parsed.target, request.path_url, False)


def _plain_origin(start: str) -> Origin | None:
    """Return the origin of URLs that begin so, None where requests changes them."""
    if len(_origins) >= _MOST_REMEMBERED:
        _origins.clear()
    request = requests.PreparedRequest()
    request.prepare_url(start + "/", None)
    origin = parse_url(start + "/").origin if request.url == start + "/" else None
    _origins[start] = origin
    return origin

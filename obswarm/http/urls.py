"""URLs: validation, and parsing into origin and request target."""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit

from obswarm.http.errors import InvalidRequest, MissingHost
from obswarm.redact import redact_url
from obswarm.sanitize import clean_text

UNIX_SCHEME = "http+unix"
"""`http+unix://%2Frun%2Fapp.sock/path`: the host is the percent-encoded path of a Unix socket."""

DEFAULT_PORTS = {"http": 80, "https": 443, UNIX_SCHEME: 0}
_NEVER_IN_HOSTS = frozenset(' "<>\\^`{|}')
_NAME = re.compile(r"(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")  # RFC 3986, 3.1
_UNCHANGED = r"A-Za-z0-9\-._~!$&'()*+,;=:@/"
_PLAIN_TARGET = re.compile(rf"/[{_UNCHANGED}]*(?:\?[{_UNCHANGED}?]+)?", re.ASCII)
_IN_PATHS = "!$&'()*+,;=:@/"
"""Characters that stay in paths besides the unreserved ones (RFC 3986, 3.3)."""

_IN_QUERIES = _IN_PATHS + "?"
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ESCAPE = re.compile("%[0-9A-Fa-f]{2}")
_PREFIXES = tuple(f"{scheme}://" for scheme in DEFAULT_PORTS)


class Origin(NamedTuple):
    """Scheme, host and port of a URL. For a Unix socket `host` is the socket's path, and the port 0."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        if self.scheme == UNIX_SCHEME:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if DEFAULT_PORTS[self.scheme] == self.port else f"{host}:{self.port}"

    @property
    def peer(self) -> str:
        """The name of the peer in messages."""
        if self.scheme == UNIX_SCHEME:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        authority = quote(self.host, safe="") if self.scheme == UNIX_SCHEME else self.authority
        return f"{self.scheme}://{authority}"


class Url(NamedTuple):
    """An absolute URL: `target` is the path and query of the request line."""

    origin: Origin
    target: str
    userinfo: str | None

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def __str__(self) -> str:
        return f"{self.origin}{self.target}"


def check_host(host: Any, schemes: Collection[str] = tuple(DEFAULT_PORTS)) -> str:
    """A base URL without its trailing slash. Raises ValueError with a sentence when it is none, or none of these
    schemes."""
    if not isinstance(host, str):
        raise ValueError(f"{clean_text(repr(host), 100)} is not a base URL; it needs a scheme and a host, as text")
    return _checked(host, tuple(schemes))


@lru_cache(maxsize=256)
def _checked(host: str, schemes: tuple[str, ...]) -> str:
    """Cached, since every user that starts checks the same host."""
    text = host.strip()
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
        parts = urlsplit("")
    if parts.scheme in schemes and parts.hostname and port_is_fine:
        _check_name(text)
        return text.rstrip("/")
    example, more = "https://www.example.com", ""
    if "://" in text:
        if parts.scheme and parts.scheme not in schemes:
            more = f"; {parts.scheme}:// cannot be requested"
    elif text.startswith("unix:") and UNIX_SCHEME in schemes:
        example = f"{UNIX_SCHEME}://{quote(text.removeprefix('unix:'), safe='')}"
    elif text and parts.scheme != "unix":
        example = f"http://{redact_url(text)}"
    raise ValueError(f"{redact_url(host)!r} is not a base URL; it needs a scheme and a host, like {example}{more}")


def _check_name(url: str) -> None:
    """Raise ValueError when no host can have the name that the URL has."""
    if any(character < " " or character == "\x7f" for character in url):
        raise ValueError(f"{redact_url(url)!r} is not a base URL; it contains a line break or control character")
    try:
        origin = parse_url(url).origin
        is_fine = origin.scheme == UNIX_SCHEME or ":" in origin.host or _is_name(origin.host)
    except InvalidRequest:
        is_fine = False
    if not is_fine:
        name = urlsplit(url).hostname
        raise ValueError(
            f"{redact_url(url)!r} is not a base URL; {name!r} cannot be the name of a host, like www.example.com"
        )


def _is_name(host: str) -> bool:
    """Return whether RFC 1123, 2.1 and RFC 1035, 2.3.4 allow the name, or it differs by the underscores of
    containers."""
    return len(host) <= 254 and _NAME.fullmatch(host) is not None


def absolute(base: str | None, path: str) -> str:
    """A path below the base URL, or the URL itself when it already is absolute.

    Raises MissingHost when there is no base, InvalidRequest for another scheme or what is no text.
    """
    if not isinstance(path, str):
        raise InvalidRequest(f"the URL {path!r} is not text")
    if path.startswith(_PREFIXES):
        return path
    scheme, separator, rest = path.partition("://")
    # A path may hold the URL of another resource.
    if separator and _SCHEME.fullmatch(scheme):
        if path.lower().startswith(_PREFIXES):
            return scheme.lower() + separator + rest
        raise InvalidRequest(f"{path!r}: only http://, https:// and {UNIX_SCHEME}:// can be requested")
    if not base:
        raise MissingHost(
            f"No host for the request of {path!r}: give one with -H/--host, or set `host` on the user class."
        )
    return base + path if path.startswith(("/", "?")) or not path else f"{base}/{path}"


@lru_cache(maxsize=4096)
def parse_url(url: str) -> Url:
    """Cut an absolute URL apart; what does not belong into a request line is percent-encoded.

    Raises InvalidRequest, naming the URL, when it is malformed or holds a control character.
    """
    if any(character < " " or character == "\x7f" for character in url):
        raise InvalidRequest(f"the URL {url!r} contains a line break or control character")
    try:
        parts = urlsplit(url.strip(" "))
        port = parts.port
        host = parts.hostname
    except ValueError as error:
        raise InvalidRequest(f"the URL {url!r} is malformed: {error}") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise InvalidRequest(f"the URL {url!r} has no scheme that can be requested; use http:// or https://")
    if not host:
        raise InvalidRequest(f"the URL {url!r} has no host")
    if parts.scheme == UNIX_SCHEME:
        # urlsplit lowers host names; the path of a socket keeps its case.
        host = unquote(parts.netloc)
        if "\0" in host:
            raise InvalidRequest(f"the URL {url!r} holds a NUL in the path of its socket")
    elif not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise InvalidRequest(f"the URL {url!r} has a host name that cannot be encoded: {error}") from None
    elif any(character in _NEVER_IN_HOSTS for character in host):
        raise InvalidRequest(f"the URL {url!r} has an invalid host name")
    path = parts.path or "/"
    target = f"{path}?{parts.query}" if parts.query else path
    if "/." in target or not _PLAIN_TARGET.fullmatch(target):
        target = _normalised(target)
    userinfo = None if parts.scheme == UNIX_SCHEME else parts.netloc.rpartition("@")[0] or None
    return Url(Origin(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme]), target, userinfo)


def _normalised(target: str) -> str:
    """Return a request target with dot segments removed and uniform percent-encoding, as by requests; what
    _PLAIN_TARGET matches stays as it is."""
    path, question_mark, query = target.partition("?")
    encoded = (_encoded(_without_dot_segments(path), _IN_PATHS) or "/") + question_mark + _encoded(query, _IN_QUERIES)
    return _ESCAPE.sub(_unescaped, encoded)


def _without_dot_segments(path: str) -> str:
    """Resolve `.` and `..` in a path that begins with a slash (RFC 3986, 5.2.4)."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if not kept or kept[0]:
        kept.insert(0, "")
    if path.endswith(("/.", "/..")):
        kept.append("")
    return "/".join(kept)


def _encoded(text: str, allowed: str) -> str:
    """Percent-encode what is neither unreserved nor allowed. Escapes stay, in upper case, unless there is a percent
    sign that belongs to none: then all percent signs are encoded."""
    text, escapes = _ESCAPE.subn(lambda escape: escape[0].upper(), text)
    if escapes == text.count("%"):
        allowed += "%"
    return quote(text, allowed, errors="surrogatepass")


def _unescaped(escape: re.Match[str]) -> str:
    """Return the character of an escape if it is an unreserved one, else the escape."""
    character = chr(int(escape[0][1:], 16))
    return character if character in _UNRESERVED else escape[0]


def with_params(url: str, params: Any) -> str:
    """Add query parameters as requests does: a dict (values may be lists, None leaves a key out), pairs, or text."""
    if not params:
        return url
    if isinstance(params, str | bytes):
        text = params.decode() if isinstance(params, bytes) else params
    else:
        pairs = params.items() if hasattr(params, "items") else params
        try:
            flat = [
                (key, value)
                for key, values in pairs
                for value in (values if isinstance(values, list | tuple) else [values])
                if value is not None
            ]
        except (TypeError, ValueError):
            raise InvalidRequest(f"params={params!r}: give a dict, a list of pairs, or a string") from None
        text = urlencode(flat)
    if not text:
        return url
    address, hash_sign, fragment = url.partition("#")
    joined = address + ("&" if "?" in address else "?") + text
    return joined + hash_sign + fragment


def redirect_target(base: str, location: str) -> str:
    """The absolute URL that a Location header means (RFC 9110, 10.2.2)."""
    return urljoin(base, location)

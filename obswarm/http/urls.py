"""URLs as the client needs them: checked, and cut into origin and request target."""

from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urljoin, urlsplit

from obswarm.http.errors import InvalidRequest, MissingHost

DEFAULT_PORTS = {"http": 80, "https": 443}
_SAFE_IN_TARGET = "!#$%&'()*+,/:;=?@[]~"


class Origin(NamedTuple):
    """Where a connection leads."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if DEFAULT_PORTS[self.scheme] == self.port else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


class Url(NamedTuple):
    """An absolute URL: `target` is what stands in the request line."""

    origin: Origin
    target: str
    userinfo: str | None

    def __str__(self) -> str:
        return f"{self.origin}{self.target}"


def check_host(host: str) -> str:
    """A base URL without its trailing slash. Raises ValueError with a sentence when it is none."""
    text = host.strip()
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
        parts = urlsplit("")
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or not port_is_fine:
        hint = f"http://{text}" if "://" not in text and text else "https://www.example.com"
        raise ValueError(f"{host!r} is not a base URL; it needs a scheme and a host, like {hint}")
    return text.rstrip("/")


def absolute(base: str | None, path: str) -> str:
    """A path below the base URL, or the URL itself when it already is absolute.

    Raises MissingHost when there is no base.
    """
    if path.startswith(("http://", "https://")):
        return path
    if "://" in path.split("?", 1)[0]:
        raise InvalidRequest(f"{path!r}: only http:// and https:// can be requested")
    if not base:
        raise MissingHost(
            f"No host for the request of {path!r}: give one with -H/--host, or set `host` on the user class."
        )
    return base + path if path.startswith(("/", "?")) or not path else f"{base}/{path}"


def parse_url(url: str) -> Url:
    """Cut an absolute URL apart; what does not belong into a request line is percent-encoded.

    Raises InvalidRequest, naming the URL, when it is malformed or holds a control character.
    """
    if any(character in url for character in "\r\n\t\0"):
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
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise InvalidRequest(f"the URL {url!r} has a host name that cannot be encoded: {error}") from None
    target = quote(parts.path or "/", safe=_SAFE_IN_TARGET)
    if parts.query:
        target += "?" + quote(parts.query, safe=_SAFE_IN_TARGET)
    userinfo = parts.netloc.rpartition("@")[0] or None
    return Url(Origin(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme]), target, userinfo)


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

"""Access to the APIs of other programs: credentials, headers, certificates, a proxy. Everything but the
environment's, which obswarm.http.api_client.session adds."""

import base64
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from obswarm.api import ObswarmError
from obswarm.redact import register_secret, register_setting

if TYPE_CHECKING:
    from requests import PreparedRequest

_LARGEST_TOKEN_BYTES = 64 * 1024
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_FILES = ("token_file", "ca_file", "cert_file", "key_file")

Naming = Callable[[str], str]
"""Returns the option that sets a field of ApiAccess: `ca_file` is --prometheus-ca-file. Empty for a field that
cannot be set there."""


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """Credentials and certificates for an API. `auth` is USER:PASSWORD; `token` a bearer token, `token_file` a file
    with one, which is read again for each request; `headers` are pairs of name and value; `ca_file` has the
    certificates to trust; `cert_file` a client certificate, with its key unless `key_file` has that; `proxy` is a URL,
    and counts before the environment's. Files are those of the machine that sends the requests."""

    auth: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    proxy: str | None = field(default=None, repr=False)

    @property
    def client_certificate(self) -> str | tuple[str, str] | None:
        """The client certificate in requests' form."""
        if self.cert_file is None or self.key_file is None:
            return self.cert_file
        return self.cert_file, self.key_file

    def credentials(self, url: str, naming: Naming) -> str:
        """Return a description of the credentials that requests to that URL carry; empty for none."""
        if self.token is not None:
            return f"the token of {naming('token')}"
        if self.token_file is not None:
            return f"the token in {self.token_file}"
        if self.auth is not None:
            return f"the user and password of {naming('auth')}"
        if _has_authorization(self.headers):
            return f"the Authorization of {naming('header')}"
        return "the user and password in its URL" if _user_of(url) is not None else ""

    def below(self, folder: Path) -> "ApiAccess":
        """Return a copy whose paths are relative to that folder."""
        given = [name for name in _FILES if getattr(self, name) is not None]
        below: dict[str, Any] = {name: str(folder / getattr(self, name)) for name in given}
        return replace(self, **below)

    def check(self, naming: Naming) -> None:
        """Raises ObswarmError for what goes wrong with any server; see `check_files` as well. A user in the URL does
        not count beside other credentials."""
        given = [naming(name) for name in ("auth", "token", "token_file") if getattr(self, name) is not None]
        if _has_authorization(self.headers):
            given.append(f"the Authorization of {naming('header')}")
        if len(given) > 1:
            raise ObswarmError(f"{given[0]} and {given[1]} exclude each other; leave one of them out.")
        if self.auth is not None and (":" not in self.auth or not _is_line(self.auth)):
            raise ObswarmError(f"{naming('auth')}: write it as USER:PASSWORD.")
        if self.token is not None and not _is_token(self.token):
            raise ObswarmError(f"{naming('token')}: a token is one word of ASCII characters.")
        for name, value in self.headers:
            if not _HEADER_NAME.fullmatch(name) or not _is_line(value) or not _is_latin(value):
                raise ObswarmError(f"{naming('header')}: write it as NAME: VALUE, like X-Scope-OrgID: shop.")
        if self.key_file is not None and self.cert_file is None:
            raise ObswarmError(f"{naming('key_file')} needs {naming('cert_file')}: the certificate of that key.")
        if self.proxy is not None and not _is_proxy(self.proxy):
            raise ObswarmError(f"{naming('proxy')}: it is not a URL of a proxy; write it like http://proxy:3128.")

    def check_files(self, naming: Naming) -> None:
        """Raises ObswarmError for files that are missing, cannot be read, or are not what they should be."""
        if self.token_file is not None and not _is_token(token := _read_token(self.token_file, naming)):
            what = "is empty" if not token else "has more than one word, or characters that are not ASCII"
            raise ObswarmError(f"{naming('token_file')}: {self.token_file} {what}; it has to hold a token alone.")
        if self.ca_file is not None:
            _check_authorities(self.ca_file, naming("ca_file"))
        if self.cert_file is not None:
            self._check_certificate(naming)

    def _check_certificate(self, naming: Naming) -> None:
        assert self.cert_file is not None
        for name in ("cert_file", "key_file"):
            path = getattr(self, name)
            if path is not None:
                _check_readable(path, naming(name))

        def refuse() -> str:
            raise ObswarmError(
                f"{naming('key_file')}: the key in {self.key_file or self.cert_file} is encrypted; give one without a"
                " passphrase."
            )

        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(self.cert_file, self.key_file, refuse)
        except (OSError, ValueError) as error:
            named = naming("cert_file") if self.key_file is None else f"{naming('cert_file')}, {naming('key_file')}"
            files = self.cert_file if self.key_file is None else f"{self.cert_file} and {self.key_file}"
            hint = f"; name the file with its key by {naming('key_file')}" if self.key_file is None else ""
            raise ObswarmError(
                f"{named}: no certificate with its key in {files} ({_ssl_reason(error)}){hint}."
            ) from None


def naming_by_options(prefix: str) -> Naming:
    """Each field is an option: `--PREFIX-ca-file`."""
    return lambda name: f"--{prefix}-{name.replace('_', '-')}"


def naming_of_token(option: str) -> Naming:
    """The token alone can be set, by that option."""
    return lambda name: option if name == "token" else ""


def naming_of_fields(options: Mapping[str, str]) -> Naming:
    """These fields can be set, each by its option."""
    return lambda name: options.get(name, "")


def named(naming: Naming, *fields: str) -> str:
    """Return the options of those fields that can be set, as in `auth, token or token_file of the target mysql`."""
    names = [name for name in map(naming, fields) if name]
    owners = {name.partition(" of ")[1:] for name in names}
    of = "".join(owners.pop()) if len(owners) == 1 else ""
    names = [name.removesuffix(of) for name in names]
    return " or ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part) + of


class ApiAuth:
    """Sets the header Authorization, as an auth callable of requests. Always used, since ~/.netrc would count before a
    token otherwise."""

    def __init__(self, access: ApiAccess) -> None:
        self._access = access
        self._last_token: str | None = None

    def __call__(self, request: "PreparedRequest") -> "PreparedRequest":
        value = self._value(request.url or "")
        if value is not None:
            request.headers.setdefault("Authorization", value)
        return request

    def _value(self, url: str) -> str | None:
        access = self._access
        token = access.token if access.token_file is None else self._token_of(access.token_file)
        if token is not None:
            return f"Bearer {token}"
        pair = access.auth if access.auth is not None else _user_of(url)
        # In UTF-8 (RFC 7617, 2.1), as servers expect it today.
        return None if pair is None else f"Basic {base64.b64encode(pair.encode()).decode()}"

    def _token_of(self, path: str) -> str | None:
        """Return the token that the file has now, or the last one while the file is being replaced."""
        try:
            token = _read(path)
        except OSError:
            return self._last_token
        if _is_token(token) and token != self._last_token:
            self._last_token = token
            register_secret(token)
        return self._last_token


def parse_header(text: str) -> tuple[str, str]:
    """Return name and value of `NAME: VALUE`; without a colon, an empty name, which no header has."""
    name, colon, value = text.partition(":")
    return (name.strip(), value.strip()) if colon else ("", text)


def access_of(values: Mapping[str, Any]) -> ApiAccess:
    """Return an ApiAccess with these fields; its secrets are redacted in all output."""
    for name, value in values.items():
        for header, text in value or () if name == "headers" else ((name, value),):
            register_setting(header, text)
    return ApiAccess(**values)


def _has_authorization(headers: tuple[tuple[str, str], ...]) -> bool:
    return any(name.lower() == "authorization" for name, _ in headers)


def _user_of(url: str) -> str | None:
    """Return USER:PASSWORD of a URL, decoded, None without a user."""
    try:
        parts = urlsplit(url)
        user, password = parts.username, parts.password
    except ValueError:
        return None
    return None if user is None else f"{unquote(user)}:{unquote(password or '')}"


def _is_line(text: str) -> bool:
    return text.isprintable()


def _is_latin(text: str) -> bool:
    return all(ord(character) < 256 for character in text)


def _is_token(text: str) -> bool:
    return re.fullmatch(r"[!-~]+", text) is not None


def _is_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in _PROXY_SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _read(path: str) -> str:
    with open(path, "rb") as file:
        return file.read(_LARGEST_TOKEN_BYTES).decode(errors="replace").strip()


def _read_token(path: str, naming: Naming) -> str:
    try:
        return _read(path)
    except OSError as error:
        raise _unreadable(path, naming("token_file"), error) from None


def _check_readable(path: str, name: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise _unreadable(path, name, error) from None


def _check_authorities(path: str, name: str) -> None:
    is_folder = Path(path).is_dir()
    if not is_folder:
        _check_readable(path, name)
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(None if is_folder else path, path if is_folder else None)
    except (OSError, ValueError) as error:
        raise ObswarmError(f"{name}: no certificates in PEM in {path} ({_ssl_reason(error)}).") from None


def _unreadable(path: str, name: str, error: OSError) -> ObswarmError:
    return ObswarmError(f"{name}: {path} cannot be read: {error.strerror}.")


def _ssl_reason(error: Exception) -> str:
    """Return OpenSSL's reason without the place in its source."""
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return re.sub(r"^\[\w+\] | \(_ssl\.c:\d+\)", "", str(reason)).replace("_", " ").lower()

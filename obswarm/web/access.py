"""Who may use the page and the API: users with a password, a token, sessions of browsers, and limits of attempts."""

import base64
import binascii
import hashlib
import hmac
import math
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from obswarm import clock

COOKIE = "obswarm_session"
CSRF_HEADER = "X-CSRF-Token"
TOKEN_USER = "token"
"""The name of the user of a session that was opened with the token."""

SESSION_S = 12 * 3600.0
_MOST_SESSIONS = 200
_ATTEMPTS = 5
"""Wrong logins from an address within `_WINDOW_S`, after which further ones are refused."""
_ATTEMPTS_OF_ALL = 100
_WINDOW_S = 60.0
_MOST_ADDRESSES = 1000
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a browser; `csrf_token` is expected in requests that change something."""

    user: str
    csrf_token: str
    until_s: float


class TooManyAttempts(Exception):
    """Too many wrong logins; the next one is possible after `retry_after_s` seconds."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = math.ceil(retry_after_s)


class _Attempts:
    """Counts wrong logins by address, and all together: an attacker may have many addresses."""

    def __init__(self) -> None:
        self._by_address: dict[str, deque[float]] = {}
        self._all: deque[float] = deque()

    def check(self, address: str, now: float) -> None:
        """Raise TooManyAttempts if no further attempt is allowed."""
        for times, most in ((self._by_address.get(address, deque()), _ATTEMPTS), (self._all, _ATTEMPTS_OF_ALL)):
            while times and times[0] <= now - _WINDOW_S:
                times.popleft()
            if len(times) >= most:
                raise TooManyAttempts(times[0] + _WINDOW_S - now)

    def note(self, address: str, now: float) -> None:
        """Note a wrong login."""
        times = self._by_address.pop(address, deque())
        times.append(now)
        # The address of the newest attempt is the last one to be forgotten.
        self._by_address[address] = times
        while len(self._by_address) > _MOST_ADDRESSES:
            del self._by_address[next(iter(self._by_address))]
        self._all.append(now)


class Access:
    """Checks requests. With neither a token nor a user, everybody may use the server.

    `user` and `password` are for HTTP Basic and logins, `token` is a bearer token.
    """

    def __init__(
        self,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
        now: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._password = None if user is None else f"{user}:{password or ''}".encode()
        self._token = None if token is None else token.encode()
        self._now = now
        self._sessions: dict[str, Session] = {}
        self._attempts = _Attempts()
        self.on_change: Callable[[], None] = lambda: None
        """Called when a session was opened or ended."""

    @property
    def required(self) -> bool:
        """Whether requests need a login or a token."""
        return self._password is not None or self._token is not None

    @property
    def methods(self) -> list[str]:
        """The ways to log in: `password`, `token`."""
        return [name for name, each in (("password", self._password), ("token", self._token)) if each is not None]

    def login(self, address: str, user: str | None, password: str | None, token: str | None) -> tuple[str, Session]:
        """Open a session; returns the cookie's value and the session. Raises PermissionError for wrong credentials,
        TooManyAttempts."""
        name = self._checked(
            address,
            None if user is None or password is None else f"{user}:{password}".encode("utf-8", "surrogateescape"),
            None if token is None else token.encode("utf-8", "surrogateescape"),
        )
        if name is None:
            raise PermissionError
        now = self._now()
        self._sessions = {key: each for key, each in self._sessions.items() if each.until_s > now}
        while len(self._sessions) >= _MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        cookie = secrets.token_urlsafe(32)
        session = Session(user if name != TOKEN_USER and user else name, secrets.token_urlsafe(32), now + SESSION_S)
        self._sessions[cookie] = session
        self.on_change()
        return cookie, session

    @property
    def sessions(self) -> dict[str, Any]:
        """The open sessions as plain values, for another process with the same credentials."""
        now = self._now()
        sessions = {key: (each.user, each.csrf_token, each.until_s - now) for key, each in self._sessions.items()}
        return {"of": self._fingerprint, "saved_s": clock.wall(), "sessions": sessions}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Open the `sessions` of an earlier process again, unless the credentials have changed."""
        if not hmac.compare_digest(str(kept.get("of", "")), self._fingerprint):
            return
        now, age_s = self._now(), max(0.0, clock.wall() - kept["saved_s"])
        for key, (user, token, left_s) in kept["sessions"].items():
            if left_s > age_s:
                self._sessions[key] = Session(user, token, now + left_s - age_s)

    @property
    def _fingerprint(self) -> str:
        """What tells credentials apart, and does not reveal them."""
        both = (self._password or b"", self._token or b"")
        return hashlib.scrypt(b"\0".join(both), salt=b"obswarm sessions", n=1024, r=8, p=1, dklen=16).hex()

    def logout(self, cookie: str) -> None:
        """End a session."""
        if self._sessions.pop(cookie, None) is not None:
            self.on_change()

    def session(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie, None without one."""
        found = self._sessions.get(cookie or "")
        return found if found is not None and found.until_s > self._now() else None

    def allows(self, address: str, authorization: str | None) -> bool:
        """Whether the Authorization header of a request allows it. Raises TooManyAttempts."""
        if not self.required:
            return True
        if not authorization:
            return False
        scheme, _, value = authorization.partition(" ")
        credentials = value.strip().encode("utf-8", "surrogateescape")
        if scheme.lower() == "bearer":
            return self._checked(address, None, credentials) is not None
        if scheme.lower() != "basic":
            return False
        try:
            return self._checked(address, base64.b64decode(credentials, validate=True), None) is not None
        except (binascii.Error, ValueError):
            return False

    def _checked(self, address: str, password: bytes | None, token: bytes | None) -> str | None:
        """Return who has these credentials, None if they are wrong. Compared in constant time."""
        now = self._now()
        self._attempts.check(address, now)
        if password is not None and self._password is not None and hmac.compare_digest(password, self._password):
            return self._password.partition(b":")[0].decode("utf-8", "replace")
        if token is not None and self._token is not None and hmac.compare_digest(token, self._token):
            return TOKEN_USER
        self._attempts.note(address, now)
        return None


def is_own_origin(environ: Mapping[str, Any]) -> bool:
    """Whether a request is not one that a page of another origin made: browsers name the page's origin in `Origin`,
    and how it relates to the server in `Sec-Fetch-Site` (Fetch Metadata)."""
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None:
        host: str = environ.get("HTTP_HOST", "")
        return str(urlsplit(origin).netloc).lower() == host.lower()
    return environ["REQUEST_METHOD"] in SAFE_METHODS or not is_from_elsewhere(environ)


def is_from_elsewhere(environ: Mapping[str, Any]) -> bool:
    """Whether a browser says that a page of another origin made the request, or has a link to it. Programs other than
    browsers do not say it."""
    return environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("same-origin", "none")

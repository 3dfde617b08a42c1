"""The two HTTP users: HttpUser (requests' whole behaviour) and FastHttpUser (speed)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import requests

from obswarm import defaults
from obswarm.api import Environment, ObswarmError, RequestSigner, User
from obswarm.http.call import Settings, parse_max_response_bytes
from obswarm.http.head import DEFAULT_FIELDS, check_fields
from obswarm.http.pool import ConnectionPool
from obswarm.http.requests_session import HttpSession
from obswarm.http.rest import RestCalls
from obswarm.http.route import parse_proxy
from obswarm.http.session import FastHttpSession
from obswarm.http.tls import TlsSettings
from obswarm.http.urls import check_host
from obswarm.redact import redact_url


class HttpUser(User):
    """A user whose `client` is a requests.Session."""

    abstract = True
    client: HttpSession

    max_response_bytes: int | None = defaults.MAX_RESPONSE_IN_MEMORY_BYTES
    """The most that a response may have that is not streamed, on the wire and decoded; a larger one is a failure. 0 or
    None: no limit."""

    request_signer: RequestSigner | None = None
    """Signs every request to the user's host."""

    @classmethod
    def check_host(cls, host: Any) -> str:
        """Return a base URL of http or https. Raises ValueError for anything else."""
        return _checked_by_requests(check_host(host, ("http", "https")))

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.client = HttpSession(environment, _base_url(self), self)
        where = f"{type(self).__name__}.max_response_bytes"
        self.client.fast_adapter.max_response_bytes = parse_max_response_bytes(where, self.max_response_bytes)
        self.client.request_signer = self.request_signer


class FastHttpUser(User, RestCalls):
    """A user whose `client` is obswarm's own; the attributes set it up. Times are in seconds."""

    abstract = True
    client: FastHttpSession

    default_headers: ClassVar[Mapping[str, str]] = {}
    """Sent with every request, on top of User-Agent, Accept and Accept-Encoding."""

    connection_timeout: float = defaults.CONNECT_TIMEOUT_S
    network_timeout: float = defaults.NETWORK_TIMEOUT_S
    """How long nothing may come before a request fails."""

    total_timeout: float | None = None
    """How long a whole call may take, redirects included."""

    max_redirects: int = defaults.MAX_REDIRECTS

    max_response_bytes: int | None = defaults.MAX_RESPONSE_IN_MEMORY_BYTES
    """The most that a response may have that is not streamed, on the wire and decoded; a larger one is a failure. 0 or
    None: no limit."""

    insecure: bool = False
    """True accepts any TLS certificate."""

    verify: str | None = None
    """A file or folder of certificates to trust instead of the system's."""

    cert: str | tuple[str, str] | None = None
    """A client certificate: a file that holds its key as well, or both files."""

    ssl_context_factory: Any = None
    """A function that makes the ssl.SSLContext, instead of the three above."""

    proxy: str | None = None
    """The URL of an HTTP proxy, `http://user:password@proxy:3128`."""

    proxy_host: str | None = None
    proxy_port: int | None = None
    """Locust's way to say it."""

    concurrency: int = defaults.POOL_CONNECTIONS
    """Connections that a user may have open to one origin at a time."""

    client_pool: ConnectionPool | None = None
    """A pool that all users of the class share."""

    request_signer: RequestSigner | None = None
    """Signs every request to the user's host."""

    dns_ttl: float | None = None
    """For how long addresses of names are kept; None for the whole run."""

    @classmethod
    def check_host(cls, host: Any) -> str:
        """Return a base URL of http, https or http+unix. Raises ValueError for anything else."""
        return check_host(host)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        settings = _settings(type(self).__name__, _of_the_settings(self))
        self.client = FastHttpSession(environment, _base_url(self), self, settings, self.client_pool)
        self.client.request_signer = self.request_signer

    def _rest_client(self) -> FastHttpSession:
        return self.client


@lru_cache(maxsize=256)
def _checked_by_requests(host: str) -> str:
    """It has rules of its own, for international names above all."""
    try:
        requests.PreparedRequest().prepare_url(host, None)
    except ValueError:
        raise ValueError(f"{redact_url(host)!r} is not a base URL; requests takes no such host name") from None
    return host


def _base_url(user: User) -> str | None:
    """The user's host as it is now, since listeners may have changed it. Raises ObswarmError when it is no base URL."""
    host = user.environment.host or user.host
    try:
        return user.check_host(host) if host else None
    except ValueError as error:
        where = "environment.host" if user.environment.host else f"{type(user).__name__}.host"
        raise ObswarmError(f"{where}: {error}.") from None


def keeps_a_connection(user_class: type[User]) -> bool:
    """Whether every user of the class has a connection of its own, kept open from request to request."""
    if issubclass(user_class, FastHttpUser):
        return user_class.client_pool is None
    return issubclass(user_class, HttpUser)


def _of_the_settings(user: FastHttpUser) -> tuple[Any, ...]:
    """The attributes as they are now: a load-test file may set them on the class, or on the user before __init__."""
    return (
        tuple((user.default_headers or {}).items()),
        user.proxy,
        user.proxy_host,
        user.proxy_port,
        user.insecure,
        user.verify,
        user.cert,
        # From the class: on the instance a plain function would have become a method.
        type(user).ssl_context_factory,
        user.connection_timeout,
        user.network_timeout,
        user.total_timeout,
        user.max_redirects,
        user.concurrency,
        user.dns_ttl,
        user.max_response_bytes,
    )


@lru_cache(maxsize=256)
def _settings(class_name: str, attributes: tuple[Any, ...]) -> Settings:
    """One value for all users of a class. Raises ObswarmError, naming class and attribute, for what makes no sense."""
    (headers, proxy, proxy_host, proxy_port, insecure, verify, cert, factory, connect_s, read_s, total_s) = attributes[
        :11
    ]
    max_redirects, concurrency, dns_ttl, max_response_bytes = attributes[11:]
    for name, value, optional in (
        ("connection_timeout", connect_s, False),
        ("network_timeout", read_s, False),
        ("total_timeout", total_s, True),
        ("dns_ttl", dns_ttl, True),
    ):
        if not (optional and value is None) and not _is_positive(value):
            raise ObswarmError(f"{class_name}.{name} is {value!r}; it has to be a number of seconds above 0.")
    for name, value, least in (("concurrency", concurrency, 1), ("max_redirects", max_redirects, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ObswarmError(f"{class_name}.{name} is {value!r}; it has to be a whole number, {least} or more.")
    try:
        fields = check_fields(dict(headers))
    except ValueError as error:
        raise ObswarmError(f"{class_name}.default_headers: {error}.") from None
    names = {name.lower() for name in fields}
    defaulted = {name: value for name, value in DEFAULT_FIELDS.items() if name.lower() not in names}
    if proxy is None and proxy_host:
        proxy = f"http://{proxy_host}:{proxy_port or 8080}"
    return Settings(
        fields=tuple({**defaulted, **fields}.items()),
        proxy=parse_proxy(proxy) if proxy else None,
        tls=TlsSettings(False if insecure else verify or True, _as_pair(cert), factory),
        connect_timeout_s=connect_s,
        read_timeout_s=read_s,
        total_timeout_s=total_s,
        max_redirects=max_redirects,
        concurrency=concurrency,
        dns_ttl_s=dns_ttl,
        max_response_bytes=parse_max_response_bytes(f"{class_name}.max_response_bytes", max_response_bytes),
    )


def _is_positive(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and value > 0


def _as_pair(cert: Any) -> str | tuple[str, str] | None:
    return tuple(cert) if isinstance(cert, list) else cert

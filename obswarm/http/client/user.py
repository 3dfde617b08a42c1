"""FastHttpUser: a user with obswarm's own HTTP client.

The client is imported where users run: the process that shows and exports a run has their classes alone.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from obswarm import defaults
from obswarm.api import Environment, RequestSigner, User
from obswarm.http.rest import RestCalls
from obswarm.http.urls import check_host

if TYPE_CHECKING:
    from obswarm.http.client.session import FastHttpSession
    from obswarm.http.client.settings import Settings
    from obswarm.http.pool import ConnectionPool


class FastHttpUser(User, RestCalls):
    """A user whose `client` is obswarm's own; the attributes set it up. Times are in seconds."""

    abstract = True
    client: "FastHttpSession"

    default_headers: ClassVar[Mapping[str, str]] = {}
    """Headers of every request, in addition to User-Agent, Accept and Accept-Encoding."""

    connection_timeout: float = defaults.CONNECT_TIMEOUT_S
    network_timeout: float = defaults.NETWORK_TIMEOUT_S
    """The longest wait for bytes of a response, in seconds."""

    total_timeout: float | None = None
    """The longest duration of a whole call, redirects included, in seconds; None: no limit."""

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
    """The proxy in Locust's form."""

    concurrency: int = defaults.POOL_CONNECTIONS
    """Connections that a user may have open to one origin at a time."""

    client_pool: "ConnectionPool | None" = None
    """A pool that all users of the class share."""

    request_signer: RequestSigner | None = None
    """Signs every request to the user's host."""

    dns_ttl: float | None = None
    """How long resolved names are cached, in seconds; None: for the whole run."""

    @classmethod
    def check_host(cls, host: Any) -> str:
        """Return a base URL of http, https or http+unix. Raises ValueError for anything else."""
        return check_host(host)

    @classmethod
    def import_client(cls) -> None:
        from obswarm.http.client import session  # noqa: F401

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        from obswarm.http.client.settings import make_settings

        settings = make_settings(type(self).__name__, _attributes_of(self))
        self.client = self._session(settings)
        self.client.request_signer = self.request_signer

    def _session(self, settings: "Settings") -> "FastHttpSession":
        """Return a session of this user's, for `client`."""
        from obswarm.http.client.session import FastHttpSession

        return FastHttpSession(self.environment, self._checked_host(), self, settings, self.client_pool)

    def _rest_client(self) -> "FastHttpSession":
        return self.client


def session_settings(**attributes: Any) -> "Settings":
    """Return the settings of a session as of a class with these attributes, the others as FastHttpUser has them. Raises
    TypeError for an attribute that it does not have, and ObswarmError for an invalid value."""
    from obswarm.http.client.settings import make_settings

    known = {name: getattr(FastHttpUser, name) for name in FastHttpUser.__annotations__ if name != "client"}
    unknown = [name for name in attributes if name not in known]
    if unknown:
        raise TypeError(f"FastHttpSession has no {', '.join(unknown)}")
    return make_settings("FastHttpSession", _attributes_of(type("Attributes", (), {**known, **attributes})()))


def _attributes_of(user: Any) -> tuple[Any, ...]:
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

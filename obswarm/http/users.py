"""The two HTTP users: HttpUser (requests' whole behaviour) and FastHttpUser (speed)."""

from typing import ClassVar

from obswarm import defaults
from obswarm.api import Environment, User
from obswarm.http.requests_session import HttpSession
from obswarm.http.session import FastHttpSession


class HttpUser(User):
    """A user whose `client` is a requests.Session."""

    abstract = True
    client: HttpSession

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.client = HttpSession(environment, environment.host or self.host, self)


class FastHttpUser(User):
    """A user whose `client` is obswarm's own; the attributes set it up. Times are in seconds."""

    abstract = True
    client: FastHttpSession

    insecure: bool = False
    """True accepts any TLS certificate."""

    connection_timeout: float = defaults.CONNECT_TIMEOUT_S
    network_timeout: float = defaults.NETWORK_TIMEOUT_S
    max_redirects: int = defaults.MAX_REDIRECTS
    default_headers: ClassVar[dict[str, str]] = {}

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.client = FastHttpSession(
            environment,
            environment.host or self.host,
            self,
            insecure=self.insecure,
            connection_timeout=self.connection_timeout,
            network_timeout=self.network_timeout,
            max_redirects=self.max_redirects,
            default_headers=self.default_headers,
        )

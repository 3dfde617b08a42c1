"""`locust.contrib.fasthttp`: FastHttpUser, its client and its responses."""

import ssl
from typing import Any

from obswarm import http
from obswarm.api import EventHook, User
from obswarm.http import ConnectionPool, FastHttpUser, FastResponse, session_settings
from obswarm.locust.stand_in import StandIn
from obswarm.locust.util.deprecation import FastHttpLocust

ResponseContextManager = FastResponse
RestResponseContextManager = FastResponse
ErrorResponse = FastResponse
"""A request without an answer gives a FastResponse with `status_code` 0 and `error`."""

__all__ = [
    "ErrorResponse",
    "FastHttpLocust",
    "FastHttpSession",
    "FastHttpUser",
    "FastResponse",
    "ResponseContextManager",
    "RestResponseContextManager",
    "insecure_ssl_context_factory",
]


def insecure_ssl_context_factory() -> ssl.SSLContext:
    """Return a context that accepts any certificate, for `ssl_context_factory`."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class FastHttpSession(http.FastHttpSession, metaclass=StandIn):
    """A further client of a user, with the arguments that Locust's has."""

    stands_for = http.FastHttpSession

    def __init__(
        self,
        base_url: str | None,
        request_event: EventHook,
        user: User,
        insecure: bool = True,
        client_pool: ConnectionPool | None = None,
        ssl_context_factory: Any = None,
        **attributes: Any,
    ) -> None:
        """Requests are counted in the user's run, and its `request` event is fired; `request_event` can be
        no other one. `attributes` are those of FastHttpUser: connection_timeout, max_redirects … Raises TypeError
        for others."""
        settings = session_settings(insecure=insecure, ssl_context_factory=ssl_context_factory, **attributes)
        super().__init__(user.environment, base_url, user, settings, client_pool)

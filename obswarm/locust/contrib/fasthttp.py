"""`locust.contrib.fasthttp`: FastHttpUser, its client and its responses."""

from obswarm.locust.fast_clients import (
    FAILURE_EXCEPTIONS,
    ErrorResponse,
    FastHttpSession,
    FastRequest,
    FastResponse,
    LocustBadStatusCode,
    LocustUserAgent,
    ResponseContextManager,
    RestResponseContextManager,
    insecure_ssl_context_factory,
)
from obswarm.locust.fast_users import FastHttpLocust, FastHttpUser

__all__ = [
    "FAILURE_EXCEPTIONS",
    "ErrorResponse",
    "FastHttpLocust",
    "FastHttpSession",
    "FastHttpUser",
    "FastRequest",
    "FastResponse",
    "LocustBadStatusCode",
    "LocustUserAgent",
    "ResponseContextManager",
    "RestResponseContextManager",
    "insecure_ssl_context_factory",
]

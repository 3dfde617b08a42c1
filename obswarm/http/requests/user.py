"""HttpUser: a user whose client is a requests.Session, which is imported where users run."""

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from obswarm import defaults
from obswarm.api import Environment, RequestSigner, User
from obswarm.http.rest import RestCalls
from obswarm.http.urls import check_host
from obswarm.redact import redact_url

if TYPE_CHECKING:
    from obswarm.http.requests.session import HttpSession


_PLAIN_HOST = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]+)?(?:/[\w.~/-]*)?", re.ASCII)
"""Base URLs that requests accepts if `check_host` does."""


class HttpUser(User, RestCalls):
    """A user whose `client` is a requests.Session."""

    abstract = True
    client: "HttpSession"

    max_response_bytes: int | None = defaults.MAX_RESPONSE_IN_MEMORY_BYTES
    """The largest response that is not streamed, in bytes on the wire and decoded; a larger one is a failure. 0 or
    None: no limit."""

    request_signer: RequestSigner | None = None
    """Signs every request to the user's host."""

    @classmethod
    def check_host(cls, host: Any) -> str:
        """Return a base URL of http or https. Raises ValueError for anything else."""
        return _checked_by_requests(check_host(host, ("http", "https")))

    @classmethod
    def import_client(cls) -> None:
        from obswarm.http.requests import session  # noqa: F401

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        from obswarm.http.call import parse_max_response_bytes

        self.client = self._session()
        where = f"{type(self).__name__}.max_response_bytes"
        self.client.fast_adapter.max_response_bytes = parse_max_response_bytes(where, self.max_response_bytes)
        self.client.request_signer = self.request_signer

    def _session(self) -> "HttpSession":
        """Return a session of this user's, for `client`."""
        from obswarm.http.requests.session import HttpSession

        return HttpSession(self.environment, self._checked_host(), self)

    def _rest_client(self) -> "HttpSession":
        return self.client


@lru_cache(maxsize=256)
def _checked_by_requests(host: str) -> str:
    """Return the host if requests accepts it: requests has rules of its own, for international names above all."""
    if _PLAIN_HOST.fullmatch(host):
        return host
    # Only here: the process that shows a run has a host to check, and no requests to make.
    import requests

    try:
        requests.PreparedRequest().prepare_url(host, None)
    except ValueError:
        raise ValueError(f"{redact_url(host)!r} is not a base URL; requests takes no such host name") from None
    return host

"""HttpUser: a user whose client is a requests.Session."""

from functools import lru_cache
from typing import Any

import requests

from obswarm import defaults
from obswarm.api import Environment, RequestSigner, User
from obswarm.http.call import parse_max_response_bytes
from obswarm.http.requests.session import HttpSession
from obswarm.http.urls import check_host
from obswarm.redact import redact_url


class HttpUser(User):
    """A user whose `client` is a requests.Session."""

    abstract = True
    client: HttpSession

    max_response_bytes: int | None = defaults.MAX_RESPONSE_IN_MEMORY_BYTES
    """The largest response that is not streamed, in bytes on the wire and decoded; a larger one is a failure. 0 or
    None: no limit."""

    request_signer: RequestSigner | None = None
    """Signs every request to the user's host."""

    @classmethod
    def check_host(cls, host: Any) -> str:
        """Return a base URL of http or https. Raises ValueError for anything else."""
        return _checked_by_requests(check_host(host, ("http", "https")))

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.client = HttpSession(environment, self._checked_host(), self)
        where = f"{type(self).__name__}.max_response_bytes"
        self.client.fast_adapter.max_response_bytes = parse_max_response_bytes(where, self.max_response_bytes)
        self.client.request_signer = self.request_signer


@lru_cache(maxsize=256)
def _checked_by_requests(host: str) -> str:
    """Return the host if requests accepts it: requests has rules of its own, for international names above all."""
    try:
        requests.PreparedRequest().prepare_url(host, None)
    except ValueError:
        raise ValueError(f"{redact_url(host)!r} is not a base URL; requests takes no such host name") from None
    return host

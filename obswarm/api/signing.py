"""Signed requests: how a target tells load-test traffic from everybody else's, and lets it past what stops robots.

A request carries three headers: the run's id, the time in whole seconds since 1970, and the hexadecimal HMAC-SHA256
(RFC 2104) over both and the path of the request target (as on the request line, without the query), one a line. The
target has the same key, and refuses what is older than a window that it chooses.
"""

import hmac
import os
from typing import Self

from obswarm import clock
from obswarm.api.errors import ObswarmError

RUN_HEADER = "X-Obswarm-Run"
TIME_HEADER = "X-Obswarm-Time"
SIGNATURE_HEADER = "X-Obswarm-Signature"
SIGNING_HEADERS = (RUN_HEADER, TIME_HEADER, SIGNATURE_HEADER)
KEY_VARIABLE = "OBSWARM_SIGNING_KEY"
_SHORTEST_KEY = 16


class RequestSigner:
    """Signs requests with a key that the target has, too. As `request_signer` of a user class it signs every request
    to the user's host, and none to another one.

    Raises ObswarmError for a key of under 16 characters.
    """

    def __init__(self, key: str) -> None:
        if len(key) < _SHORTEST_KEY:
            raise ObswarmError(f"A signing key has at least {_SHORTEST_KEY} characters; this one has {len(key)}.")
        self._key = key.encode()

    @classmethod
    def from_environment(cls, variable: str = KEY_VARIABLE) -> Self:
        """With the key in an environment variable, which each worker's machine needs. Raises ObswarmError when it is
        not set, or no key."""
        key = os.environ.get(variable)
        if not key:
            raise ObswarmError(
                f"This load test signs its requests: set {variable} to the key that the target has (on each worker)."
            )
        try:
            return cls(key)
        except ObswarmError as error:
            raise ObswarmError(f"{variable}: {error}") from None

    def __repr__(self) -> str:
        # The key is for nobody's log.
        return f"{type(self).__name__}(…)"

    def headers(self, path: str, run_id: str) -> dict[str, str]:
        """Return the headers for a request that is sent now. `path` is percent-encoded, as it is sent."""
        seconds = str(int(clock.wall()))
        message = "\n".join((run_id, seconds, path)).encode()
        signature = hmac.digest(self._key, message, "sha256").hex()
        return {RUN_HEADER: run_id, TIME_HEADER: seconds, SIGNATURE_HEADER: signature}

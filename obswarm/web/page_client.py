"""HTTP client of the REST API of a run's server."""

from collections.abc import Mapping
from typing import Any

import requests

from obswarm.api import ObswarmError
from obswarm.http import ApiAccess, ApiSession, ApiTarget, failure_of, quoted, trouble_of
from obswarm.http.api_client.access import Naming

_TIMEOUT_S = 30.0
"""A start waits until the run exists."""
_LONGEST_S = 60.0
_LARGEST_ANSWER_BYTES = 64 * 1024 * 1024
_PREFIX = "/api/v1"


class Unreachable(ObswarmError):
    """The server does not respond."""


class PageClient:
    """A client of the API at `url`; `naming` names the options that set the fields of `access`. Methods raise
    ObswarmError, and Unreachable if there is no response."""

    def __init__(self, url: str, access: ApiAccess, naming: Naming) -> None:
        self.url = url.rstrip("/")
        self._target = ApiTarget(self.url, access, naming)
        self._session = ApiSession(_LARGEST_ANSWER_BYTES, _LONGEST_S, access=access)

    def get(self, path: str) -> dict[str, Any]:
        """Return the document at a path below /api/v1."""
        return self._request("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Give a command; returns the document of the response."""
        return self._request("POST", path, body)

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        try:
            answer = self._session.request(method, f"{self.url}{_PREFIX}{path}", json=body, timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            reason = failure_of(error, self._target, _TIMEOUT_S).reason
            raise Unreachable(f"No server responds at {self.url}: {reason}. Start a run, or set --url.") from None
        try:
            document = answer.json()
        except (ValueError, RecursionError):
            document = None
        if answer.ok and isinstance(document, dict):
            return document
        if isinstance(document, dict) and isinstance(document.get("detail"), str):
            if answer.status_code == 401:
                raise ObswarmError(f"{self.url} needs a login: set --auth or --token-file.")
            raise ObswarmError(document["detail"])
        failure = trouble_of(answer, self._target, "has no REST API at that path")
        text = failure.text if failure is not None else f"is not that of a run: {quoted(answer)}"
        raise ObswarmError(f"The server at {self.url} {text}. Set --url to the address of a run.")

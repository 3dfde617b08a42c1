"""Keys by which requests are counted: endpoint and status class."""

from typing import NamedTuple

from obswarm.killed import put_off
from obswarm.sanitize import clean_text

NO_RESPONSE = "error"
"""Status class of a request without a response: refused, reset, timed out."""

NO_STATUS = "other"
"""Status class of a request of a protocol that has no HTTP status."""

STATUS_CLASSES: dict[int | None, str] = {0: NO_RESPONSE, None: NO_STATUS}
STATUS_CLASSES.update((code, f"{code // 100}xx") for code in range(100, 600))
"""Status class by status code; any other code is NO_STATUS."""

ALL_STATUS_CLASSES = frozenset(STATUS_CLASSES.values())


def status_class(status_code: int | None) -> str:
    """Return `2xx` for 204 and so on; `error` for 0 (no response), `other` for None and codes outside HTTP's range."""
    try:
        return STATUS_CLASSES.get(status_code, NO_STATUS)
    except BaseException as error:
        # An object that is not hashable.
        put_off(error)
        return NO_STATUS


class EndpointKey(NamedTuple):
    method: str
    name: str

    @property
    def label(self) -> str:
        """Method and name as one text for display."""
        return f"{self.method} {self.name}".strip()


NO_NAME = "(none)"
"""Replaces a method or a name that was not given."""


def endpoint_key(method: object, name: object) -> EndpointKey:
    """Return the key under which a request is counted; any objects become clean, bounded text."""
    return EndpointKey(clean_text(method), clean_text(name))


OTHER = EndpointKey("", "(other)")
"""The endpoint of requests beyond a run's limit of endpoints."""

TOTAL = EndpointKey("", "Aggregated")

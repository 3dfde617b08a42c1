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


NO_FREE_USER = "no_free_user"
"""All users were busy, and their maximum number was reached."""

GENERATOR_BEHIND = "generator_behind"
"""The process was so late that the iterations would have been a burst."""

USER_FAILED = "user_failed"
"""The user for the iteration could not be created, or ended before it."""

RUN_STOPPED = "run_stopped"
"""The run stopped before the user for the iteration was ready."""

PACING = "pacing"
"""In the closed model: users with constant pacing were still busy with the iteration before."""

WORKER_LOST = "worker_lost"
"""The share of a worker that died, from its last report until others took it over: not started, or not reported."""

DROP_REASONS = (NO_FREE_USER, GENERATOR_BEHIND, USER_FAILED, RUN_STOPPED, PACING, WORKER_LOST)
"""Why an iteration that was planned was not started."""


class EndpointKey(NamedTuple):
    method: str
    name: str
    scenario: str = ""
    """Name of the scenario whose users make the requests; empty outside of scenarios."""

    @property
    def label(self) -> str:
        """Method, name and scenario as one text for display."""
        return f"{self.method} {self.full_name}".strip()

    @property
    def full_name(self) -> str:
        """Name and scenario as one text, where there is no room for another column."""
        return f"{self.name} ({self.scenario})" if self.scenario else self.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Method and name, and the scenario if there is one."""
        return self if self.scenario else self[:2]

    @property
    def document(self) -> dict[str, str]:
        """The same by name, for JSON."""
        return dict(zip(self._fields, self.labels, strict=False))


NO_NAME = "(none)"
"""Replaces a method or a name that was not given."""


def endpoint_key(method: object, name: object, scenario: str = "") -> EndpointKey:
    """Return the key under which a request is counted; any objects become clean, bounded text."""
    return EndpointKey(clean_text(method), clean_text(name), scenario)


OTHER = EndpointKey("", "(other)")
"""The endpoint of requests beyond a run's limit of endpoints."""

TOTAL = EndpointKey("", "Aggregated")

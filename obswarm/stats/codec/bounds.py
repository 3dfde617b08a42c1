"""Limits of the statistics that a peer may send."""

from collections.abc import Iterable
from dataclasses import dataclass

from obswarm import defaults
from obswarm.sanitize import clean_text

MOST_PROCESSES = 4_096
"""Largest number of worker processes of one peer, which is a relay."""


class OutOfBounds(ValueError):
    """A peer reports an impossible value. The message completes a sentence that begins with the peer's name."""


@dataclass(frozen=True, slots=True)
class TableBounds:
    """Limits of the statistics of a peer in one run. `user_classes` is None when the classes are unknown."""

    max_endpoints: int = defaults.MAX_ENDPOINTS
    max_errors: int = defaults.MAX_ERRORS
    user_classes: frozenset[str] | None = None

    @property
    def max_items(self) -> int:
        """Largest number of MessagePack items in a delta: 5,000 for each endpoint, for the histograms of all phases and
        of response times from the intended start. Buckets of the load test's own histograms, which may be in every
        series, are in addition."""
        return 50_000 + 5_000 * self.max_endpoints + 5_000 * defaults.MAX_CUSTOM_SERIES

    def check_classes(self, names: Iterable[str]) -> None:
        """Raise OutOfBounds for a user class that the run does not have."""
        unknown = set(names) - self.user_classes if self.user_classes is not None else set()
        if unknown:
            raise OutOfBounds(f"it has users of the class {clean_text(min(unknown), 80)}, which this run does not have")

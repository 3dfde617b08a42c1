"""Limits of what a peer's statistics may hold."""

from collections.abc import Iterable
from dataclasses import dataclass

from obswarm import defaults
from obswarm.sanitize import clean_text

MOST_PROCESSES = 4_096
"""Of a peer: a relay has as many workers at most."""


class NotBelieved(ValueError):
    """A peer reports something impossible. The text is the end of a sentence about it."""


@dataclass(frozen=True, slots=True)
class TableBounds:
    """What a peer may report in a run. `user_classes` None: classes are not known."""

    max_endpoints: int = defaults.MAX_ENDPOINTS
    max_errors: int = defaults.MAX_ERRORS
    user_classes: frozenset[str] | None = None

    @property
    def most_items(self) -> int:
        """Of MessagePack, in statistics: five thousand an endpoint, for histograms of all phases and of response times
        from the intended start."""
        return 50_000 + 5_000 * self.max_endpoints

    def check_classes(self, names: Iterable[str]) -> None:
        """Raises NotBelieved for the name of a class that the run does not have."""
        unknown = set(names) - self.user_classes if self.user_classes is not None else set()
        if unknown:
            raise NotBelieved(f"it has users of the class {clean_text(min(unknown), 80)}, which this run has not")

"""Limits for the change of a measure between two runs, for `obswarm compare --fail-on`."""

import re
from dataclasses import dataclass

from obswarm.errors import ObswarmError
from obswarm.report.compare import MEASURE_NAMES, Comparison, Difference
from obswarm.stats import TOTAL, EndpointKey

_LIMIT = re.compile(r'(\w+)\s*(?:\{\s*name\s*=\s*"([^"]*)"\s*\})?\s*([<>])\s*([+-]?\d+(?:\.\d+)?)\s*%')


@dataclass(frozen=True, slots=True)
class ChangeLimit:
    """The limit of a measure's change, of all endpoints together or of those with a name; `change` is relative."""

    text: str
    measure: str
    name: str | None
    above: bool
    change: float

    def broken(self, found: Comparison) -> list[tuple[EndpointKey, Difference]]:
        """Return the endpoints whose measure has changed by more than the limit, significantly."""
        pairs = [(key, found.get(key, self.measure)) for key in self._keys(found)]
        return [(key, each) for key, each in pairs if each is not None and self._is_broken(each)]

    def inconclusive(self, found: Comparison) -> list[str]:
        """Return the reasons why the limit cannot be checked, by endpoint."""
        keys = self._keys(found)
        if not keys:
            return [f"the runs do not have the endpoint {self.name} in common"]
        return [f"{key.label}: {why}" for key, why in found.inconclusive() if key in keys]

    def _keys(self, found: Comparison) -> list[EndpointKey]:
        if self.name is None:
            return [TOTAL]
        return [key for key in found.endpoints if key.name == self.name and key != TOTAL]

    def _is_broken(self, difference: Difference) -> bool:
        change = difference.change.change
        if change is None or not difference.is_significant:
            return False
        return change > self.change if self.above else change < self.change


def parse_change_limit(text: str) -> ChangeLimit:
    """Return the limit of a text such as `p95 > +10%` or `p95{name="/login"} > +10%`. Raises ObswarmError."""
    parts = _LIMIT.fullmatch(text.strip())
    if parts is None or parts[1] not in MEASURE_NAMES:
        raise ObswarmError(
            f"{text!r} is not a valid limit: write it like 'p95 > +10%' or 'p95{{name=\"/login\"}} > +10%';"
            f" measures are {', '.join(MEASURE_NAMES)}."
        )
    return ChangeLimit(text, parts[1].replace("_", " "), parts[2], parts[3] == ">", float(parts[4]) / 100)

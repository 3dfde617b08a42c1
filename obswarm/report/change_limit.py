"""Limits for the change of a measure between two runs, for `obswarm compare --fail-on`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from obswarm.errors import ObswarmError
from obswarm.nearest import nearest_names
from obswarm.record import RunRecord
from obswarm.report.compare import MEASURE_NAMES, Comparison, Difference
from obswarm.stats import TOTAL, CustomKey
from obswarm.units import format_names

_LABEL = r'\w+\s*=\s*"[^"]*"'
_LIMIT = re.compile(rf"(\w+)\s*(?:\{{\s*({_LABEL}(?:\s*,\s*{_LABEL})*)\s*\}})?\s*([<>])\s*([+-]?\d+(?:\.\d+)?)\s*%")
_OF_LABELS = re.compile(r'(\w+)\s*=\s*"([^"]*)"')
_NO_INTENDED = "not both runs have response times from the intended start"


@dataclass(frozen=True, slots=True)
class ChangeLimit:
    """The limit of a relative `change`: of a measure, for all endpoints together or those with the label `name`; or of
    a metric of the load test, for all its series with these labels."""

    text: str
    measure: str
    above: bool
    change: float
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def _is_measure(self) -> bool:
        return self.measure in MEASURE_NAMES

    def check(self, *records: RunRecord) -> None:
        """Raise ObswarmError if the limit is about a metric that none of these runs has."""
        names = sorted({key.name for record in records for key in record.custom})
        if self._is_measure or self.measure in names:
            return
        near = nearest_names(self.measure, (*MEASURE_NAMES, *names), 1)
        metrics = f"; metrics of the load test are {format_names(names)}" if names else ""
        raise ObswarmError(
            f"--fail-on {self.text!r}: there is no {self.measure} in these runs; measures are"
            f" {', '.join(MEASURE_NAMES)}{metrics}.{f' Did you mean {near[0]}?' if near else ''}"
        )

    def broken(self, found: Comparison) -> list[tuple[str, Difference]]:
        """Return the endpoints or metrics that have changed by more than the limit, significantly."""
        return [
            (name, each) for name, each, _ in self._differences(found) if each is not None and self._is_broken(each)
        ]

    def inconclusive(self, found: Comparison) -> list[str]:
        """Return the reasons why the limit cannot be checked, by endpoint or metric."""
        differences = self._differences(found)
        if not differences:
            name = self.labels.get("name") if self._is_measure else None
            own = self.text[: self.text.rindex(">" if self.above else "<")].strip()
            what = f"endpoint {name}" if name is not None else f"metric {own}"
            return [f"the runs do not have the {what} in common"]
        return [f"{name}: {why}" for name, _, why in differences if why]

    def _differences(self, found: Comparison) -> list[tuple[str, Difference | None, str]]:
        """Return (name, difference, reason without a verdict) of what the limit is about."""
        if not self._is_measure:
            series = [(key, each) for (key, _), each in found.custom.items() if self._selects(key)]
            return [(key.label, each, each.inconclusive) for key, each in series]
        name = self.labels.get("name")
        keys = [TOTAL] if name is None else [key for key in found.endpoints if key.name == name and key != TOTAL]
        reasons = dict(found.inconclusive())
        differences = [(key, found.get(key, self.measure.replace("_", " "))) for key in keys]
        return [
            (key.label, each, reasons.get(key, "" if each is not None else _NO_INTENDED)) for key, each in differences
        ]

    def _selects(self, key: CustomKey) -> bool:
        labels = dict(key.labels)
        return key.name == self.measure and all(labels.get(name) == value for name, value in self.labels.items())

    def _is_broken(self, difference: Difference) -> bool:
        change = difference.change.change
        if change is None or not difference.is_significant:
            return False
        return change > self.change if self.above else change < self.change


def parse_change_limit(text: str) -> ChangeLimit:
    """Return the limit of a text such as `p95 > +10%`, `p95{name="/login"} > +10%` or `cart_size < -10%`. Raises
    ObswarmError."""
    parts = _LIMIT.fullmatch(text.strip())
    labels = {} if parts is None or parts[2] is None else dict(_OF_LABELS.findall(parts[2]))
    if parts is None or (parts[1] in MEASURE_NAMES and labels.keys() - {"name"}):
        raise ObswarmError(
            f"{text!r} is not a valid limit: write it like 'p95 > +10%' or 'p95{{name=\"/login\"}} > +10%';"
            f" measures are {', '.join(MEASURE_NAMES)} and the load test's own metrics."
        )
    return ChangeLimit(text, parts[1], parts[3] == ">", float(parts[4]) / 100, labels)

"""Metrics of a load test's own: counters, gauges and histograms, which are counted over the whole fleet.

from obswarm import metrics

cart_size = metrics.histogram("cart_size", unit="items")

class Shopper(FastHttpUser):
    @task
    def checkout(self):
        cart_size.record(len(self.cart))
"""

import math
import re
from collections.abc import Sequence
from typing import TypeVar

from obswarm import clock, defaults
from obswarm.api.errors import ObswarmError
from obswarm.sanitize import clean_text
from obswarm.stats.custom import LARGEST, RECORDED, CustomKey, CustomKind, CustomStats, is_custom_name, reserved_suffix

_UNIT = re.compile(r"[a-zA-Z%][a-zA-Z0-9_%/ ]{0,19}")
_MOST_LABELS = 5
_RESERVED_LABELS = ("le", "quantile", "instance", "job")
"""Labels that Prometheus adds itself."""
_declared: dict[str, "CustomMetric"] = {}


class CustomMetric:
    """A metric of a load test's own; made by `counter`, `gauge` and `histogram`."""

    kind: CustomKind

    def __init__(self, name: str, unit: str, labels: tuple[str, ...]) -> None:
        self.name = name
        self.unit = unit
        self.labels = labels
        self._keys: dict[tuple[str, ...], CustomKey] = {}
        """Keys of the series by the values of their labels, as they were given."""

    def __repr__(self) -> str:
        return f"metrics.{self.kind}({self.name!r})"

    def _series(self, labels: dict[str, object]) -> CustomStats:
        if len(labels) != len(self.labels) or any(name not in labels for name in self.labels):
            given = ", ".join(labels) or "none"
            raise ValueError(f"{self} has the labels {', '.join(self.labels) or '(none)'}; given: {given}.")
        values = tuple(str(labels[name]) for name in self.labels)
        key = self._keys.get(values)
        if key is None:
            pairs = tuple((name, clean_text(value)) for name, value in zip(self.labels, values, strict=True))
            key = CustomKey(self.name, self.kind, self.unit, pairs)
            if len(self._keys) < defaults.MAX_CUSTOM_SERIES:
                self._keys[values] = key
        return RECORDED.series(key)

    def _number(self, value: float) -> float:
        """Return a value as a finite float. Raises ValueError or TypeError for anything else."""
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise TypeError(f"{self} takes numbers, not {clean_text(repr(value), 80)}.") from None
        if not math.isfinite(number):
            raise ValueError(f"{self} takes finite numbers, not {number}.")
        return number

    def _positive(self, value: float) -> float:
        number = self._number(value)
        if not 0 <= number <= LARGEST:
            raise ValueError(f"{self} takes numbers from 0 to {LARGEST:g}, not {number:g}.")
        return number


class CustomCounter(CustomMetric):
    """Adds up amounts: orders, bytes, coupons used."""

    kind = CustomKind.COUNTER

    def add(self, amount: float = 1.0, /, **labels: object) -> None:
        """Add an amount of 0 or more. Raises ValueError for a negative one, and for labels that were not declared;
        TypeError for what is not a number."""
        number = self._positive(amount)
        self._series(labels).add(number)


class CustomGauge(CustomMetric):
    """Has a present value, such as the length of a queue: the one that was set last by any user of the fleet."""

    kind = CustomKind.GAUGE

    def set(self, value: float, /, **labels: object) -> None:
        """Set the value. Raises ValueError if it is not finite, and for labels that were not declared; TypeError for
        what is not a number."""
        number = self._number(value)
        self._series(labels).set(number, clock.wall())


class CustomHistogram(CustomMetric):
    """Has the distribution of values of 0 or more, such as sizes or durations: mean, extremes, percentiles."""

    kind = CustomKind.HISTOGRAM

    def record(self, value: float, /, **labels: object) -> None:
        """Record a value of 0 or more. Raises ValueError for a negative one, and for labels that were not declared;
        TypeError for what is not a number."""
        number = self._positive(value)
        self._series(labels).record(number)


def declared() -> dict[str, tuple[CustomKind, tuple[str, ...]]]:
    """Return kind and labels of the metrics that were declared in this process, by name."""
    return {name: (metric.kind, metric.labels) for name, metric in _declared.items()}


Declared = TypeVar("Declared", bound=CustomMetric)


def counter(name: str, *, unit: str = "", labels: Sequence[str] = ()) -> CustomCounter:
    """Declare a counter, at the top of a load-test file. `unit` is shown beside its values; `labels` are names of
    labels, whose values are arguments of `add`: `orders.add(2, tier="gold")`.

    Raises ObswarmError for a name, unit or label that no output could show, for too many metrics, and for a name that
    has been declared differently.
    """
    return _declare(CustomCounter, name, unit, labels)


def gauge(name: str, *, unit: str = "", labels: Sequence[str] = ()) -> CustomGauge:
    """Declare a gauge; see `counter`."""
    return _declare(CustomGauge, name, unit, labels)


def histogram(name: str, *, unit: str = "", labels: Sequence[str] = ()) -> CustomHistogram:
    """Declare a histogram; see `counter`."""
    return _declare(CustomHistogram, name, unit, labels)


def _checked_suffix(name: str) -> str:
    suffix = reserved_suffix(name)
    if suffix is not None:
        raise ObswarmError(
            f"The name of the metric {name} ends with {suffix}, which Prometheus' formats add themselves."
        )
    return name


def _declare(kind: type[Declared], name: str, unit: str, labels: Sequence[str]) -> Declared:
    made = kind(
        _checked_suffix(_checked_name("metric", name)), _checked_unit(name, unit), _checked_labels(name, labels)
    )
    known = _declared.get(name)
    if known is None:
        if len(_declared) >= defaults.MAX_CUSTOM_METRICS:
            raise ObswarmError(
                f"The load test declares more than {defaults.MAX_CUSTOM_METRICS} metrics; {name} is one too many."
                " Declare one metric with a label instead of many metrics."
            )
        _declared[name] = made
        return made
    if type(known) is not kind or (known.unit, known.labels) != (made.unit, made.labels):
        raise ObswarmError(
            f"The metric {name} is declared twice, as {_described(known)} and as {_described(made)}. Use another name."
        )
    return known


def _described(metric: CustomMetric) -> str:
    unit = f" in {metric.unit}" if metric.unit else ""
    labels = f" with the labels {', '.join(metric.labels)}" if metric.labels else ""
    return f"a {metric.kind}{unit}{labels}"


def _checked_name(what: str, name: object) -> str:
    if not isinstance(name, str) or not is_custom_name(name):
        raise ObswarmError(
            f"{clean_text(repr(name), 80)} is not a name of a {what}: up to {defaults.MAX_METRIC_NAME_LENGTH} letters,"
            " digits and underscores, the first one no digit."
        )
    return name


def _checked_unit(name: str, unit: object) -> str:
    if unit == "":
        return ""
    if not isinstance(unit, str) or _UNIT.fullmatch(unit) is None:
        raise ObswarmError(
            f"The unit {clean_text(repr(unit), 80)} of the metric {name} is not a unit: up to 20 letters, digits,"
            " spaces and _ / %, as in items, bytes or %."
        )
    return unit


def _checked_labels(name: str, labels: Sequence[str]) -> tuple[str, ...]:
    if isinstance(labels, str):
        raise ObswarmError(f"The labels of the metric {name} are a text; write labels=({labels!r},).")
    checked = tuple(_checked_name("label", label) for label in labels)
    for label in checked:
        if label in _RESERVED_LABELS or label.startswith("__"):
            raise ObswarmError(f"The metric {name} cannot have the label {label}, which is reserved.")
    if len(set(checked)) < len(checked):
        raise ObswarmError(f"A label of the metric {name} is given twice.")
    if len(checked) > _MOST_LABELS:
        raise ObswarmError(f"The metric {name} has {len(checked)} labels; at most {_MOST_LABELS} are possible.")
    return checked

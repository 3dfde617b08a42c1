"""Values of expressions, and the arithmetic of Prometheus' aggregations."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from obswarm.targets.evaluate.syntax import NAME
from obswarm.targets.source import Sample, SourceError

Vector = list[Sample]
Value = float | Vector
Key = tuple[tuple[str, str], ...]


def key_of(labels: Mapping[str, str]) -> Key:
    return tuple(sorted(labels.items()))


def without(labels: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    return {name: text for name, text in labels.items() if name not in names}


def only(labels: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    return {name: text for name, text in labels.items() if name in names}


def unnamed(labels: Mapping[str, str]) -> dict[str, str]:
    """Remove the metric name, which a calculated value does not keep."""
    return without(labels, (NAME,))


def vector_of(value: Value) -> Vector:
    return [Sample({}, value)] if isinstance(value, float) else value


def checked(vector: Vector) -> Vector:
    """Raise SourceError if two series have the same labels."""
    if len({key_of(sample.labels) for sample in vector}) < len(vector):
        raise SourceError("the query returns several series with the same labels")
    return vector


@dataclass(slots=True)
class Total:
    """A compensated sum (Neumaier's variant of Kahan summation)."""

    total: float = 0.0
    lost: float = 0.0

    def add(self, value: float) -> None:
        after = self.total + value
        if math.isinf(after):
            self.lost = 0.0
        elif abs(self.total) >= abs(value):
            self.lost += (self.total - after) + value
        else:
            self.lost += (value - after) + self.total
        self.total = after

    @property
    def value(self) -> float:
        return self.total if math.isinf(self.total) else self.total + self.lost


def total_of(values: Iterable[float]) -> float:
    total = Total()
    for value in values:
        total.add(value)
    return total.value


def mean_of(values: Iterable[float]) -> float:
    """Return the mean: sum divided by count, or incrementally once the sum would overflow."""
    total, mean = Total(), None
    count = 0
    for value in values:
        count += 1
        if mean is None:
            before = (total.total, total.lost)
            total.add(value)
            if count == 1 or not math.isinf(total.total):
                continue
            mean = Total(*(part / (count - 1) for part in before))
        share = (count - 1) / count
        mean = Total(mean.total * share, mean.lost * share)
        mean.add(value / count)
    return total.value / count if mean is None else mean.value


def variance_of(values: Iterable[float]) -> float:
    """Return the population variance, by Welford's method."""
    mean, squares = Total(), Total()
    count = 0
    for value in values:
        count += 1
        away = value - mean.value
        mean.add(away / count)
        squares.add(away * (value - mean.value))
    return squares.value / count


def deviation_of(values: Iterable[float]) -> float:
    variance = variance_of(values)
    return math.sqrt(variance) if variance >= 0 else math.nan


def largest(values: Iterable[float]) -> float:
    """Return the largest value; NaN only if all values are NaN."""
    found = math.nan
    for value in values:
        if value > found or math.isnan(found):
            found = value
    return found


def smallest(values: Iterable[float]) -> float:
    """Return the smallest value; NaN only if all values are NaN."""
    return -largest(-value for value in values)


def ascending(value: float) -> tuple[bool, float]:
    """Sort key; NaN comes first."""
    return (False, 0.0) if math.isnan(value) else (True, value)


def quantile_of(q: float, values: Collection[float]) -> float:
    """Return the quantile, interpolated between the two closest values."""
    if not values or math.isnan(q):
        return math.nan
    if not 0 <= q <= 1:
        return math.copysign(math.inf, q)
    in_order = sorted(values, key=ascending)
    rank = q * (len(in_order) - 1)
    below = int(rank)
    weight = rank - below
    above = min(len(in_order) - 1, below + 1)
    return in_order[below] * (1 - weight) + in_order[above] * weight

"""Aggregations over series, https://prometheus.io/docs/prometheus/latest/querying/operators/#aggregation-operators."""

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from obswarm.targets.evaluate.syntax import NAME
from obswarm.targets.evaluate.values import (
    Key,
    Vector,
    ascending,
    deviation_of,
    key_of,
    largest,
    mean_of,
    only,
    quantile_of,
    smallest,
    total_of,
    variance_of,
    without,
)
from obswarm.targets.source import Sample, SourceError

_OF_VALUES: dict[str, Callable[[list[float]], float]] = {
    "avg": mean_of,
    "count": lambda values: float(len(values)),
    "group": lambda _: 1.0,
    "max": largest,
    "min": smallest,
    "stddev": deviation_of,
    "stdvar": variance_of,
    "sum": total_of,
}
_LARGEST_INTEGER = 2.0**63

AGGREGATIONS = frozenset({*_OF_VALUES, "bottomk", "count_values", "quantile", "topk"})


def aggregated(operator: str, modifier: Any, parameter: float | str | None, vector: Vector) -> Vector:
    """Apply an aggregation operator. `parameter` is the number of topk, the q of quantile, or the label of
    count_values. Raises SourceError for an invalid number."""
    if not vector:
        return []
    groups: dict[Key, Vector] = {}
    for sample in vector:
        groups.setdefault(_group_of(modifier, sample.labels), []).append(sample)
    if operator in ("topk", "bottomk"):
        assert isinstance(parameter, float)
        number = _number(operator, parameter)
        return [sample for group in groups.values() for sample in _first(number, operator == "topk", group)]
    if operator == "count_values":
        assert isinstance(parameter, str)
        return _count_values(parameter, modifier, vector)
    if operator == "quantile":
        assert isinstance(parameter, float)
        return [
            Sample(dict(key), quantile_of(parameter, [sample.value for sample in group]))
            for key, group in groups.items()
        ]
    combine = _OF_VALUES[operator]
    return [Sample(dict(key), combine([sample.value for sample in group])) for key, group in groups.items()]


def _group_of(modifier: Any, labels: Mapping[str, str], always: tuple[str, ...] = ()) -> Key:
    """Return the grouping labels. `always` are grouping labels without being named in by()."""
    if modifier is None or str(modifier.type).rpartition(".")[2].lower() == "by":
        return key_of(only(labels, (*always, *(modifier.labels if modifier is not None else ()))))
    return key_of(without(labels, (NAME, *modifier.labels)))


def _number(operator: str, parameter: float) -> int:
    if not abs(parameter) < _LARGEST_INTEGER:
        raise SourceError(f"{operator}() cannot select {parameter} series")
    return max(0, int(parameter))


def _first(number: int, is_top: bool, group: Vector) -> Vector:
    """Return the first `number` series by value; NaN comes last, equal values keep their order."""
    sign = 1 if is_top else -1
    return sorted(group, key=lambda sample: ascending(sign * sample.value), reverse=True)[:number]


def _count_values(label: str, modifier: Any, vector: Vector) -> Vector:
    counts: dict[Key, float] = {}
    for sample in vector:
        key = _group_of(modifier, {**sample.labels, label: _text(sample.value)}, (label,))
        counts[key] = counts.get(key, 0.0) + 1
    return [Sample(dict(key), count) for key, count in counts.items()]


def _text(value: float) -> str:
    """Format a value as Go does: the shortest exact decimal, without an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")

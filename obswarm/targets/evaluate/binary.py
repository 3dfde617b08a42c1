"""Binary operators, https://prometheus.io/docs/prometheus/latest/querying/operators/."""

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from obswarm.targets.evaluate.syntax import NAME
from obswarm.targets.evaluate.values import Key, Value, Vector, key_of, only, unnamed, vector_of, without
from obswarm.targets.source import Sample, SourceError


def _divide(a: float, b: float) -> float:
    if b:
        return a / b
    return math.nan if a == 0 or math.isnan(a) or math.isnan(b) else math.copysign(math.inf, a) * math.copysign(1, b)


def _modulo(a: float, b: float) -> float:
    return math.nan if b == 0 or math.isinf(a) else math.fmod(a, b)


def _power(a: float, b: float) -> float:
    is_odd = math.isfinite(b) and math.fmod(b, 2) in (1, -1)
    if a == 0 and b < 0:
        return math.copysign(math.inf, a) if is_odd else math.inf
    try:
        return math.pow(a, b)
    except ValueError:
        return math.nan
    except OverflowError:
        return -math.inf if a < 0 and is_odd else math.inf


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "%": _modulo,
    "^": _power,
    "atan2": math.atan2,
}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


def combined(symbol: str, modifier: Any, left: Value, right: Value) -> Value:
    """Evaluate a binary expression. Raises SourceError if the vector matching is ambiguous."""
    returns_bool = modifier is not None and modifier.return_bool
    if isinstance(left, float) and isinstance(right, float):
        if symbol in _COMPARISONS:
            return float(_COMPARISONS[symbol](left, right))
        return _ARITHMETIC[symbol](left, right)
    if symbol in ("and", "or", "unless"):
        return _set_operation(symbol, _Matching(modifier), vector_of(left), vector_of(right))
    if isinstance(left, float):
        return _with_number(symbol, returns_bool, vector_of(right), lambda value: (left, value))
    if isinstance(right, float):
        return _with_number(symbol, returns_bool, left, lambda value: (value, right))
    return _between_vectors(symbol, returns_bool, _Matching(modifier), left, right)


def _result(symbol: str, returns_bool: bool, left: float, right: float, original: float) -> float | None:
    """Return the value of the operation; `original` for a comparison that is true, None for one that is false."""
    if symbol in _ARITHMETIC:
        return _ARITHMETIC[symbol](left, right)
    holds = _COMPARISONS[symbol](left, right)
    if returns_bool:
        return float(holds)
    return original if holds else None


def _with_number(
    symbol: str, returns_bool: bool, vector: Vector, sides: Callable[[float], tuple[float, float]]
) -> Vector:
    found = []
    for sample in vector:
        value = _result(symbol, returns_bool, *sides(sample.value), sample.value)
        if value is not None:
            keeps_name = symbol in _COMPARISONS and not returns_bool
            found.append(Sample(sample.labels if keeps_name else unnamed(sample.labels), value))
    return found


class _Matching:
    """Vector matching by on() or ignoring()."""

    def __init__(self, modifier: Any) -> None:
        labels = modifier.matching if modifier is not None else None
        self.is_on = labels is not None and str(labels.type).rpartition(".")[2] == "Include"
        self.names = tuple(labels.labels) if labels is not None else ()
        card = str(modifier.card).rpartition(".")[2] if modifier is not None else ""
        self.is_grouped = card in ("ManyToOne", "OneToMany")
        self.is_right_many = card == "OneToMany"
        self.included = tuple(modifier.group_labels or ()) if self.is_grouped else ()

    def key(self, labels: Mapping[str, str]) -> Key:
        return key_of(only(labels, self.names) if self.is_on else without(labels, (NAME, *self.names)))

    def labels(self, many: Mapping[str, str], one: Mapping[str, str], keeps_name: bool) -> dict[str, str]:
        """Return the labels of the result."""
        found = dict(many) if keeps_name else unnamed(many)
        if not self.is_grouped:
            return only(found, self.names) if self.is_on else without(found, self.names)
        found = without(found, self.included)
        found.update(only(one, self.included))
        return found


def _set_operation(symbol: str, matching: _Matching, left: Vector, right: Vector) -> Vector:
    def keys(vector: Iterable[Sample]) -> set[Key]:
        return {matching.key(sample.labels) for sample in vector}

    if symbol == "or":
        present = keys(left)
        return left + [sample for sample in right if matching.key(sample.labels) not in present]
    present = keys(right)
    return [sample for sample in left if (matching.key(sample.labels) in present) == (symbol == "and")]


def _between_vectors(symbol: str, returns_bool: bool, matching: _Matching, left: Vector, right: Vector) -> Vector:
    if not left or not right:
        return []
    many, one = (right, left) if matching.is_right_many else (left, right)
    others: dict[Key, Sample] = {}
    for sample in one:
        if others.setdefault(matching.key(sample.labels), sample) is not sample:
            raise SourceError(
                f"{symbol}: several series on the {'left' if matching.is_right_many else 'right'} have the same"
                " matching labels"
            )
    found: dict[Key, Sample] = {}
    matched: set[Key] = set()
    for sample in many:
        key = matching.key(sample.labels)
        other = others.get(key)
        if other is None:
            continue
        a, b = (other, sample) if matching.is_right_many else (sample, other)
        value = _result(symbol, returns_bool, a.value, b.value, a.value)
        if value is None:
            continue
        keeps_name = symbol in _COMPARISONS and not returns_bool
        result = Sample(matching.labels(sample.labels, other.labels, keeps_name), value)
        if not matching.is_grouped and key in matched:
            raise SourceError(f"{symbol}: several series on the left match one on the right; use group_left()")
        matched.add(key)
        if found.setdefault(key_of(result.labels), result) is not result:
            raise SourceError(f"{symbol}: several results have the same labels")
    return list(found.values())

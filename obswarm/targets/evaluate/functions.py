"""Functions of scalars and instant vectors, https://prometheus.io/docs/prometheus/latest/querying/functions/."""

import math
from collections.abc import Callable, Sequence

from obswarm.targets.evaluate.histograms import histogram_quantile
from obswarm.targets.evaluate.values import Value, Vector, ascending, unnamed, vector_of
from obswarm.targets.source import Sample


def _or_nan(function: Callable[[float], float]) -> Callable[[float], float]:
    """Return NaN where Python's function raises, as Go's functions do."""

    def of(value: float) -> float:
        try:
            return function(value)
        except ValueError:
            return math.nan
        except OverflowError:
            # Overflow of exp, sinh or cosh; only sinh can be negative.
            return math.copysign(math.inf, value) if function is math.sinh else math.inf

    return of


def _logarithm(function: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: -math.inf if value == 0 else _or_nan(function)(value)


def _to_integer(function: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: math.copysign(float(function(value)), value) if math.isfinite(value) else value


def _round(value: float, to_nearest: float = 1.0) -> float:
    inverse = 1 / to_nearest if to_nearest else math.copysign(math.inf, to_nearest)
    scaled = value * inverse + 0.5
    found = float(math.floor(scaled)) if math.isfinite(scaled) else scaled
    return found / inverse if inverse else math.nan


def _sign(value: float) -> float:
    return value if math.isnan(value) or value == 0 else math.copysign(1.0, value)


def _clamp(value: float, low: float, high: float) -> float:
    if math.isnan(low) or math.isnan(high) or math.isnan(value):
        return math.nan
    return max(low, min(high, value))


def _atanh(value: float) -> float:
    return math.copysign(math.inf, value) if abs(value) == 1 else math.atanh(value)


FUNCTIONS: dict[str, Callable[..., float]] = {
    "abs": abs,
    "ceil": _to_integer(math.ceil),
    "clamp": _clamp,
    "clamp_max": lambda value, high: _clamp(value, -math.inf, high),
    "clamp_min": lambda value, low: _clamp(value, low, math.inf),
    "deg": math.degrees,
    "exp": _or_nan(math.exp),
    "floor": _to_integer(math.floor),
    "ln": _logarithm(math.log),
    "log10": _logarithm(math.log10),
    "log2": _logarithm(math.log2),
    "rad": math.radians,
    "round": _round,
    "sgn": _sign,
    "sqrt": _or_nan(math.sqrt),
    **{name: _or_nan(getattr(math, name)) for name in ("acos", "asin", "atan", "cos", "sin", "tan")},
    **{name: _or_nan(getattr(math, name)) for name in ("acosh", "asinh", "cosh", "sinh", "tanh")},
    "atanh": _or_nan(_atanh),
}
"""Name → function of a series' value and the other arguments."""


def of_each(name: str, value: Value, arguments: Sequence[Value]) -> Vector:
    if name == "clamp" and arguments[1] < arguments[0]:  # type: ignore[operator]  # the grammar allows only numbers
        return []
    function = FUNCTIONS[name]
    return [Sample(unnamed(sample.labels), function(sample.value, *arguments)) for sample in vector_of(value)]


def _scalar(value: Value) -> float:
    vector = vector_of(value)
    return vector[0].value if len(vector) == 1 else math.nan


def _sort(value: Value, descending: bool) -> Vector:
    """Sort by value; NaN comes last in both directions."""
    vector = vector_of(value)
    numbers = [sample for sample in vector if not math.isnan(sample.value)]
    in_order = sorted(numbers, key=lambda sample: ascending(sample.value), reverse=descending)
    return in_order + [sample for sample in vector if math.isnan(sample.value)]


VECTOR_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "histogram_quantile": histogram_quantile,
    "pi": lambda: math.pi,
    "scalar": _scalar,
    "sort": lambda value: _sort(value, False),
    "sort_desc": lambda value: _sort(value, True),
    "vector": lambda value: [Sample({}, value)],
}
"""Name → function of the arguments' values."""

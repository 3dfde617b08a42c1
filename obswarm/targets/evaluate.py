"""A subset of PromQL over a SeriesStore: selectors, rate, increase, sum/avg/min/max/count (by, without),
histogram_quantile, arithmetic, unary minus. A pure function of the store and the time.

rate and increase are those between the first and the last sample of the range, resets counted; Prometheus extrapolates
to the whole range, which over scrapes of a second makes little difference.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import promql_parser as promql

from obswarm.api import ObswarmError
from obswarm.targets.series import SeriesStore
from obswarm.targets.source import Sample

SUBSET = "selectors, rate, increase, sum/avg/min/max/count with by or without, histogram_quantile, + - * / and numbers"
_AGGREGATIONS: dict[str, Callable[[list[float]], float]] = {
    "sum": sum,
    "avg": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
    "count": len,
}
_RANGE_FUNCTIONS = ("rate", "increase")
LONGEST_RANGE_S = 300.0

Vector = list[Sample]
Value = float | Vector


def parse(query: str) -> Any:
    """The syntax tree of a query within the subset. Raises ObswarmError with what is wrong, or beyond it."""
    try:
        tree = promql.parse(query)
    except ValueError as error:
        raise ObswarmError(f"promql({query}) is not PromQL: {error}.") from None
    _check(tree, query)
    return tree


def parse_any(query: str) -> None:
    """Raises ObswarmError when it is not PromQL at all."""
    try:
        promql.parse(query)
    except ValueError as error:
        raise ObswarmError(f"promql({query}) is not PromQL: {error}.") from None


def metric_names(tree: Any) -> set[str]:
    """Of every selector in it."""
    match tree:
        case promql.VectorSelector():
            return {str(tree.name)}
        case promql.MatrixSelector():
            return {str(tree.vector_selector.name)}
        case promql.BinaryExpr():
            return metric_names(tree.lhs) | metric_names(tree.rhs)
        case promql.Call():
            return set().union(*map(metric_names, tree.args))
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr():
            return metric_names(tree.expr)
        case _:
            return set()


def looks_back_s(query: str) -> float:
    """How far before its time a query looks, by its ranges, subqueries and offsets; 0 when it cannot be parsed."""
    try:
        return _looks_back_s(promql.parse(query))
    except ValueError:
        return 0.0


def _looks_back_s(tree: Any) -> float:
    match tree:
        case promql.VectorSelector():
            return _seconds(tree.offset)
        case promql.MatrixSelector():
            return _seconds(tree.range) + _looks_back_s(tree.vector_selector)
        case promql.SubqueryExpr():
            return _seconds(tree.range) + _seconds(tree.offset) + _looks_back_s(tree.expr)
        case promql.BinaryExpr():
            return max(_looks_back_s(tree.lhs), _looks_back_s(tree.rhs))
        case promql.Call():
            return max(map(_looks_back_s, tree.args), default=0.0)
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr():
            return _looks_back_s(tree.expr)
        case _:
            return 0.0


def _seconds(span: timedelta | None) -> float:
    return max(0.0, span.total_seconds()) if span is not None else 0.0


def _beyond(what: str, query: str) -> ObswarmError:
    return ObswarmError(
        f"promql({query}) uses {what}, which obswarm does not evaluate itself (it knows {SUBSET})."
        " With a Prometheus behind it any PromQL works: set prometheus_url."
    )


def _check(tree: Any, query: str) -> None:
    match tree:
        case promql.NumberLiteral():
            return
        case promql.VectorSelector():
            _check_selector(tree, query)
        case promql.MatrixSelector():
            _check_selector(tree.vector_selector, query)
            if tree.range.total_seconds() > LONGEST_RANGE_S:
                raise _beyond(f"a range of more than {LONGEST_RANGE_S:.0f} s", query)
        case promql.ParenExpr() | promql.UnaryExpr():
            _check(tree.expr, query)
        case promql.AggregateExpr():
            if str(tree.op) not in _AGGREGATIONS:
                raise _beyond(str(tree.op), query)
            _check(tree.expr, query)
        case promql.BinaryExpr():
            if str(tree.op) not in "+-*/":
                raise _beyond(f"the operator {tree.op}", query)
            if tree.modifier is not None and (tree.modifier.matching is not None):
                raise _beyond("on() or ignoring()", query)
            _check(tree.lhs, query)
            _check(tree.rhs, query)
        case promql.Call():
            if tree.func.name not in (*_RANGE_FUNCTIONS, "histogram_quantile"):
                raise _beyond(f"{tree.func.name}()", query)
            for argument in tree.args:
                _check(argument, query)
        case _:
            raise _beyond(type(tree).__name__, query)


def _check_selector(selector: Any, query: str) -> None:
    if selector.offset is not None or selector.at is not None:
        raise _beyond("offset or @", query)
    if not selector.name:
        raise _beyond("a selector without a metric's name", query)
    if getattr(selector.matchers, "or_matchers", None):
        raise _beyond("or between matchers", query)


def evaluate(tree: Any, store: SeriesStore, now: float) -> Vector:
    """The value at a time; a number comes as one sample without labels."""
    value = _value(tree, store, now)
    return [Sample({}, value)] if isinstance(value, float) else value


def _value(tree: Any, store: SeriesStore, now: float) -> Value:
    match tree:
        case promql.NumberLiteral():
            return float(tree.val)
        case promql.ParenExpr():
            return _value(tree.expr, store, now)
        case promql.UnaryExpr():
            return _each(_value(tree.expr, store, now), lambda number: -number)
        case promql.VectorSelector():
            fits = _matcher(tree)
            return [Sample(labels, value) for labels, value in store.latest(str(tree.name), now) if fits(labels)]
        case promql.AggregateExpr():
            return _aggregate(tree, store, now)
        case promql.BinaryExpr():
            return _arithmetic(str(tree.op), _value(tree.lhs, store, now), _value(tree.rhs, store, now))
        case promql.Call():
            if tree.func.name == "histogram_quantile":
                return _histogram_quantile(tree, store, now)
            return _rate(tree, store, now)
    raise AssertionError(f"{type(tree).__name__} was let through")


def _matcher(selector: Any) -> Callable[[dict[str, str]], bool]:
    tests = [_test(str(each.op).rpartition(".")[2], each.name, each.value) for each in selector.matchers.matchers]
    return lambda labels: all(test(labels) for test in tests)


def _test(operator: str, name: str, wanted: str) -> Callable[[Mapping[str, str]], bool]:
    if operator in ("Equal", "NotEqual"):
        return lambda labels: (labels.get(name, "") == wanted) == (operator == "Equal")
    pattern = re.compile(wanted)
    return lambda labels: (pattern.fullmatch(labels.get(name, "")) is not None) == (operator == "Re")


def _rate(tree: Any, store: SeriesStore, now: float) -> Vector:
    matrix = tree.args[0]
    fits = _matcher(matrix.vector_selector)
    found = []
    for labels, points in store.range(str(matrix.vector_selector.name), now, matrix.range.total_seconds()):
        if len(points) < 2 or not fits(labels):
            continue
        increase, before = 0.0, points[0][1]
        for _, value in points[1:]:
            # A counter that went down was reset in between.
            increase += value - before if value >= before else value
            before = value
        span_s = points[-1][0] - points[0][0]
        found.append(Sample(labels, increase / span_s if tree.func.name == "rate" else increase))
    return found


def _aggregate(tree: Any, store: SeriesStore, now: float) -> Vector:
    inner = _value(tree.expr, store, now)
    vector = [Sample({}, inner)] if isinstance(inner, float) else inner
    groups: dict[tuple[tuple[str, str], ...], list[float]] = {}
    for sample in vector:
        groups.setdefault(_group(tree.modifier, sample.labels), []).append(sample.value)
    combine = _AGGREGATIONS[str(tree.op)]
    return [Sample(dict(key), float(combine(values))) for key, values in groups.items()]


def _group(modifier: Any, labels: Any) -> tuple[tuple[str, str], ...]:
    if modifier is None:
        return ()
    names = set(modifier.labels)
    by = str(modifier.type).rpartition(".")[2].lower() == "by"
    return tuple(sorted((name, value) for name, value in labels.items() if (name in names) == by))


def _each(value: Value, function: Callable[[float], float]) -> Value:
    if isinstance(value, float):
        return function(value)
    return [Sample(sample.labels, function(sample.value)) for sample in value]


def _arithmetic(operator: str, left: Value, right: Value) -> Value:
    def apply(a: float, b: float) -> float:
        if operator == "+":
            return a + b
        if operator == "-":
            return a - b
        if operator == "*":
            return a * b
        if b == 0:
            return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)
        return a / b

    if isinstance(left, float):
        return apply(left, right) if isinstance(right, float) else _each(right, lambda number: apply(left, number))
    if isinstance(right, float):
        return _each(left, lambda number: apply(number, right))
    others = {tuple(sorted(sample.labels.items())): sample.value for sample in right}
    found = []
    for sample in left:
        other = others.get(tuple(sorted(sample.labels.items())))
        if other is not None:
            found.append(Sample(sample.labels, apply(sample.value, other)))
    return found


def _histogram_quantile(tree: Any, store: SeriesStore, now: float) -> Vector:
    """As Prometheus has it for classic buckets: linear within a bucket, the last finite bound for what lies beyond
    it."""
    q = _value(tree.args[0], store, now)
    vector = _value(tree.args[1], store, now)
    if not isinstance(q, float) or isinstance(vector, float):
        return []
    groups: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    for sample in vector:
        bound = sample.labels.get("le")
        if bound is None:
            continue
        rest = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        groups.setdefault(rest, []).append((float(bound), sample.value))
    return [Sample(dict(labels), _quantile(q, sorted(buckets))) for labels, buckets in groups.items()]


def _quantile(q: float, buckets: list[tuple[float, float]]) -> float:
    if not buckets or buckets[-1][0] != math.inf or len(buckets) < 2:
        return math.nan
    total = buckets[-1][1]
    if total == 0 or math.isnan(q):
        return math.nan
    if not 0 <= q <= 1:
        return math.copysign(math.inf, q)
    rank = q * total
    lower, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            if bound == math.inf:
                return buckets[-2][0]
            if bound <= 0 and lower == 0.0 and below == 0.0:
                return bound
            inside = count - below
            return lower + (bound - lower) * ((rank - below) / inside) if inside else bound
        lower, below = bound, count
    return buckets[-2][0]

"""Evaluate the syntax tree of a query at a time."""

import math
from collections.abc import Callable
from typing import Any

import promql_parser as promql

from obswarm.targets.evaluate.aggregate import aggregated
from obswarm.targets.evaluate.binary import combined
from obswarm.targets.evaluate.functions import FUNCTIONS, VECTOR_FUNCTIONS, of_each
from obswarm.targets.evaluate.matchers import matcher_of
from obswarm.targets.evaluate.over_time import KEEPS_NAME, RANGE_FUNCTIONS, Window
from obswarm.targets.evaluate.special import SPECIAL_FUNCTIONS
from obswarm.targets.evaluate.syntax import NAME, inside, name_of, seconds_of
from obswarm.targets.evaluate.values import Key, Value, Vector, key_of, unnamed, vector_of
from obswarm.targets.series import LabelFilter, Points, SeriesStore
from obswarm.targets.source import Sample


def evaluate(
    tree: Any,
    store: SeriesStore,
    now: float,
    unix_s: float | None = None,
    between_steps: Callable[[], object] = lambda: None,
) -> Vector:
    """Evaluate a tree returned by `parse` at a time of the store's clock; a scalar is returned as one sample without
    labels.

    `unix_s` is the same time in seconds since the Unix epoch, for time() and timestamp(); by default the store's clock
    is that of the epoch. `between_steps` is called before each step of a subquery, of which there may be hundreds.
    Raises SourceError if the query cannot be evaluated for these series, e.g. because of ambiguous matching.
    """
    return vector_of(_Evaluation(store, now, now if unix_s is None else unix_s, between_steps).value(tree))


class _Evaluation:
    """The evaluation of a query at one time."""

    def __init__(self, store: SeriesStore, now: float, unix_s: float, between_steps: Callable[[], object]) -> None:
        self.now = now
        self.unix_s = unix_s
        self._store = store
        self._between_steps = between_steps

    def value(self, tree: Any) -> Value:
        match tree:
            case promql.NumberLiteral():
                return float(tree.val)
            case promql.ParenExpr():
                return self.value(tree.expr)
            case promql.UnaryExpr():
                value = self.value(tree.expr)
                if isinstance(value, float):
                    return -value
                return [Sample(unnamed(sample.labels), -sample.value) for sample in value]
            case promql.VectorSelector():
                return [Sample(labels, value) for labels, _, value in self.stamped(tree)]
            case promql.AggregateExpr():
                parameter = inside(tree.param)
                text = parameter.val if isinstance(parameter, promql.StringLiteral) else None
                number = self._number(parameter) if parameter is not None and text is None else None
                return aggregated(
                    str(tree.op), tree.modifier, number if text is None else text, self._vector(tree.expr)
                )
            case promql.BinaryExpr():
                return combined(str(tree.op), tree.modifier, self.value(tree.lhs), self.value(tree.rhs))
            case promql.Call():
                return self._call(tree)
        raise AssertionError(f"{type(tree).__name__} should have been refused by parse()")

    def _vector(self, tree: Any) -> Vector:
        return vector_of(self.value(tree))

    def _number(self, tree: Any) -> float:
        value = self.value(tree)
        assert isinstance(value, float)
        return value

    def _call(self, tree: Any) -> Value:
        name, arguments = tree.func.name, tree.args
        if name in RANGE_FUNCTIONS:
            return self._over_time(name, arguments)
        if name in FUNCTIONS:
            return of_each(name, self.value(arguments[0]), [self.value(each) for each in arguments[1:]])
        if name in VECTOR_FUNCTIONS:
            return VECTOR_FUNCTIONS[name](*(self.value(each) for each in arguments))
        return SPECIAL_FUNCTIONS[name](self, tree)

    def _over_time(self, name: str, arguments: Any) -> Vector:
        ranged = next(tree for tree in map(inside, arguments) if _is_range(tree))
        others = [self._number(tree) for tree in arguments if not _is_range(inside(tree))]
        end_s = self.now - _offset_s(ranged)
        start_s = end_s - seconds_of(ranged.range)
        found = []
        for labels, points in self.matrix(ranged):
            value = RANGE_FUNCTIONS[name](Window(points, start_s, end_s, self.now), *others)
            if value is not None:
                found.append(Sample(labels if name in KEEPS_NAME else unnamed(labels), value))
        return found

    def stamped(self, selector: Any) -> list[tuple[dict[str, str], float, float]]:
        """Return (labels, time, value) of each current series of a selector."""
        name = name_of(selector)
        series = self._store.latest(name, self.now - seconds_of(selector.offset), _label_filter(selector, name))
        return [({NAME: name, **labels}, time_s, value) for labels, time_s, value in series]

    def matrix(self, tree: Any) -> list[tuple[dict[str, str], Points]]:
        """Return (labels, points) of each series with points in the range."""
        tree = inside(tree)
        end_s = self.now - _offset_s(tree)
        if isinstance(tree, promql.MatrixSelector):
            return self._series(tree.vector_selector, end_s, seconds_of(tree.range))
        return self._subquery(tree, end_s)

    def _series(self, selector: Any, end_s: float, seconds: float) -> list[tuple[dict[str, str], Points]]:
        name = name_of(selector)
        series = self._store.range(name, end_s, seconds, _label_filter(selector, name))
        return [({NAME: name, **labels}, points) for labels, points in series]

    def _subquery(self, tree: Any, end_s: float) -> list[tuple[dict[str, str], Points]]:
        """Evaluate a subquery; its steps are at multiples of the step since the Unix epoch."""
        step_s = seconds_of(tree.step)
        to_unix_s = self.unix_s - self.now
        first = math.floor((end_s + to_unix_s - seconds_of(tree.range)) / step_s) + 1
        last = math.floor((end_s + to_unix_s) / step_s)
        found: dict[Key, Points] = {}
        for number in range(first, last + 1):
            unix_s = number * step_s
            self._between_steps()
            then = _Evaluation(self._store, unix_s - to_unix_s, unix_s, self._between_steps)
            for sample in vector_of(then.value(tree.expr)):
                found.setdefault(key_of(sample.labels), []).append((unix_s - to_unix_s, sample.value))
        return [(dict(key), points) for key, points in found.items()]


def _label_filter(selector: Any, name: str) -> LabelFilter:
    """Return the label predicate of a selector, for series of that name."""
    matches = matcher_of(selector)
    return lambda labels: matches({NAME: name, **labels})


def _is_range(tree: Any) -> bool:
    return isinstance(tree, promql.MatrixSelector | promql.SubqueryExpr)


def _offset_s(ranged: Any) -> float:
    return seconds_of(ranged.vector_selector.offset if isinstance(ranged, promql.MatrixSelector) else ranged.offset)

"""Check queries for the supported subset of PromQL: others are refused before a run, with the unsupported part."""

from typing import Any

import promql_parser as promql

from obswarm.api import ObswarmError
from obswarm.targets.evaluate.aggregate import AGGREGATIONS
from obswarm.targets.evaluate.functions import FUNCTIONS, VECTOR_FUNCTIONS
from obswarm.targets.evaluate.matchers import InvalidPattern, compiled
from obswarm.targets.evaluate.over_time import RANGE_FUNCTIONS
from obswarm.targets.evaluate.special import SPECIAL_FUNCTIONS
from obswarm.targets.evaluate.syntax import (
    inside,
    name_of,
    operator_of,
    parts_of,
    seconds_of,
    tree_lookback_s,
    tree_of,
)
from obswarm.targets.evaluate.unparsed import unparsed_parts
from obswarm.units import format_duration

MAX_RANGE_S = 300.0
MAX_STEPS = 300
"""Maximum number of subquery steps. Each costs an evaluation of the inner query, in the load generator's process."""

MAX_DEPTH = 100
EVALUATED_FUNCTIONS = frozenset({*FUNCTIONS, *VECTOR_FUNCTIONS, *RANGE_FUNCTIONS, *SPECIAL_FUNCTIONS})


def parse(query: str) -> Any:
    """Parse a query within the subset. Raises ObswarmError if it is invalid, or beyond the subset."""
    try:
        tree = tree_of(query)
    except ObswarmError:
        unparsed = unparsed_parts(query)
        if unparsed:
            raise _beyond(unparsed, query) from None
        raise
    _check(tree, query, MAX_DEPTH)
    if tree_lookback_s(tree) > MAX_RANGE_S:
        raise _beyond(f"samples from more than {format_duration(MAX_RANGE_S)} ago (ranges and offsets together)", query)
    if _steps(tree) > MAX_STEPS:
        raise _beyond(f"more than {MAX_STEPS} steps of subqueries", query)
    return tree


def _steps(tree: Any) -> float:
    """Return the number of subquery steps; those of nested subqueries multiply."""
    inner = max(map(_steps, parts_of(tree)), default=1.0)
    if not isinstance(tree, promql.SubqueryExpr):
        return inner
    return inner * max(1.0, seconds_of(tree.range) / max(seconds_of(tree.step), 1e-3))


def _beyond(what: str, query: str) -> ObswarmError:
    return ObswarmError(
        f"promql({query}) uses {what}, which obswarm does not support itself."
        " With a Prometheus any PromQL works: set prometheus_url."
    )


def _check(tree: Any, query: str, max_depth: int) -> None:
    if not max_depth:
        raise _beyond(f"more than {MAX_DEPTH} nested expressions", query)
    match tree:
        case promql.VectorSelector():
            _check_selector(tree, query)
        case promql.SubqueryExpr():
            if tree.at is not None:
                raise _beyond("@", query)
            if tree.step is None:
                raise _beyond("a subquery without a step", query)
        case promql.AggregateExpr():
            if str(tree.op) not in AGGREGATIONS:
                raise _beyond(f"{tree.op}()", query)
            if str(tree.op) == "count_values":
                _check_label("count_values", tree.param, query)
        case promql.BinaryExpr():
            fill = getattr(tree.modifier, "fill_values", None)
            if fill is not None and (fill.lhs is not None or fill.rhs is not None):
                raise _beyond("fill()", query)
        case promql.Call():
            if tree.func.name not in EVALUATED_FUNCTIONS:
                raise _beyond(f"{tree.func.name}()", query)
            if tree.func.name == "label_replace":
                _check_pattern(inside(tree.args[4]).val, query)
            if tree.func.name in ("label_replace", "label_join"):
                _check_label(tree.func.name, tree.args[1], query)
    for part in parts_of(tree):
        _check(part, query, max_depth - 1)


def _check_label(setter: str, tree: Any, query: str) -> None:
    if not inside(tree).val:
        raise ObswarmError(f"promql({query}): {setter}() needs the name of the label to set.")


def _check_selector(selector: Any, query: str) -> None:
    if selector.at is not None:
        raise _beyond("@", query)
    if not name_of(selector):
        raise _beyond("a selector without a metric name", query)
    if getattr(selector.matchers, "or_matchers", None):
        raise _beyond("or between matchers", query)
    for matcher in selector.matchers.matchers:
        if operator_of(matcher) in ("Re", "NotRe"):
            _check_pattern(matcher.value, query)


def _check_pattern(pattern: str, query: str) -> None:
    try:
        compiled(pattern)
    except InvalidPattern as error:
        raise ObswarmError(f"promql({query}): {pattern} is not a regular expression: {error}.") from None

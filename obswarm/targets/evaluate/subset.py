"""Which queries are evaluated: whatever is not is refused with the name of the part, before a run."""

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
    tree_looks_back_s,
    tree_of,
)
from obswarm.targets.evaluate.unread import unread_parts

LONGEST_RANGE_S = 300.0
MOST_STEPS = 300
"""Of a subquery. Each takes about as long as the query inside, and there is load to be made meanwhile."""

DEEPEST = 100
EVALUATED_FUNCTIONS = frozenset({*FUNCTIONS, *VECTOR_FUNCTIONS, *RANGE_FUNCTIONS, *SPECIAL_FUNCTIONS})


def parse(query: str) -> Any:
    """The syntax tree of a query within the subset. Raises ObswarmError with what is wrong, or beyond it."""
    try:
        tree = tree_of(query)
    except ObswarmError:
        unread = unread_parts(query)
        if unread:
            raise _beyond(unread, query) from None
        raise
    _check(tree, query, DEEPEST)
    if tree_looks_back_s(tree) > LONGEST_RANGE_S:
        raise _beyond(f"samples from more than {LONGEST_RANGE_S:.0f} s ago (ranges and offsets together)", query)
    if _steps(tree) > MOST_STEPS:
        raise _beyond(f"more than {MOST_STEPS} steps of subqueries", query)
    return tree


def _steps(tree: Any) -> float:
    """Of the subqueries in it; of one in another, each with each."""
    inner = max(map(_steps, parts_of(tree)), default=1.0)
    if not isinstance(tree, promql.SubqueryExpr):
        return inner
    return inner * max(1.0, seconds_of(tree.range) / max(seconds_of(tree.step), 1e-3))


def _beyond(what: str, query: str) -> ObswarmError:
    return ObswarmError(
        f"promql({query}) uses {what}, which obswarm does not evaluate itself."
        " With a Prometheus behind it any PromQL works: set prometheus_url."
    )


def _check(tree: Any, query: str, deepest: int) -> None:
    if not deepest:
        raise _beyond(f"more than {DEEPEST} expressions in one another", query)
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
        _check(part, query, deepest - 1)


def _check_label(setter: str, tree: Any, query: str) -> None:
    if not inside(tree).val:
        raise ObswarmError(f"promql({query}): the label to be set by {setter}() needs a name.")


def _check_selector(selector: Any, query: str) -> None:
    if selector.at is not None:
        raise _beyond("@", query)
    if not name_of(selector):
        raise _beyond("a selector without a metric's name", query)
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

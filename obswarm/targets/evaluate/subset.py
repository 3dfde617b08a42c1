"""Which queries are evaluated: whatever is not is refused with the name of the part, before a run."""

from typing import Any

import promql_parser as promql

from obswarm.api import ObswarmError
from obswarm.targets.evaluate.aggregate import AGGREGATIONS
from obswarm.targets.evaluate.functions import FUNCTIONS, VECTOR_FUNCTIONS
from obswarm.targets.evaluate.matchers import InvalidPattern, compiled
from obswarm.targets.evaluate.over_time import RANGE_FUNCTIONS
from obswarm.targets.evaluate.special import SPECIAL_FUNCTIONS
from obswarm.targets.evaluate.syntax import inside, name_of, operator_of, parts_of, tree_looks_back_s, tree_of

LONGEST_RANGE_S = 300.0
_SMALLEST_STEP_S = 0.1
EVALUATED_FUNCTIONS = frozenset({*FUNCTIONS, *VECTOR_FUNCTIONS, *RANGE_FUNCTIONS, *SPECIAL_FUNCTIONS})


def parse(query: str) -> Any:
    """The syntax tree of a query within the subset. Raises ObswarmError with what is wrong, or beyond it."""
    tree = tree_of(query)
    _check(tree, query)
    if tree_looks_back_s(tree) > LONGEST_RANGE_S:
        raise _beyond(f"samples from more than {LONGEST_RANGE_S:.0f} s ago (ranges and offsets together)", query)
    return tree


def _beyond(what: str, query: str) -> ObswarmError:
    return ObswarmError(
        f"promql({query}) uses {what}, which obswarm does not evaluate itself."
        " With a Prometheus behind it any PromQL works: set prometheus_url."
    )


def _check(tree: Any, query: str) -> None:
    match tree:
        case promql.VectorSelector():
            _check_selector(tree, query)
        case promql.SubqueryExpr():
            if tree.at is not None:
                raise _beyond("@", query)
            if tree.step is None or tree.step.total_seconds() < _SMALLEST_STEP_S:
                raise _beyond(f"a subquery without a step of {_SMALLEST_STEP_S:g} s or more", query)
        case promql.AggregateExpr():
            if str(tree.op) not in AGGREGATIONS:
                raise _beyond(f"{tree.op}()", query)
        case promql.BinaryExpr():
            fill = getattr(tree.modifier, "fill_values", None)
            if fill is not None and (fill.lhs is not None or fill.rhs is not None):
                raise _beyond("fill()", query)
        case promql.Call():
            if tree.func.name not in EVALUATED_FUNCTIONS:
                raise _beyond(f"{tree.func.name}()", query)
            if tree.func.name == "label_replace":
                _check_pattern(inside(tree.args[4]).val, query)
            if tree.func.name in ("label_replace", "label_join") and not inside(tree.args[1]).val:
                raise ObswarmError(f"promql({query}): the label to be set by {tree.func.name}() needs a name.")
    for part in parts_of(tree):
        _check(part, query)


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

"""Parse queries and inspect their syntax trees, for all metric sources."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import promql_parser as promql

from obswarm.api import ObswarmError

NAME = "__name__"
JOB = "job"


def parse_any(query: str) -> None:
    """Check a query. Raises ObswarmError if it is not PromQL, or does not return numbers."""
    tree_of(query)


def tree_of(query: str) -> Any:
    """Parse a query. Raises ObswarmError if it is not PromQL, or does not return numbers."""
    try:
        tree = promql.parse(query)
    except ValueError as error:
        raise ObswarmError(f"promql({query}) is not PromQL: {error}.") from None
    whole = inside(tree)
    if isinstance(whole, promql.MatrixSelector | promql.SubqueryExpr):
        raise ObswarmError(
            f"promql({query}) returns a range vector; it needs a function that returns numbers, as in"
            f" last_over_time({query})."
        )
    if isinstance(whole, promql.StringLiteral):
        raise ObswarmError(f"promql({query}) returns a string; it has to return numbers.")
    return tree


def inside(tree: Any) -> Any:
    """Remove parentheses around an expression."""
    while isinstance(tree, promql.ParenExpr):
        tree = tree.expr
    return tree


def parts_of(tree: Any) -> Iterator[Any]:
    """Yield the direct subexpressions."""
    match tree:
        case promql.MatrixSelector():
            yield tree.vector_selector
        case promql.BinaryExpr():
            yield tree.lhs
            yield tree.rhs
        case promql.Call():
            yield from tree.args
        case promql.AggregateExpr():
            if tree.param is not None:
                yield tree.param
            yield tree.expr
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            yield tree.expr


def metric_names(tree: Any) -> set[str]:
    """Return the metric names of all selectors; a selector by a pattern of names has none."""
    return {name for selector in selectors_in(tree) if (name := name_of(selector))}


def selectors_in(tree: Any) -> Iterator[Any]:
    """Yield all selectors of a tree."""
    if isinstance(tree, promql.VectorSelector):
        yield tree
    for part in parts_of(tree):
        yield from selectors_in(part)


def name_of(selector: Any) -> str:
    """Return the metric name of a selector, also if given as a matcher of __name__; empty if there is none."""
    if selector.name:
        return str(selector.name)
    return next((each.value for each in selector.matchers.matchers if each.name == NAME and is_equal(each)), "")


def is_equal(matcher: Any) -> bool:
    return operator_of(matcher) == "Equal"


def operator_of(matcher: Any) -> str:
    """Return Equal, NotEqual, Re or NotRe."""
    return str(matcher.op).rpartition(".")[2]


def lookback_s(query: str) -> float:
    """Return how many seconds before its evaluation time a query looks, by its ranges, subqueries and offsets.

    For a query that only Prometheus can parse, return the sum of all durations in its text.
    """
    try:
        return tree_lookback_s(promql.parse(query))
    except (ValueError, RecursionError):
        spans = (span for found in _SPANS.finditer(query) for span in _SPAN.findall(found[0]))
        return float(sum(int(number) * _SECONDS[unit] for number, unit in spans))


_SPANS = re.compile(r"\[[^\]\[]*\]|\boffset\s+[^-\s]\S*", re.IGNORECASE)
_SPAN = re.compile(r"(\d+)(ms|[smhdwy])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}


def tree_lookback_s(tree: Any) -> float:
    """Return `lookback_s` of a syntax tree."""
    within_s = max(map(tree_lookback_s, parts_of(tree)), default=0.0)
    match tree:
        case promql.VectorSelector():
            return _past_s(tree.offset)
        case promql.MatrixSelector():
            return _past_s(tree.range) + within_s
        case promql.SubqueryExpr():
            return _past_s(tree.range) + _past_s(tree.offset) + within_s
        case _:
            return within_s


def _past_s(span: timedelta | None) -> float:
    return max(0.0, seconds_of(span))


def seconds_of(span: timedelta | None) -> float:
    return span.total_seconds() if span is not None else 0.0

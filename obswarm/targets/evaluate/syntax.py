"""What can be read from a query's syntax tree, whoever evaluates it."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import promql_parser as promql

from obswarm.api import ObswarmError

NAME = "__name__"
JOB = "job"


def parse_any(query: str) -> None:
    """Raises ObswarmError when it is not PromQL, or gives no numbers."""
    tree_of(query)


def tree_of(query: str) -> Any:
    """Raises ObswarmError when it is not PromQL, or gives no numbers."""
    try:
        tree = promql.parse(query)
    except ValueError as error:
        raise ObswarmError(f"promql({query}) is not PromQL: {error}.") from None
    whole = inside(tree)
    if isinstance(whole, promql.MatrixSelector | promql.SubqueryExpr):
        raise ObswarmError(
            f"promql({query}) gives each series' values over a time; a function makes a number of them, as in"
            f" last_over_time({query})."
        )
    if isinstance(whole, promql.StringLiteral):
        raise ObswarmError(f"promql({query}) gives a text; it has to give numbers.")
    return tree


def inside(tree: Any) -> Any:
    """Without the brackets around it."""
    while isinstance(tree, promql.ParenExpr):
        tree = tree.expr
    return tree


def parts_of(tree: Any) -> Iterator[Any]:
    """The expressions that it is made of, one level down."""
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
    """Of every selector in it; of one by a pattern of names there is none."""
    return {name for selector in selectors_in(tree) if (name := name_of(selector))}


def selectors_in(tree: Any) -> Iterator[Any]:
    """Every selector in it."""
    if isinstance(tree, promql.VectorSelector):
        yield tree
    for part in parts_of(tree):
        yield from selectors_in(part)


def name_of(selector: Any) -> str:
    """The metric's name, which may stand among the matchers as well; empty when there is none."""
    if selector.name:
        return str(selector.name)
    return next((each.value for each in selector.matchers.matchers if each.name == NAME and is_equal(each)), "")


def is_equal(matcher: Any) -> bool:
    return operator_of(matcher) == "Equal"


def operator_of(matcher: Any) -> str:
    """Equal, NotEqual, Re or NotRe."""
    return str(matcher.op).rpartition(".")[2]


def looks_back_s(query: str) -> float:
    """How far before its time a query looks, by its ranges, subqueries and offsets; of one that cannot be parsed, which
    Prometheus may read all the same, all spans of time in it together."""
    try:
        return tree_looks_back_s(promql.parse(query))
    except (ValueError, RecursionError):
        spans = (span for found in _SPANS.finditer(query) for span in _SPAN.findall(found[0]))
        return float(sum(int(number) * _SECONDS[unit] for number, unit in spans))


_SPANS = re.compile(r"\[[^\]\[]*\]|\boffset\s+[^-\s]\S*", re.IGNORECASE)
_SPAN = re.compile(r"(\d+)(ms|[smhdwy])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}


def tree_looks_back_s(tree: Any) -> float:
    """As `looks_back_s`."""
    within_s = max(map(tree_looks_back_s, parts_of(tree)), default=0.0)
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

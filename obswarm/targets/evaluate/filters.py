"""Find the filters of a query, to distinguish an empty result of a filter from missing data, for all metric sources."""

from typing import Any

import promql_parser as promql

from obswarm.targets.evaluate.syntax import parts_of

_COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
_SETS = frozenset({"and", "unless"})
_ABSENT = frozenset({"absent", "absent_over_time"})


def filtered_operands(tree: Any) -> list[Any] | None:
    """Return the largest parts of a query that contain no filter; None if the query has no filter.

    If each of them has series, an empty result is due to the filters: `x` of `x == 0`, `up` of `count(up == 0) > 0`,
    nothing of `absent(x)`.
    """
    return _operands(tree) if _filters(tree) else None


def _filters(tree: Any) -> bool:
    return _is_filter(tree) or any(map(_filters, parts_of(tree)))


def _is_filter(tree: Any) -> bool:
    if isinstance(tree, promql.BinaryExpr):
        operator = str(tree.op)
        gives_bool = tree.modifier is not None and tree.modifier.return_bool
        return operator in _SETS or (operator in _COMPARISONS and not gives_bool)
    return _is_call(tree, _ABSENT)


def _is_call(tree: Any, names: frozenset[str]) -> bool:
    return isinstance(tree, promql.Call) and tree.func.name in names


def _operands(tree: Any) -> list[Any]:
    if _is_call(tree, _ABSENT):
        # absent() is empty because the series exist.
        return []
    if not _filters(tree) and not _hides(tree):
        return [tree] if _has_series(tree) else []
    parts = list(parts_of(tree))
    if isinstance(tree, promql.BinaryExpr) and str(tree.op) == "unless":
        # The right side of `unless` may be empty.
        parts = parts[:1]
    return [operand for part in parts for operand in _operands(part)]


def _hides(tree: Any) -> bool:
    """Return whether the expression turns an empty vector into a value (NaN)."""
    return _is_call(tree, frozenset({"scalar"})) or any(map(_hides, parts_of(tree)))


def _has_series(tree: Any) -> bool:
    return isinstance(tree, promql.VectorSelector) or any(map(_has_series, parts_of(tree)))

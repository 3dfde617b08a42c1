"""Functions that need more than their arguments' values: the time, or the text of the query."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import promql_parser as promql

from obswarm.targets.evaluate.matchers import compiled
from obswarm.targets.evaluate.syntax import NAME, inside, is_equal
from obswarm.targets.evaluate.values import Value, Vector, checked, unnamed, vector_of
from obswarm.targets.series import Points
from obswarm.targets.source import Sample

_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<braced>\w+)\}|(?P<plain>\w+))", re.ASCII)


class Evaluation(Protocol):
    """The evaluation of a query at one time, as these functions need it."""

    unix_s: float
    now: float

    def value(self, tree: Any) -> Value: ...

    def matrix(self, tree: Any) -> list[tuple[dict[str, str], Points]]: ...

    def stamped(self, selector: Any) -> list[tuple[dict[str, str], float, float]]: ...


def _timestamp(evaluation: Evaluation, tree: Any) -> Vector:
    argument = inside(tree.args[0])
    if isinstance(argument, promql.VectorSelector):
        return [
            Sample(unnamed(labels), evaluation.unix_s + (time_s - evaluation.now))
            for labels, time_s, _ in evaluation.stamped(argument)
        ]
    return [Sample(unnamed(sample.labels), evaluation.unix_s) for sample in vector_of(evaluation.value(argument))]


def _absent(evaluation: Evaluation, tree: Any) -> Vector:
    return [] if vector_of(evaluation.value(tree.args[0])) else [Sample(_labels_of_absent(tree.args[0]), 1.0)]


def _absent_over_time(evaluation: Evaluation, tree: Any) -> Vector:
    return [] if evaluation.matrix(tree.args[0]) else [Sample(_labels_of_absent(tree.args[0]), 1.0)]


def _labels_of_absent(tree: Any) -> dict[str, str]:
    """Return the labels of absent()'s result: those that the equality matchers determine."""
    selector = tree.vector_selector if isinstance(tree, promql.MatrixSelector) else tree
    if not isinstance(selector, promql.VectorSelector):
        return {}
    found: dict[str, str] = {}
    for matcher in selector.matchers.matchers:
        if is_equal(matcher) and matcher.name not in found:
            found[matcher.name] = matcher.value
        else:
            found.pop(matcher.name, None)
    return {name: text for name, text in found.items() if text and name != NAME}


def _label_replace(evaluation: Evaluation, tree: Any) -> Vector:
    target, replacement, source, pattern = (inside(argument).val for argument in tree.args[1:])
    found = []
    for sample in vector_of(evaluation.value(tree.args[0])):
        match = compiled(pattern).fullmatch(sample.labels.get(source, ""))
        labels = sample.labels if match is None else _with(sample.labels, target, _expanded(replacement, match))
        found.append(Sample(labels, sample.value))
    return checked(found)


def _expanded(replacement: str, match: Any) -> str:
    """Expand `$1` and `${name}` to the groups of a match; unknown groups are empty."""

    def text(reference: re.Match[str]) -> str:
        if reference["dollar"]:
            return "$"
        name = reference["braced"] or reference["plain"]
        if name.isdigit():
            number = int(name)
            return (match.group(number) or "") if number <= match.re.groups else ""
        return (match.group(name) or "") if name in match.re.groupindex else ""

    return _REFERENCE.sub(text, replacement)


def _label_join(evaluation: Evaluation, tree: Any) -> Vector:
    target, separator, *sources = (inside(argument).val for argument in tree.args[1:])
    vector = vector_of(evaluation.value(tree.args[0]))
    return checked(
        [
            Sample(
                _with(sample.labels, target, separator.join(sample.labels.get(source, "") for source in sources)),
                sample.value,
            )
            for sample in vector
        ]
    )


def _with(labels: Mapping[str, str], name: str, text: str) -> dict[str, str]:
    """Set a label; an empty value removes it."""
    found = {**labels, name: text}
    if not text:
        del found[name]
    return found


SPECIAL_FUNCTIONS: dict[str, Callable[[Evaluation, Any], Value]] = {
    "absent": _absent,
    "absent_over_time": _absent_over_time,
    "label_join": _label_join,
    "label_replace": _label_replace,
    "time": lambda evaluation, _: evaluation.unix_s,
    "timestamp": _timestamp,
}
"""Name → function of the evaluation and the call."""

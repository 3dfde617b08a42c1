"""Label matchers. Patterns are RE2's, as in Prometheus: they match the whole value, and `.` a line break as well."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import re2

from obswarm.targets.evaluate.syntax import operator_of

_KEPT_PATTERNS = 1_000

_QUIET = re2.Options()
_QUIET.log_errors = False


class InvalidPattern(ValueError):
    """Not a regular expression of RE2. Its text says why."""


@lru_cache(_KEPT_PATTERNS)
def compiled(pattern: str) -> Any:
    """To be used with `fullmatch`. Raises InvalidPattern."""
    try:
        re2.compile(pattern, _QUIET)  # alone, so that the message has no brackets of ours
        return re2.compile(f"(?s:{pattern})", _QUIET)
    except re2.error as error:
        (said,) = error.args
        raise InvalidPattern(said.decode(errors="replace") if isinstance(said, bytes) else str(said)) from None


def matcher_of(selector: Any, label: str | None = None) -> Callable[[Mapping[str, str]], bool]:
    """Whether a series' labels, its name among them, are those that a selector asks for; of `label` alone if that is
    given."""
    wanted = [each for each in selector.matchers.matchers if label in (None, each.name)]
    tests = [_test(operator_of(each), each.name, each.value) for each in wanted]
    return lambda labels: all(test(labels) for test in tests)


def _test(operator: str, name: str, wanted: str) -> Callable[[Mapping[str, str]], bool]:
    """A label that is not there has an empty value."""
    if operator in ("Equal", "NotEqual"):
        return lambda labels: (labels.get(name, "") == wanted) == (operator == "Equal")
    pattern = compiled(wanted)
    return lambda labels: (pattern.fullmatch(labels.get(name, "")) is not None) == (operator == "Re")

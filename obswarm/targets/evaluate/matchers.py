"""Label matchers. As in Prometheus, patterns are RE2, match the whole value, and `.` matches line breaks."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import re2

from obswarm.targets.evaluate.syntax import operator_of

_MAX_PATTERNS = 1_000

_QUIET = re2.Options()
_QUIET.log_errors = False


class InvalidPattern(ValueError):
    """Not a valid RE2 regular expression. The message has the reason."""


@lru_cache(_MAX_PATTERNS)
def compiled(pattern: str) -> Any:
    """Compile a pattern, for use with `fullmatch`. Raises InvalidPattern."""
    try:
        re2.compile(pattern, _QUIET)  # compiled alone first, so that error messages do not show the added group
        return re2.compile(f"(?s:{pattern})", _QUIET)
    except re2.error as error:
        (message,) = error.args
        text = message.decode(errors="replace") if isinstance(message, bytes) else str(message)
        raise InvalidPattern(text) from None


def matcher_of(selector: Any, label: str | None = None) -> Callable[[Mapping[str, str]], bool]:
    """Return a predicate on a series' labels (with its name) for a selector's matchers; with `label`, for those of this
    label only."""
    wanted = [each for each in selector.matchers.matchers if label in (None, each.name)]
    tests = [_test(operator_of(each), each.name, each.value) for each in wanted]
    return lambda labels: all(test(labels) for test in tests)


def _test(operator: str, name: str, wanted: str) -> Callable[[Mapping[str, str]], bool]:
    """Return a predicate for one matcher; a missing label has an empty value."""
    if operator in ("Equal", "NotEqual"):
        return lambda labels: (labels.get(name, "") == wanted) == (operator == "Equal")
    pattern = compiled(wanted)
    return lambda labels: (pattern.fullmatch(labels.get(name, "")) is not None) == (operator == "Re")

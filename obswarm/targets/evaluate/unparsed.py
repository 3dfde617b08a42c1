"""Distinguish PromQL that Prometheus accepts, but obswarm's parser does not, from text that is not PromQL. No I/O."""

import re
from typing import Any

import promql_parser as promql

from obswarm.targets.evaluate.matchers import InvalidPattern, compiled

_DIGITS = "[0-9]+(?:_[0-9]+)*"
_NUMBER = (
    r"(?<![\w.:])(?:0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*"
    rf"|(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?)(?![\w.])"
)
_TEXT = r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'|`[^`]*`"
# Strings and comments as a whole, so that no number matches within them.
_PIECE = re.compile(rf"(?P<match>[=!]~\s*)?(?P<text>{_TEXT})|#[^\n]*|(?P<number>{_NUMBER})", re.DOTALL)
_ANY_PATTERN = '".*"'


def unparsed_parts(query: str) -> str:
    """Return the parts of a query that the parser does not support; empty if the rest of it is not PromQL."""
    found: dict[str, None] = {}

    def readable(piece: re.Match[str]) -> str:
        text, number = piece["text"], piece["number"]
        if number is not None and "_" in number:
            found["an underscore in a number"] = None
            return number.replace("_", "")
        if text is None:
            return piece[0]
        if text[0] == "`" and "\\" in text:
            found["a backslash between back-quotes"] = None
            text = _in_double_quotes(text[1:-1])
        if piece["match"] is not None and _is_pattern_of_re2(text) and not _can_parse(f"x{{x=~{text}}}"):
            found[f"the pattern {piece['text']}"] = None
            text = _ANY_PATTERN
        return (piece["match"] or "") + text

    return " and ".join(found) if _can_parse(_PIECE.sub(readable, query)) else ""


def _in_double_quotes(text: str) -> str:
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
        text = text.replace(plain, escaped)
    return f'"{text}"'


def _is_pattern_of_re2(text: str) -> bool:
    try:
        literal: Any = promql.parse(text)
        compiled(literal.val)
    except (ValueError, InvalidPattern):
        return False
    return True


def _can_parse(query: str) -> bool:
    try:
        promql.parse(query)
    except ValueError:
        return False
    return True

"""Serialize JSON that any parser accepts, whatever texts and numbers the load test and its target have sent.

Strings are valid Unicode without control characters (except line feeds and tabs, in tracebacks). Infinities and NaN,
which JSON does not have, become null.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from obswarm.sanitize import escape_lines, to_text


def to_json(document: Any, *, indent: int | None = None, compact: bool = False) -> str:
    """Serialize to ASCII. Never raises for a value: types that JSON does not have are converted to strings."""
    separators = (",", ":") if compact else None
    return json.dumps(_fit(document), indent=indent, separators=separators, allow_nan=False)


def _fit(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return escape_lines(to_text(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {escape_lines(to_text(key)): _fit(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_fit(each) for each in value]
    return escape_lines(to_text(value))

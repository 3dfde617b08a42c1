"""JSON for other programs, in one way everywhere: any reader takes it, whatever the load test and its target have sent.

Texts are valid Unicode without control characters (but line feeds and tabs, in tracebacks). JSON has neither infinities
nor NaN: both are null.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from obswarm.sanitize import escape_lines, to_text


def to_json(document: Any, *, indent: int | None = None, compact: bool = False) -> str:
    """The document in ASCII. Never raises for a value: what JSON has no form for is written as its text."""
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

"""Sanitize text and numbers of unknown origin (a target, a load test, a peer) before they are counted, stored and
shown.

The results of `clean_text` are valid UTF-8, one line, without control characters, and bounded, so that every output
format (MessagePack, SQLite, JSON, XML 1.0, Prometheus' formats, a terminal) accepts them. They are still plain text: an
output that writes markup has to escape them. Recognisable secrets (passwords in URLs etc.) are redacted, see
obswarm.redact.

Functions documented to never raise do not raise even if methods of the given object do (gevent.Timeout, SystemExit and
GreenletExit included), since something has to be counted. A kill of the greenlet is deferred, see
obswarm.killed.put_off.
"""

import math
import re
from typing import Any

from obswarm import defaults
from obswarm.killed import put_off
from obswarm.redact import redact_text, redact_traceback

_UNFIT = re.compile(
    # C0 and C1 controls and DEL; line and paragraph separators; bidirectional controls; lone surrogates, which UTF-8
    # cannot encode; and the noncharacters at the end of a plane, which XML 1.0 does not allow.
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_MARGIN = 2_000
"""Characters beyond the cut of a long text that are searched for secrets, so that no part of one is kept."""

_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    number = ord(character)
    return _SHORT_ESCAPES.get(character) or (f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}")


_NAME_OF_A_TYPE = type.__dict__["__name__"]


def type_name(value: object) -> str:
    """Return the name of a value's class, without calling code of its metaclass."""
    name: str = _NAME_OF_A_TYPE.__get__(type(value))
    return name


def is_a(value: object, types: type | tuple[type, ...]) -> bool:
    """As isinstance, without using the object's `__class__`, which may be anything, or raise."""
    return issubclass(type(value), types)


def to_text(value: object) -> str:
    """Convert any value to text: bytes as UTF-8, anything else by `str`. Never raises: if `str` fails, the text names
    the type."""
    try:
        if is_a(value, str):
            # Not by methods of a subclass, which may do anything.
            return str.__str__(value)
        if is_a(value, (bytes, bytearray, memoryview)):
            return bytes(value).decode("utf-8", "backslashreplace")  # type: ignore[call-overload, no-any-return]
        return str.__str__(str(value))
    except BaseException as error:
        put_off(error)
        return f"<{type_name(value)}>"


def escape_controls(text: str) -> str:
    """Replace control characters and other characters that must not be written by backslash escapes (`\\n`, `\\x1b`,
    `\\ud83d`)."""
    return text if text.isprintable() else _UNFIT.sub(_escape, text)


def escape_lines(text: str) -> str:
    """As `escape_controls`, but keep line feeds and tabs, for texts of several lines (tracebacks)."""
    if text.isprintable():
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(escape_controls, line.split("\t"))) for line in lines)


def indent_lines(text: str) -> str:
    """As `escape_lines`, with every line but the first indented, so that no line of a target's text looks like a
    message of its own."""
    return escape_lines(text).replace("\n", "\n  ")


def clean_text(value: object, max_length: int = defaults.MAX_NAME_LENGTH) -> str:
    """Convert any value to one line of valid UTF-8 without control characters, of at most `max_length` characters.

    A longer text is cut and ends with a note of its length. Never raises.
    """
    text = to_text(value)
    length = len(text)
    # Very long texts are cut before they are searched; an escape has at most six characters.
    text = redact_text(text if length <= max_length else text[: max_length + _MARGIN])
    text = escape_controls(text if length <= max_length else text[:max_length])
    if length <= max_length and len(text) <= max_length:
        return text
    note = f"… [cut: {length:,} characters]"
    return text[: max(0, max_length - len(note))] + note


def clean_lines(value: object, max_length: int = defaults.MAX_TRACEBACK_LENGTH) -> str:
    """As `clean_text`, but keep lines, and the end of a text that is too long, where a traceback has the exception.
    Never raises."""
    text = to_text(value)
    length = len(text)
    text = redact_traceback(text[-max_length - _MARGIN :])
    # Not `splitlines`, which splits at characters that are escaped here.
    clean = "\n".join(map(escape_controls, text[-max_length:].replace("\r\n", "\n").split("\n")))
    if length <= max_length and len(clean) <= max_length:
        return clean
    note = f"[cut: {length:,} characters] …"
    return note + clean[-max(1, max_length - len(note)) :]


def is_clean(text: str) -> bool:
    """Return whether `escape_controls` would not change the text."""
    return text.isprintable() or _UNFIT.search(text) is None


def to_number(value: Any) -> float | None:
    """Convert a number (also Decimal, numpy types etc.) or its text to a finite float; None if it is not one. Never
    raises."""
    try:
        number = float(value)
    except BaseException as error:
        put_off(error)
        return None
    return number if math.isfinite(number) else None


def to_seconds(value: Any) -> float | None:
    """Convert a number of seconds or its text to a duration; negative values (a clock that went back) become 0. None if
    it is not a finite number, or more than `defaults.MAX_DURATION_S`. Never raises."""
    number = to_number(value)
    return None if number is None or number > defaults.MAX_DURATION_S else max(number, 0.0)


def to_size(value: Any) -> int | None:
    """Convert a number or its text to a number of bytes: rounded, and limited to 0 … `defaults.MAX_RESPONSE_BYTES`.
    None if it is not a finite number. Never raises."""
    if type(value) is int:
        size: int = value
    else:
        number = to_number(value)
        if number is None:
            return None
        size = round(number)
    return min(max(size, 0), defaults.MAX_RESPONSE_BYTES)

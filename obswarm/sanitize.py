"""Text and numbers of unknown origin (a target's, a load test's, a peer's) made fit to be counted, kept and shown.

What passes `clean_text` is valid UTF-8, one line, free of control characters, and bounded; so every format that text
is written to later (MessagePack, SQLite, JSON, XML 1.0, Prometheus' formats, a terminal) can take it. It is still text:
whoever writes it into markup has to quote it as that markup asks for. Secrets that can be told from it (passwords in
URLs and the like) are taken out, see obswarm.redact.

What says that it never raises does not, whatever the code of the given object raises (gevent.Timeout, SystemExit and
GreenletExit included): something is to be counted. The forced end of the greenlet comes right after, see
obswarm.killed.put_off.
"""

import math
import re
from typing import Any

from obswarm import defaults
from obswarm.killed import put_off
from obswarm.redact import redact_text, redact_traceback

_UNFIT = re.compile(
    # C0 and C1 controls and DEL; line and paragraph separators; what turns the direction of text around it; lone
    # surrogates, which UTF-8 has no form for; and the two of a plane that are no characters, which XML 1.0 refuses.
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_MARGIN = 2_000
"""Characters beyond the cut of a long text that are searched for secrets, so that none is cut in two and kept."""

_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    number = ord(character)
    return _SHORT_ESCAPES.get(character) or (f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}")


_NAME_OF_A_TYPE = type.__dict__["__name__"]


def type_name(value: object) -> str:
    """The name of its class, and not what a metaclass says in place of it."""
    name: str = _NAME_OF_A_TYPE.__get__(type(value))
    return name


def is_a(value: object, types: type | tuple[type, ...]) -> bool:
    """As isinstance, but asks nothing of the object, whose `__class__` may say anything, or raise."""
    return issubclass(type(value), types)


def to_text(value: object) -> str:
    """The text of whatever was given where a text belongs: bytes as UTF-8, anything else as `str` has it.

    Never raises: what has no text of its own is named by its type.
    """
    try:
        if is_a(value, str):
            # Not a subclass's own methods, which are somebody else's.
            return str.__str__(value)
        if is_a(value, (bytes, bytearray, memoryview)):
            return bytes(value).decode("utf-8", "backslashreplace")  # type: ignore[call-overload, no-any-return]
        return str.__str__(str(value))
    except BaseException as error:
        put_off(error)
        return f"<{type_name(value)}>"


def escape_controls(text: str) -> str:
    """The same text with a backslash escape (`\\n`, `\\x1b`, `\\ud83d`) in place of each character that is unfit to be
    written or shown."""
    return text if text.isprintable() else _UNFIT.sub(_escape, text)


def escape_lines(text: str) -> str:
    """As `escape_controls`, for a text of several lines (a traceback): line feeds and tabs stay."""
    if text.isprintable():
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(escape_controls, line.split("\t"))) for line in lines)


def indent_lines(text: str) -> str:
    """As `escape_lines`, with every line but the first indented: a line feed in the text of a target cannot begin what
    looks like a message of its own."""
    return escape_lines(text).replace("\n", "\n  ")


def clean_text(value: object, max_length: int = defaults.MAX_NAME_LENGTH) -> str:
    """Whatever was given as one line of valid UTF-8 without control characters, of at most `max_length` characters.

    A text that is longer ends in a note that says so and how long it was. Never raises.
    """
    text = to_text(value)
    length = len(text)
    # What is far too long is cut before it is searched; an escape is at most six characters.
    text = redact_text(text if length <= max_length else text[: max_length + _MARGIN])
    text = escape_controls(text if length <= max_length else text[:max_length])
    if length <= max_length and len(text) <= max_length:
        return text
    note = f"… [cut: {length:,} characters]"
    return text[: max(0, max_length - len(note))] + note


def clean_lines(value: object, max_length: int = defaults.MAX_TRACEBACK_LENGTH) -> str:
    """As `clean_text`, but lines stay lines, and of a text that is too long the end is kept: a traceback says there
    what happened. Never raises."""
    text = to_text(value)
    length = len(text)
    text = redact_traceback(text[-max_length - _MARGIN :])
    # `split` and not `splitlines`, which takes characters that are escaped here for ends of lines.
    clean = "\n".join(map(escape_controls, text[-max_length:].replace("\r\n", "\n").split("\n")))
    if length <= max_length and len(clean) <= max_length:
        return clean
    note = f"[cut: {length:,} characters] …"
    return note + clean[-max(1, max_length - len(note)) :]


def is_clean(text: str) -> bool:
    """Whether `escape_controls` would leave the text as it is."""
    return text.isprintable() or _UNFIT.search(text) is None


def to_number(value: Any) -> float | None:
    """A finite float from a number or the text of one (Decimal, numpy's and the like included); None when it is none,
    or not finite. Never raises."""
    try:
        number = float(value)
    except BaseException as error:
        put_off(error)
        return None
    return number if math.isfinite(number) else None


def to_seconds(value: Any) -> float | None:
    """A duration that can be added up from a number of seconds or the text of one: what is below zero (a clock that
    went back) is zero. None when it is no number, not finite, or more than `defaults.MAX_DURATION_S`. Never raises."""
    number = to_number(value)
    return None if number is None or number > defaults.MAX_DURATION_S else max(number, 0.0)


def to_size(value: Any) -> int | None:
    """A number of bytes from a number or the text of one: rounded, not below zero, and not above
    `defaults.MAX_RESPONSE_BYTES`. None when it is no number, or not finite. Never raises."""
    if type(value) is int:
        size: int = value
    else:
        number = to_number(value)
        if number is None:
            return None
        size = round(number)
    return min(max(size, 0), defaults.MAX_RESPONSE_BYTES)

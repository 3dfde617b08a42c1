"""Kinds of errors: the message under which an error is counted, and its occurrences; no I/O, no clock."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from obswarm import defaults
from obswarm.killed import put_off
from obswarm.redact import redact_text
from obswarm.sanitize import escape_controls, is_a, to_text, type_name
from obswarm.stats.keys import EndpointKey


class ErrorKey(NamedTuple):
    method: str
    name: str
    message: str

    @property
    def endpoint(self) -> EndpointKey:
        return EndpointKey(self.method, self.name)


OTHER_ERRORS = ErrorKey("", "(other)", "(other errors)")


@dataclass(slots=True)
class ErrorStats:
    """Occurrences of a kind of error: their number, and the wall times of the first and the last one, in seconds.

    `example` is the full text of one error if the message is a common form; else it is empty."""

    count: int
    first_seen_s: float
    last_seen_s: float
    example: str = ""

    def merge(self, other: "ErrorStats") -> None:
        if other.example and (not self.example or self._is_later(other)):
            self.example = other.example
        self.count += other.count
        self.first_seen_s = min(self.first_seen_s, other.first_seen_s)
        self.last_seen_s = max(self.last_seen_s, other.last_seen_s)

    def copy(self) -> "ErrorStats":
        return ErrorStats(self.count, self.first_seen_s, self.last_seen_s, self.example)

    def _is_later(self, other: "ErrorStats") -> bool:
        return (self.first_seen_s, self.example) > (other.first_seen_s, other.example)


_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}\b")
_UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
_LONG_HEX = re.compile(r"\b(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{16,}\b")
_LONG_NUMBER = re.compile(r"\b\d{6,}\b")


CUT = "… [cut]"


def normalise_error(message: object) -> str:
    """Return the message without the parts that vary between errors of one kind: addresses, ids, long numbers.

    White space is folded, control characters are escaped, and the length is limited, so that a target whose errors are
    whole pages cannot fill the memory.
    """
    text = message if type(message) is str else to_text(message)
    limit = defaults.MAX_ERROR_LENGTH * 4
    return _normalised(text[:limit], len(text) > limit)


_PLACEHOLDER = re.compile("0x…|<(?:uuid|number|hex)>")


def error_example(text: str, message: str) -> str:
    """Return the full text of an error whose message has placeholders, clean and of limited length; an empty text if
    the message is the full text."""
    if not _PLACEHOLDER.search(message):
        return ""
    example = redact_text(" ".join(text[: defaults.MAX_ERROR_LENGTH * 4].split()))
    example = escape_controls(example)
    if len(example) > defaults.MAX_EXAMPLE_LENGTH:
        example = example[: defaults.MAX_EXAMPLE_LENGTH - len(CUT)] + CUT
    # Without its end, the example of a long text may have another message.
    return example if example != message and normalise_error(example) == message else ""


@lru_cache(maxsize=256)
def _normalised(text: str, is_cut: bool) -> str:
    """Return the normalised text. It is cached, since most failures of a run have the same few texts."""
    text = redact_text(" ".join(text.split()))
    text = _ADDRESS.sub("0x…", text)
    text = _UUID.sub("<uuid>", text)
    text = _LONG_NUMBER.sub("<number>", text)
    text = _LONG_HEX.sub("<hex>", text)
    text = escape_controls(text)
    if len(text) > defaults.MAX_ERROR_LENGTH or is_cut:
        # The length is left out, so that texts that differ only in length are one kind.
        text = text[: defaults.MAX_ERROR_LENGTH - len(CUT)] + CUT
    return text


def describe_error(error: object) -> str:
    """Return the message under which an error is counted: its `error_text`, normalised. Never raises."""
    return normalise_error(error_text(error)) or FAILED


FAILED = "failed"
"""Message of an error without a text."""


def error_text(error: object) -> str:
    """Return the text of an error, or of an exception, its type's name and its text.

    Exceptions with a true attribute `has_full_message` are their text alone. Never raises, for any object.
    """
    if error is None:
        return FAILED
    if not is_a(error, BaseException):
        return to_text(error)
    text = to_text(error)
    if text and _has_full_message(error):
        return text
    name = type_name(error)
    return f"{name}: {text}" if text else name


def _has_full_message(error: object) -> bool:
    try:
        return bool(getattr(error, "has_full_message", False))
    except BaseException as raised:
        put_off(raised)
        return False

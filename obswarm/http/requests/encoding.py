"""Forms, query parameters and headers as requests encodes them, in less time for the values that most of them
have."""

import re
from typing import Any
from urllib.parse import quote_plus

_PLAIN = frozenset((str, int, float, bool))
_is_safe = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch
is_plain_value = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?").fullmatch
"""Whether a header may have the value, and is sent with it unchanged: printable ASCII without blanks around it."""


class Unusual(Exception):
    """A value that is left to requests."""


def encode_pairs(pairs: Any) -> str:
    """Encode a dict, or a list of pairs, as application/x-www-form-urlencoded.

    Raises Unusual for others than text and numbers, and lists of them, with nothing read of what can be read once only.
    """
    kind = type(pairs)
    if kind is not dict and kind is not list and kind is not tuple:
        raise Unusual
    encoded = []
    for key, value in pairs.items() if kind is dict else pairs:
        kind = type(value)
        if type(key) is not str:
            raise Unusual
        if kind in _PLAIN:
            encoded.append(f"{_quoted(key)}={_quoted(value)}")
        elif kind is list or kind is tuple:
            name = _quoted(key)
            encoded += [f"{name}={_quoted(each)}" for each in value if each is not None]
        elif value is not None:
            raise Unusual
    return "&".join(encoded)


def _quoted(value: Any) -> str:
    if type(value) not in _PLAIN:
        raise Unusual
    text = value if type(value) is str else str(value)
    return text if _is_safe(text) else quote_plus(text)

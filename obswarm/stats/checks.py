"""Validate statistics of a peer: raise Malformed for values that no recorder produces."""

import math
from collections.abc import Collection
from itertools import chain
from typing import Any

from obswarm import defaults
from obswarm.sanitize import is_clean
from obswarm.stats.histogram import FIRST_BUCKET, LAST_BUCKET

LATEST_S = 1e11
"""Largest accepted wall time: the year 5138, to allow for wrong clocks."""

INVALID = "its statistics are invalid"
TOO_MANY = "it reports more requests than are possible"
_WIDEST_BYTES = 16
"""Size limit of an integer that is too large for MessagePack."""


class Malformed(ValueError):
    """Invalid statistics. The message completes a sentence that begins with the peer's name."""


def check(valid: bool, reason: str = INVALID) -> None:
    """Raise Malformed with this reason unless the statistics are valid."""
    if not valid:
        raise Malformed(reason)


def check_natural(value: Any, limit: float = math.inf) -> int:
    """Return the value, an integer between 0 and `limit`."""
    if type(value) is not int or value < 0:
        raise Malformed(INVALID)
    if value > limit:
        raise Malformed(TOO_MANY)
    return value


def check_texts(texts: Collection[Any], longest: int = defaults.MAX_NAME_LENGTH) -> None:
    """Check that all are clean texts of at most `longest` characters."""
    if not texts:
        return
    check(set(map(type, texts)) <= {str} and max(map(len, texts), default=0) <= longest and is_clean("".join(texts)))


def check_buckets(buckets: Any, limit: float) -> None:
    """Check the buckets of a histogram (requests by index), each with at most `limit` requests."""
    check(type(buckets) is dict and set(map(type, chain(buckets, buckets.values()))) <= {int})
    if buckets:
        check(min(buckets) >= FIRST_BUCKET and max(buckets) <= LAST_BUCKET)
        check(min(buckets.values()) > 0)
        check(max(buckets.values()) <= limit, TOO_MANY)


def check_time(value: Any, limit_s: float = LATEST_S) -> None:
    """Check a time or duration in seconds."""
    if type(value) is not float or not 0 <= value <= limit_s:
        raise Malformed(INVALID)


def pack_wide(value: Any) -> bytes:
    """Return the little-endian bytes of a natural number that is too large for MessagePack; its packer's `default`.

    Raises TypeError for anything else.
    """
    if type(value) is not int or value < 0:
        raise TypeError(f"{type(value).__name__} cannot be packed")
    return value.to_bytes((value.bit_length() + 7) // 8, "little")


def unpack_wide(value: int | bytes) -> int:
    """Return the number, which may have been packed by `pack_wide`."""
    return int.from_bytes(value, "little") if isinstance(value, bytes) else value


def check_wide(value: Any) -> None:
    """Check a natural number that may have been packed by `pack_wide`."""
    if type(value) is bytes:
        check(len(value) <= _WIDEST_BYTES)
    else:
        check_natural(value)

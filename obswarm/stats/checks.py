"""Checks of statistics from a peer: raise Malformed for values that no recorder produces."""

import math
from collections.abc import Collection
from itertools import chain
from typing import Any

from obswarm import defaults
from obswarm.sanitize import is_clean
from obswarm.stats.histogram import FIRST_BUCKET, LAST_BUCKET

LATEST_S = 1e11
"""Largest accepted wall time: the year 5138, to allow for wrong clocks."""

NONSENSE = "its statistics make no sense"
TOO_MANY = "it reports more than it can have done"
_WIDEST_BYTES = 16
"""Of an integer that MessagePack has no room for."""


class Malformed(ValueError):
    """Statistics that this version does not send. The text is the end of a sentence about the peer."""


def check(fine: bool, what: str = NONSENSE) -> None:
    if not fine:
        raise Malformed(what)


def check_natural(value: Any, most: float = math.inf) -> int:
    """Return the value, an integer of 0 to `most`."""
    if type(value) is not int or value < 0:
        raise Malformed(NONSENSE)
    if value > most:
        raise Malformed(TOO_MANY)
    return value


def check_texts(texts: Collection[Any], longest: int = defaults.MAX_NAME_LENGTH) -> None:
    """Check that these are clean texts, each at most `longest` characters long."""
    check(set(map(type, texts)) <= {str} and max(map(len, texts), default=0) <= longest and is_clean("".join(texts)))


def check_buckets(buckets: Any, most: float) -> None:
    """Check a histogram's buckets (requests by index), each of at most `most` requests."""
    check(type(buckets) is dict and set(map(type, chain(buckets, buckets.values()))) <= {int})
    if buckets:
        check(min(buckets) >= FIRST_BUCKET and max(buckets) <= LAST_BUCKET)
        check(min(buckets.values()) > 0)
        check(max(buckets.values()) <= most, TOO_MANY)


def check_time(value: Any, most: float = LATEST_S) -> None:
    """Check a time or duration in seconds."""
    if type(value) is not float or not 0 <= value <= most:
        raise Malformed(NONSENSE)


def pack_wide(value: Any) -> bytes:
    """Return the little-endian bytes of a natural number that MessagePack has no room for; the `default` of its packer.

    Raises TypeError for anything else.
    """
    if type(value) is not int or value < 0:
        raise TypeError(f"{type(value).__name__} cannot be packed")
    return value.to_bytes((value.bit_length() + 7) // 8, "little")


def unpack_wide(value: int | bytes) -> int:
    """Return a number that may have been packed by `pack_wide`."""
    return int.from_bytes(value, "little") if isinstance(value, bytes) else value


def check_wide(value: Any) -> None:
    """Check a natural number that may have been packed by `pack_wide`."""
    if type(value) is bytes:
        check(len(value) <= _WIDEST_BYTES)
    else:
        check_natural(value)

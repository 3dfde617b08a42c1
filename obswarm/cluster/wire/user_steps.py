"""Encode changes in the number of users as 32-bit integers, three for each change: milliseconds before the report, the
peak at that moment, and the number of users after it."""

from array import array
from collections.abc import Iterable

from obswarm.bounded_msgpack import Unreadable
from obswarm.stats import MOST_STEPS, UserStep
from obswarm.stats.codec.layout import from_little_endian, to_little_endian

_LARGEST = 2**32 - 1


def pack_user_steps(steps: Iterable[UserStep]) -> bytes:
    """Encode the changes; none are empty bytes."""
    numbers = array("I")
    for age_s, peak, users in steps:
        numbers.extend(min(number, _LARGEST) for number in (round(age_s * 1000), peak, users))
    return to_little_endian(numbers)


def unpack_user_steps(packed: bytes) -> list[UserStep]:
    """Decode the changes. Raises Unreadable."""
    if len(packed) > MOST_STEPS * 12 or len(packed) % 12:
        raise Unreadable("its changes in the number of users cannot be decoded")
    numbers = from_little_endian("I", packed)
    columns = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
    return [UserStep(age_ms / 1000, peak, users) for age_ms, peak, users in columns]

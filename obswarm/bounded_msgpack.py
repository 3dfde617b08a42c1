"""Decode MessagePack of a peer within limits.

One byte of MessagePack can become an empty list of 56 bytes, and five bytes announce a list of four billion items. So
the number of items is limited during decoding.
"""

from typing import Any

import msgpack

_DEEPEST = 32


class Unreadable(ValueError):
    """The bytes are not MessagePack, or exceed a limit."""


def unpack(packed: bytes, max_items: int) -> Any:
    """Decode a value with at most `max_items` items in all of its lists and maps together.

    Raises Unreadable for anything else, and for extension types, including timestamps, which no message contains.
    """
    left = max_items

    def count(container: Any) -> Any:
        nonlocal left
        left -= len(container) + 1
        if left < 0:
            raise Unreadable(f"more than {max_items:,} items")
        return container

    try:
        return msgpack.unpackb(
            packed,
            raw=False,
            strict_map_key=False,
            list_hook=count,
            object_hook=count,
            max_array_len=max_items,
            max_map_len=max_items,
            max_ext_len=0,
        )
    except Unreadable:
        raise
    except (ValueError, TypeError, MemoryError, RecursionError, msgpack.UnpackException) as error:
        if "exceeds max_" in str(error):
            raise Unreadable(f"more than {max_items:,} items, or of a kind that no message has") from None
        raise Unreadable(f"not MessagePack ({type(error).__name__})") from None


def unpack_content(packed: bytes, max_items: int) -> Any:
    """As `unpack`, for values of the load test, whose structure is unknown: at most 32 levels of lists and maps."""
    value = unpack(packed, max_items)
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return value
    raise Unreadable(f"more than {_DEEPEST} levels of lists and maps")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return []
    return [each for each in value if isinstance(each, dict | list)]

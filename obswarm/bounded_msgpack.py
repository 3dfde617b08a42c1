"""MessagePack from a peer, decoded within limits.

One byte of MessagePack can become an empty list of 56 bytes, and five bytes announce a list of four billion items. So
the number of items is bounded while they are made, before anybody looks at what they are.
"""

from typing import Any

import msgpack

_DEEPEST = 32


class Unreadable(ValueError):
    """It is not MessagePack, or more of it than is taken."""


def unpack(packed: bytes, max_items: int) -> Any:
    """Decode a value of at most that many items, those of all lists and maps together.

    Raises Unreadable for anything else, and for what no message has: extension types, and timestamps among them.
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
    """As `unpack`, for values whose form is the load test's own: no more than 32 lists and maps in each other."""
    value = unpack(packed, max_items)
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return value
    raise Unreadable(f"more than {_DEEPEST} lists and maps in each other")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return []
    return [each for each in value if isinstance(each, dict | list)]

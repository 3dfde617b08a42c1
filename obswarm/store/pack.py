"""Codec of the run store's rows: compressed MessagePack of short lists.

Endpoints, errors, workers and metrics of targets have numbers (`Names`), which replace their names in every interval.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import msgpack

from obswarm.sanitize import escape_lines

_LEVEL = 3
"""Compression level of zlib: higher levels take several times as long for rows that are 10 % smaller."""

METRIC, SERIES = "figure", "series"
"""What the names of metrics of the targets' kinds begin with, and those of their further series. A row of samples has
values of one of them."""


class Names:
    """Number names in the order of their first use. `fresh` has the new ones; the caller empties it."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, ...], int] = {}
        self.fresh: list[tuple[int, str]] = []
        """(number, name as JSON)."""

    def number(self, *name: str) -> int:
        """Return the number of a name, a new one if it has none."""
        found = self.numbers.get(name)
        if found is None:
            found = self.numbers[name] = len(self.numbers)
            self.fresh.append((found, json.dumps([escape_lines(each) for each in name], ensure_ascii=False)))
        return found

    def restore(self, rows: Iterable[tuple[int, str]]) -> None:
        """Set the numbers that an earlier process has assigned."""
        self.numbers = {tuple(json.loads(name)): number for number, name in rows}


def pack(document: Any) -> bytes:
    """Return the compressed MessagePack of plain data. Raises TypeError for other objects."""
    packed = msgpack.packb(document, default=_pack_wide, unicode_errors="backslashreplace")
    return zlib.compress(packed, _LEVEL)


def unpack(content: bytes) -> Any:
    """Return the data that `pack` has packed."""
    return msgpack.unpackb(zlib.decompress(content), raw=False, strict_map_key=False, ext_hook=_unpack_wide)


_WIDE = 1
"""MessagePack extension type of integers with more than 64 bits: little-endian, signed."""


def _pack_wide(value: Any) -> msgpack.ExtType:
    if not isinstance(value, int):
        raise TypeError(f"{type(value).__name__} cannot be stored")
    return msgpack.ExtType(_WIDE, value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))


def _unpack_wide(kind: int, content: bytes) -> int:
    if kind != _WIDE:
        raise ValueError(f"unknown extension type {kind}")
    return int.from_bytes(content, "little", signed=True)


def pack_values(values: Mapping[int, float]) -> bytes:
    """Return packed values by number. Whole numbers are packed as integers, which are smaller."""
    return pack(list(chain.from_iterable((number, _short(value)) for number, value in values.items())))


def unpack_values(content: bytes) -> Iterator[tuple[int, float]]:
    """Return the numbers and values that `pack_values` has packed; whole values may be integers."""
    flat = unpack(content)
    return zip(flat[::2], flat[1::2], strict=True)


def _short(value: float) -> float | int:
    return int(value) if value.is_integer() and abs(value) < 2**53 else value

"""Contents of the run store's rows: MessagePack of short lists, compressed.

Endpoints, errors, workers and metrics of targets have numbers (`Names`), which replace their names in every interval.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import msgpack

from obswarm.sanitize import escape_lines

_LEVEL = 3
"""Of zlib: higher ones cost several times as much for a tenth less."""


class Names:
    """Numbers for things with names, in the order in which they come. `fresh` are those since it was last emptied."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, ...], int] = {}
        self.fresh: list[tuple[int, str]] = []
        """(number, name as JSON)."""

    def number(self, *name: str) -> int:
        found = self.numbers.get(name)
        if found is None:
            found = self.numbers[name] = len(self.numbers)
            self.fresh.append((found, json.dumps([escape_lines(each) for each in name], ensure_ascii=False)))
        return found

    def restore(self, rows: Iterable[tuple[int, str]]) -> None:
        """Those that an earlier process has given."""
        self.numbers = {tuple(json.loads(name)): number for number, name in rows}


def pack(document: Any) -> bytes:
    packed = msgpack.packb(document, default=_pack_wide, unicode_errors="backslashreplace")
    return zlib.compress(packed, _LEVEL)


def unpack(content: bytes) -> Any:
    return msgpack.unpackb(zlib.decompress(content), raw=False, strict_map_key=False, ext_hook=_unpack_wide)


_WIDE = 1
"""Number of the extension type for integers that MessagePack has no room for: little-endian, with a sign."""


def _pack_wide(value: Any) -> msgpack.ExtType:
    if not isinstance(value, int):
        raise TypeError(f"{type(value).__name__} cannot be kept")
    return msgpack.ExtType(_WIDE, value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))


def _unpack_wide(kind: int, content: bytes) -> int:
    if kind != _WIDE:
        raise ValueError(f"the extension type {kind} is not known")
    return int.from_bytes(content, "little", signed=True)


def pack_values(values: Mapping[int, float]) -> bytes:
    """Values by number. Whole numbers take less room as such."""
    return pack(list(chain.from_iterable((number, _short(value)) for number, value in values.items())))


def unpack_values(content: bytes) -> dict[int, float]:
    flat = unpack(content)
    return {number: float(value) for number, value in zip(flat[::2], flat[1::2], strict=True)}


def _short(value: float) -> float | int:
    return int(value) if value.is_integer() and abs(value) < 2**53 else value

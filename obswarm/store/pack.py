"""What one second of a run is in the store: MessagePack of short lists, compressed.

Endpoints, errors, workers and figures of targets have numbers (`Names`), which stand for them in every second. Buckets
of histograms are written as gaps and counts, because small numbers take a byte.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import msgpack

from obswarm.sanitize import escape_lines
from obswarm.stats import EndpointKey, EndpointStats, Histogram, TimingStats

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


def pack_endpoint(number: int, stats: EndpointStats) -> list[Any]:
    """Everything but exemplars. Ends where nothing but defaults would follow."""
    row: list[Any] = [
        number,
        _pack_histogram(stats.duration),
        stats.min_s,
        stats.max_s,
        stats.response_bytes,
        stats.successes,
        stats.failures_by,
    ]
    timings = stats.timings
    if timings is not None:
        phases = {phase: _pack_histogram(histogram) for phase, histogram in timings.histograms.items()}
        row.append([timings.counts, timings.sums_ns, phases])
    elif stats.untimed or stats.late:
        row.append(None)
    if stats.untimed or stats.late:
        row.append(stats.untimed)
    if stats.late:
        row.append([[failed, status, number] for (failed, status), number in stats.late.items()])
    return row


def unpack_endpoint(row: list[Any], key: EndpointKey) -> EndpointStats:
    stats = EndpointStats(key)
    _, histogram, stats.min_s, stats.max_s, stats.response_bytes, stats.successes, stats.failures_by = row[:7]
    stats.duration = _unpack_histogram(histogram)
    stats.failures = sum(stats.failures_by.values())
    if len(row) > 7 and row[7] is not None:
        timings = stats.timings = TimingStats()
        timings.counts, timings.sums_ns, phases = row[7]
        timings.histograms = {phase: _unpack_histogram(packed) for phase, packed in phases.items()}
    if len(row) > 8:
        stats.untimed = row[8]
    if len(row) > 9:
        stats.late = {(failed, status): number for failed, status, number in row[9]}
    return stats


def _pack_histogram(histogram: Histogram) -> list[int]:
    """[sum in ns, gap, count, gap, count …]; the first gap is the first bucket's index."""
    packed, before = [histogram.sum_ns], 0
    for index, count in histogram:
        packed.append(index - before)
        packed.append(count)
        before = index
    return packed


def _unpack_histogram(packed: list[int]) -> Histogram:
    buckets: dict[int, int] = {}
    index = 0
    for gap, count in zip(packed[1::2], packed[2::2], strict=True):
        index += gap
        buckets[index] = count
    return Histogram(buckets, packed[0])


def pack_values(values: Mapping[int, float]) -> bytes:
    """Values by number. Whole numbers take less room as such."""
    return pack(list(chain.from_iterable((number, _short(value)) for number, value in values.items())))


def unpack_values(content: bytes) -> dict[int, float]:
    flat = unpack(content)
    return {number: float(value) for number, value in zip(flat[::2], flat[1::2], strict=True)}


def _short(value: float) -> float | int:
    return int(value) if value.is_integer() and abs(value) < 2**53 else value

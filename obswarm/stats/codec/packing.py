"""Pack statistics into deltas with the layout of layout.py. Packing never fails: entries that cannot be packed are
counted in the delta as lost."""

import logging
import sys
from array import array
from collections.abc import Iterator
from itertools import chain
from typing import Any

import msgpack

from obswarm.killed import put_off
from obswarm.sanitize import clean_text
from obswarm.stats.checks import pack_wide
from obswarm.stats.codec.layout import (
    BUCKETS,
    COLUMNS,
    KINDS,
    LIGHT,
    LOW,
    NOTHING,
    OK,
    VALUE_BITS,
    to_little_endian,
)
from obswarm.stats.codec.summing import DeltaSum
from obswarm.stats.custom import pack_custom
from obswarm.stats.endpoint import EndpointStats
from obswarm.stats.histogram import FIRST_BUCKET
from obswarm.stats.table import StatsTable
from obswarm.stats.timings import TimingStats

logger = logging.getLogger(__name__)


def pack_table(table: StatsTable, worker: str = "") -> bytes:
    """Return the table as a valid delta. Never raises: entries that cannot be packed, because of a bug, are left out
    and counted as requests that the named worker has lost."""
    try:
        return _readable(table)
    except BaseException as error:
        put_off(error)
        logger.error("Cannot pack statistics (%s); the invalid entries are left out and counted as lost.", error)
        reason = f"it could not be sent ({type(error).__name__})"
    left = StatsTable(sys.maxsize, sys.maxsize)
    for what, requests, piece in _pieces(table):
        try:
            _readable(piece)
            left.merge(piece)
        except BaseException as error:
            put_off(error)
            left.count_lost(clean_text(worker), clean_text(f"{what}: {reason}"), requests)
    for (named, why), requests in table.lost.items():
        left.count_lost(clean_text(named), clean_text(why), requests)
    return pack_unchecked(left)


def pack_delta(table: StatsTable, worker: str, max_bytes: int) -> bytes:
    """Return the table as a delta of at most `max_bytes`. A larger delta would be retransmitted without end: it is
    replaced by one that counts its requests as lost."""
    packed = pack_table(table, worker)
    if len(packed) <= max_bytes:
        return packed
    left = StatsTable()
    reason = f"the statistics of an interval were {len(packed):,} bytes, more than the maximum of a message"
    left.count_lost(clean_text(worker), reason, sum(map(_requests, table.endpoints.values())))
    return pack_unchecked(left)


def _readable(table: StatsTable) -> bytes:
    packed = pack_unchecked(table)
    DeltaSum().add(packed)
    return packed


def _pieces(table: StatsTable) -> Iterator[tuple[str, int, StatsTable]]:
    """Yield (description, number of requests, table with this entry alone) for each entry of a table."""
    for endpoint, stats in table.endpoints.items():
        piece = StatsTable()
        piece.endpoints[endpoint] = stats
        yield f"requests of {' '.join(filter(None, map(clean_text, endpoint)))}", _requests(stats), piece
    for entries in ("errors", "exceptions", "iterations", "dropped", "ended", "cut_off", "custom"):
        for key, value in getattr(table, entries).items():
            piece = StatsTable()
            getattr(piece, entries)[key] = value
            yield f"{entries} {clean_text(key)}", 0, piece
    for name in table.overflow_names:
        piece = StatsTable()
        piece.overflow_names = [name]
        yield f"name {clean_text(name)}", 0, piece


def _requests(stats: EndpointStats) -> int:
    """Return the number of requests, 0 if it is unknown."""
    try:
        return max(0, int(stats.requests))
    except BaseException as error:
        put_off(error)
        return 0


def pack_unchecked(table: StatsTable) -> bytes:
    """Return the table as a delta. For a table with values that no recorder produces, it may raise any exception or
    return an invalid delta."""
    every = sorted(table.endpoints.items())
    columns: list[list[int]] = [[] for _ in range(COLUMNS)]
    shortest, longest = [], []
    light = array("I")
    heavy: list[Any] = []
    fields: list[Any] = []
    wide: list[Any] = []
    for number, (_, stats) in enumerate(every):
        base = number * BUCKETS - FIRST_BUCKET
        many = {}
        for index, count in stats.duration.buckets.items():
            if count <= LIGHT:
                light.extend((base + index,) * count)
            else:
                many[index] = count
        if many:
            heavy.append([number, many])
        timings = stats.timings or TimingStats()
        row: tuple[int, ...] = (
            stats.response_bytes,
            stats.duration.sum_ns,
            stats.successes.get(OK, 0),
            *timings.counts,
            *timings.sums_ns,
        )
        if max(row) > LOW:
            wide.extend([number, column, value >> VALUE_BITS] for column, value in enumerate(row) if value > LOW)
            row = tuple(value & LOW for value in row)
        for column, value in zip(columns, row, strict=True):
            column.append(value)
        shortest.append(NOTHING if stats.min_s is None else stats.min_s)
        longest.append(NOTHING if stats.max_s is None else stats.max_s)
        for name, kind in KINDS.items():
            value = _outside_of_columns(name, getattr(stats, name))
            if not kind.is_empty(value):
                fields.append([number, name, kind.pack(value)])
    packed: bytes = msgpack.packb(
        [
            msgpack.packb(list(chain.from_iterable(key for key, _ in every))),
            to_little_endian(array("Q", chain.from_iterable(columns))),
            to_little_endian(array("d", chain(shortest, longest))),
            to_little_endian(light),
            heavy,
            fields,
            [
                [*key, seen.count, seen.first_seen_s, seen.last_seen_s, seen.example]
                for key, seen in table.errors.items()
            ],
            [[found.message, found.traceback, found.count] for found in table.exceptions.values()],
            table.iterations,
            [[*key, seen.count, seen.oldest_s] for key, seen in table.cut_off.items()],
            table.overflow_names,
            wide,
            [[*key, requests] for key, requests in table.lost.items()],
            pack_custom(table.custom),
            [[*key, number] for key, number in table.dropped.items()],
            [[*key, number] for key, number in table.ended.items()],
        ],
        default=pack_wide,
    )
    return packed


def _outside_of_columns(name: str, value: Any) -> Any:
    """Return the part of a field's value that is not in columns, or an empty value."""
    match name:
        case "successes":
            return {status: count for status, count in value.items() if status != OK}
        case "timings":
            if value is None or not value.histograms:
                return None
            detailed = TimingStats()
            detailed.histograms = value.histograms
            return detailed
    return value

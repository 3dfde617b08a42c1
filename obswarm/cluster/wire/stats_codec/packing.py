"""Statistics made into deltas, laid out as in layout.py. Whatever is in a table, a delta comes out: what of it cannot
be packed is named in there as lost."""

import logging
import sys
from array import array
from collections.abc import Iterator
from itertools import chain
from typing import Any

import msgpack

from obswarm.cluster.wire.messages import LARGEST_FRAME_BYTES
from obswarm.cluster.wire.stats_codec.layout import (
    BUCKETS,
    COLUMNS,
    LIGHT,
    LOW,
    NOTHING,
    OK,
    VALUE_BITS,
    to_little_endian,
)
from obswarm.cluster.wire.stats_codec.summing import DeltaSum
from obswarm.killed import put_off
from obswarm.sanitize import clean_text
from obswarm.stats import EndpointStats, StatsTable, TimingStats
from obswarm.stats.histogram import FIRST_BUCKET

logger = logging.getLogger(__name__)

MAX_DELTA_BYTES = LARGEST_FRAME_BYTES - 16 * 1024 * 1024
"""A report has more in it: users, and requests under way."""


def pack_table(table: StatsTable, worker: str = "") -> bytes:
    """All that the table holds, as a delta that can be read. Never raises: what is nothing that could be counted, by
    some fault of this program, is left out and counted as lost by the worker of that name."""
    try:
        return _readable(table)
    except BaseException as error:
        put_off(error)
        logger.error("Statistics cannot be packed (%s); what of them cannot is left out and counted as lost.", error)
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


def pack_delta(table: StatsTable, worker: str) -> bytes:
    """As `pack_table`, for a report. One that is larger than a message can be is named as lost in its place: it could
    be sent for ever, and would never arrive."""
    packed = pack_table(table, worker)
    if len(packed) <= MAX_DELTA_BYTES:
        return packed
    left = StatsTable()
    reason = f"the statistics of an interval were {len(packed):,} bytes, more than a message can have"
    left.count_lost(clean_text(worker), reason, sum(map(_requests, table.endpoints.values())))
    return pack_unchecked(left)


def _readable(table: StatsTable) -> bytes:
    packed = pack_unchecked(table)
    DeltaSum().add(packed)
    return packed


def _pieces(table: StatsTable) -> Iterator[tuple[str, int, StatsTable]]:
    """Each entry of a table in a table of its own, with what it is, and how many requests are in it."""
    for endpoint, stats in table.endpoints.items():
        piece = StatsTable()
        piece.endpoints[endpoint] = stats
        yield f"requests of {' '.join(map(clean_text, endpoint))}", _requests(stats), piece
    for entries in ("errors", "exceptions", "iterations", "cut_off"):
        for key, value in getattr(table, entries).items():
            piece = StatsTable()
            getattr(piece, entries)[key] = value
            yield f"{entries} {clean_text(key)}", 0, piece
    for name in table.overflow_names:
        piece = StatsTable()
        piece.overflow_names = [name]
        yield f"name {clean_text(name)}", 0, piece


def _requests(stats: EndpointStats) -> int:
    """How many there are, if that can be said."""
    try:
        return max(0, int(stats.requests))
    except BaseException as error:
        put_off(error)
        return 0


def pack_unchecked(table: StatsTable) -> bytes:
    """All that the table holds, as a delta. Of a table with what no recorder lets in, it raises anything, or gives a
    delta that cannot be read."""
    every = sorted(table.endpoints.items())
    columns: list[list[int]] = [[] for _ in range(COLUMNS)]
    shortest, longest = [], []
    light = array("I")
    heavy: list[Any] = []
    statuses: list[Any] = []
    phases: list[Any] = []
    exemplars: list[Any] = []
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
        statuses.extend([number, False, status, count] for status, count in stats.successes.items() if status != OK)
        statuses.extend([number, True, status, count] for status, count in stats.failures_by.items())
        phases.extend(
            [number, name, each.sum_ns >> VALUE_BITS, each.sum_ns & LOW, each.buckets]
            for name, each in timings.histograms.items()
        )
        exemplars.extend([number, *exemplar] for exemplar in stats.exemplars())
    packed: bytes = msgpack.packb(
        [
            msgpack.packb(list(chain.from_iterable(key for key, _ in every))),
            to_little_endian(array("Q", chain.from_iterable(columns))),
            to_little_endian(array("d", chain(shortest, longest))),
            to_little_endian(light),
            heavy,
            statuses,
            phases,
            exemplars,
            [
                [*key, seen.count, seen.first_seen_s, seen.last_seen_s, seen.example]
                for key, seen in table.errors.items()
            ],
            [[found.message, found.traceback, found.count] for found in table.exceptions.values()],
            table.iterations,
            [[*key, seen.count, seen.oldest_s] for key, seen in table.cut_off.items()],
            table.overflow_names,
            wide,
            [[number, stats.untimed] for number, (_, stats) in enumerate(every) if stats.untimed],
            [[*key, requests] for key, requests in table.lost.items()],
            [
                [number, failed, status, requests]
                for number, (_, stats) in enumerate(every)
                for (failed, status), requests in stats.late.items()
            ],
        ]
    )
    return packed

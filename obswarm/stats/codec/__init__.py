"""Codec of the statistics table: deltas for workers, the journal and clients of a master, and rows for the run store.
The fields of an endpoint come from obswarm.stats.endpoint.FIELDS."""

from obswarm.stats.checks import Malformed
from obswarm.stats.codec.bounds import MOST_PROCESSES, OutOfBounds, TableBounds
from obswarm.stats.codec.in_flight import (
    NOTHING,
    Columns,
    merge_columns,
    pack_in_flight,
    unpack_columns,
    unpack_in_flight,
)
from obswarm.stats.codec.packing import pack_delta, pack_table, pack_unchecked
from obswarm.stats.codec.rows import pack_row, unpack_row
from obswarm.stats.codec.summing import DeltaSum

__all__ = [
    "MOST_PROCESSES",
    "NOTHING",
    "Columns",
    "DeltaSum",
    "Malformed",
    "OutOfBounds",
    "TableBounds",
    "merge_columns",
    "pack_delta",
    "pack_in_flight",
    "pack_row",
    "pack_table",
    "pack_unchecked",
    "unpack_columns",
    "unpack_in_flight",
    "unpack_row",
]

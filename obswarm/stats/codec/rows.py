"""Codec of an endpoint's statistics as a row of the run store: its fields in the order of FIELDS, without empty fields
at the end."""

from typing import Any

from obswarm.stats.endpoint import FIELDS, EndpointStats
from obswarm.stats.keys import EndpointKey

_ALWAYS = 6
"""Number of fields that every row has."""

_STORED = tuple((field.name, field.kind) for field in FIELDS if field.is_stored)


def pack_row(stats: EndpointStats) -> list[Any]:
    """Return the fields that are stored, as plain data."""
    last = len(_STORED)
    while last > _ALWAYS and _STORED[last - 1][1].is_empty(getattr(stats, _STORED[last - 1][0])):
        last -= 1
    return [kind.pack(getattr(stats, name)) for name, kind in _STORED[:last]]


def unpack_row(row: list[Any], key: EndpointKey) -> EndpointStats:
    """Return the statistics of a row. Rows of earlier versions, with fewer fields, can be read."""
    stats = EndpointStats(key)
    for (name, kind), packed in zip(_STORED, row, strict=False):
        setattr(stats, name, kind.unpack(packed))
    return stats

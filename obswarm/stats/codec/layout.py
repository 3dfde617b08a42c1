"""Layout of a delta: what a worker counted since its last report, and the statistics of a whole run.

Columns, not rows: a master with a thousand workers gets fifty thousand endpoints a second, so that both reading and
adding have to be done in C loops. A delta is a MessagePack array of

- names: MessagePack of method, name, method, name …, sorted, as bytes
- integers: 64-bit little-endian, column after column (`COLUMNS`), one value an endpoint: its lower `VALUE_BITS`
- seconds: 64-bit floats, the shortest durations of all endpoints and then the longest; -1 where there was no request
- light: 32-bit numbers, one a request: endpoint · 1024 + bucket of the histogram, counted from the first one
- heavy: [endpoint, {bucket: requests}] for buckets that hold more than `LIGHT`, which are not in light
- fields: [endpoint, field, value as packed by its kind] of all that is not in the parts above; nothing for most
- errors: [method, name, message, count, first seen, last seen, example of a message that is a common form]
- exceptions: [message, traceback, count]
- iterations by user class
- cut off: [kind, method, name, count, seconds that the oldest had lasted]
- names of endpoints that count as (other)
- wide: [endpoint, column, value / 2^55] of integers that have more than `VALUE_BITS`
- lost: [worker, reason, requests] that were counted there, and could not be sent
"""

import sys
from array import array
from typing import Any

from obswarm.stats.endpoint import FIELDS
from obswarm.stats.timings import PHASES

LIGHT = 4
OK = "2xx"
BYTES, SUM_NS, SUCCESSES, TIMINGS = range(4)
COLUMNS = TIMINGS + 2 * len(PHASES)
BUCKETS = 1024
NOTHING = -1.0
PARTS = 13

_IN_COLUMNS = frozenset(("duration", "min_s", "max_s", "response_bytes"))
KINDS = {field.name: field.kind for field in FIELDS if field.name not in _IN_COLUMNS}
"""Kinds of the fields that may be in the part `fields`, by name. Of `successes` that is what is not 2xx, of `timings`
the histograms."""

VALUE_BITS = 55
"""Of each integer; 2^55 ns are 417 days of requests. Intervals nearly always fit, sums of whole runs do not."""
LOW = 2**VALUE_BITS - 1


def to_little_endian(values: "array[Any]") -> bytes:
    """Return their bytes, whatever this machine's order is; the array may be changed by that."""
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def from_little_endian(kind: str, raw: bytes) -> "array[Any]":
    """Return the values of a kind of `array.array`. Raises ValueError when the bytes are not a whole number of them."""
    values: array[Any] = array(kind)
    values.frombytes(raw)
    if sys.byteorder == "big":
        values.byteswap()
    return values

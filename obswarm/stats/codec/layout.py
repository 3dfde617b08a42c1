"""Layout of a delta: the statistics of a worker since its last report, or of a whole run.

It has columns instead of rows: a master with a thousand workers receives 50,000 endpoints per second, so that both
reading and adding have to run in C loops. A delta is a MessagePack array of

- names: MessagePack of method, name, scenario, method, name, scenario …, sorted, as bytes
- integers: 64-bit little-endian, column after column (`COLUMNS`), one value for each endpoint: its lower `VALUE_BITS`
- seconds: 64-bit floats, the shortest durations of all endpoints and then the longest; -1 without a request
- light: one 32-bit number for each request: endpoint · 1024 + index of its histogram bucket, counted from the first
  bucket
- heavy: [endpoint, {bucket: requests}] for buckets with more than `LIGHT` requests, which are not in light
- fields: [endpoint, field, value as packed by its kind] for values that are not in the parts above; usually few
- errors: [method, name, message, count, first seen, last seen, example if the message is a common form]
- exceptions: [message, traceback, count]
- iterations by user class
- cut off: [kind, method, name, count, longest duration in seconds]
- names of endpoints that count as (other)
- wide: [endpoint, column, value / 2^55] of integers with more than `VALUE_BITS`
- lost: [worker, reason, requests] for requests that the worker has counted and could not send
- custom: [name, kind, unit, [label, value …], values] of each series of the load test's own metrics
- dropped: [user class, reason, iterations] for iterations that were planned and not started
- ended: [limit, process, iterations] for iterations of a limited number that have ended
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
PARTS = 16

_IN_COLUMNS = frozenset(("duration", "min_s", "max_s", "response_bytes"))
KINDS = {field.name: field.kind for field in FIELDS if field.name not in _IN_COLUMNS}
"""Kinds of the fields in the part `fields`, by name. Of `successes`, that part has statuses other than 2xx; of
`timings`, the histograms."""

VALUE_BITS = 55
"""Bits of each integer; 2^55 ns are 417 days of requests. Intervals nearly always fit, sums of whole runs do not."""
LOW = 2**VALUE_BITS - 1


def to_little_endian(values: "array[Any]") -> bytes:
    """Return the values in little-endian order on every machine. Changes the array on a big-endian one."""
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def from_little_endian(kind: str, raw: bytes) -> "array[Any]":
    """Return an `array.array` of this type code. Raises ValueError unless the bytes are a whole number of values."""
    values: array[Any] = array(kind)
    values.frombytes(raw)
    if sys.byteorder == "big":
        values.byteswap()
    return values

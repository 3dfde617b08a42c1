"""Statistics on the wire: what a worker counted since its last report, and many of those added up.

Columns, not rows: a master with a thousand workers gets fifty thousand endpoints a second, so that both reading and
adding have to be done in C loops. A delta is a MessagePack array of

- names: MessagePack of method, name, method, name …, sorted, as bytes
- integers: 64-bit little-endian, column after column (`COLUMNS`), one value an endpoint: its lower `VALUE_BITS`
- seconds: 64-bit floats, the shortest durations of all endpoints and then the longest; -1 where there was no request
- light: 32-bit numbers, one a request: endpoint · 1024 + bucket of the histogram, counted from the first one
- heavy: [endpoint, {bucket: requests}] for buckets that hold more than `LIGHT`, which do not stand in light
- statuses: [endpoint, failed, status class, requests] for all but successes with 2xx
- phases: [endpoint, phase, nanoseconds / 2^55, rest, {bucket: requests}] where detailed timings are kept
- exemplars: [endpoint, trace id, seconds, wall time]
- errors: [method, name, message, count, first seen, last seen, example of a message that is a common form]
- exceptions: [message, traceback, count]
- iterations by user class
- cut off: [kind, method, name, count, seconds that the oldest had lasted]
- names of endpoints that count as (other)
- wide: [endpoint, column, value / 2^55] of integers that have more than `VALUE_BITS`
- untimed: [endpoint, requests] that have no duration, and stand in neither light nor heavy
- lost: [worker, reason, requests] that were counted there, and could not be sent
- late: [endpoint, failed, status class, requests] that finished after the load had ended, and stand in all of the above
"""

import sys
from array import array
from typing import Any

from obswarm.stats import PHASES

LIGHT = 4
OK = "2xx"
BYTES, SUM_NS, SUCCESSES, TIMINGS = range(4)
COLUMNS = TIMINGS + 2 * len(PHASES)
BUCKETS = 1024
NOTHING = -1.0
PARTS = 17

VALUE_BITS = 55
"""Of each integer; 2^55 ns are 417 days of requests. What an interval comes to fits nearly always, sums of whole runs
do not."""
LOW = 2**VALUE_BITS - 1


def to_little_endian(values: "array[Any]") -> bytes:
    """Their bytes, whatever this machine's order is; the array may be changed by that."""
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def from_little_endian(kind: str, raw: bytes) -> "array[Any]":
    """The values of a kind of `array.array`. Raises ValueError when the bytes are not a whole number of them."""
    values: array[Any] = array(kind)
    values.frombytes(raw)
    if sys.byteorder == "big":
        values.byteswap()
    return values

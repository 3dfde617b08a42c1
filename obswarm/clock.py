"""The only source of time: monotonic time for durations, wall time for timestamps."""

import time
from datetime import UTC, datetime

monotonic = time.perf_counter
"""Return seconds of a clock that never goes back; only differences are meaningful."""

wall = time.time
"""Return seconds since the Unix epoch."""


def iso(timestamp_s: float) -> str:
    """Format a wall time as RFC 3339 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`."""
    return datetime.fromtimestamp(timestamp_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

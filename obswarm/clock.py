"""The one source of time: monotonic for durations, wall time for stamps."""

import time
from datetime import UTC, datetime

monotonic = time.perf_counter
"""Seconds on a clock that never goes back; only differences mean something."""

wall = time.time
"""Seconds since the Unix epoch."""


def iso(timestamp_s: float) -> str:
    """A wall time as RFC 3339 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`."""
    return datetime.fromtimestamp(timestamp_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

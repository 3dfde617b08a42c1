"""Progress without a terminal: a plain line every five seconds, without rich."""

import math
import os
from typing import TextIO

from obswarm.cli.window import RecentIntervals
from obswarm.engine import Output
from obswarm.record import Snapshot
from obswarm.stats import total_in_flight
from obswarm.units import format_count, format_duration, format_latency

EVERY_S = 5.0
_OLD_S = 1.0
"""Age from which on the oldest request in flight is shown, in seconds."""


class PlainProgress(Output):
    """Prints a line at the first snapshot, at each change of state, and every five seconds."""

    name = "The progress on standard error"
    required = False

    def __init__(self, stream: TextIO, every_s: float = EVERY_S) -> None:
        self._stream = stream
        self._every_s = every_s
        self._printed_at: float | None = None
        self._state: str | None = None
        self._recent = RecentIntervals()

    def snapshot(self, snapshot: Snapshot) -> None:
        self._recent.add(snapshot)
        due = self._printed_at is None or snapshot.elapsed_s - self._printed_at >= self._every_s - 0.5
        if not due and snapshot.state == self._state:
            return
        self._printed_at = snapshot.elapsed_s
        self._state = snapshot.state
        self._stream.write(progress_line(snapshot, self._recent, self._width()) + "\n")
        self._stream.flush()

    def _width(self) -> float:
        """Return the number of columns of the terminal, infinity for a file."""
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or math.inf
        except (OSError, ValueError):
            return math.inf


def progress_line(snapshot: Snapshot, recent: RecentIntervals, width: float = math.inf) -> str:
    """Return time, state, users, rates and percentiles of the last few seconds in one line. If that is longer than
    `width`, columns are not aligned, and p50 is omitted."""
    total = recent.total()
    p50, p95, p99 = total.quantiles((0.5, 0.95, 0.99)) or (None, None, None)
    # A load that was held takes longer than its plan.
    is_in_plan = snapshot.planned_s and round(snapshot.elapsed_s) <= round(snapshot.planned_s)
    planned = f"/{format_duration(snapshot.planned_s)}" if snapshot.planned_s and is_in_plan else ""
    parts = [
        f"{format_duration(round(snapshot.elapsed_s))}{planned}".rjust(9),
        f"{snapshot.state:<9}",
        f"{users_text(snapshot, '/')} users".rjust(15),
        f"{format_count(recent.rate(total.requests))} req/s".rjust(13),
        f"{format_count(recent.rate(total.failures))} fail/s".rjust(13),
        f"p50 {format_latency(p50)}",
        f"p95 {format_latency(p95)}",
        f"p99 {format_latency(p99)}",
    ]
    if snapshot.is_open:
        parts.insert(3, f"{format_count(recent.iterations_rate)}/{format_count(snapshot.rate_target)} iter/s")
        intended = total.intended_duration
        parts.append(f"from intended start p95 {format_latency(None if intended is None else intended.quantile(0.95))}")
    if snapshot.iterations_target:
        parts.insert(3, f"iterations {limited_text(snapshot)}")
    if recent.dropped:
        parts.append(f"{format_count(recent.rate(recent.dropped))} dropped/s")
    in_flight = total_in_flight(snapshot.in_flight.values())
    if in_flight.oldest_s >= _OLD_S:
        parts.append(f"{in_flight.count} in flight, oldest {format_latency(in_flight.oldest_s)}")
    if any(worker.saturated for worker in snapshot.workers):
        parts.append("GENERATOR SATURATED")
    line = "  ".join(parts)
    if len(line) <= width:
        return line
    return " ".join(part.strip() for part in parts if not part.startswith("p50 "))


def users_text(snapshot: Snapshot, separator: str = " of ") -> str:
    """Return the number of users, with the target unless all users are for a rate of iterations."""
    if snapshot.is_open and not snapshot.user_target:
        return f"{snapshot.user_count:,}"
    return f"{snapshot.user_count:,}{separator}{snapshot.user_target:,}"


def limited_text(snapshot: Snapshot) -> str:
    """Return how many iterations of a limited number have ended, by user class if each has its own."""
    ended, targets = snapshot.iterations_ended, snapshot.iterations_target
    texts = {name: f"{ended.get(name, 0):,}/{number:,}" for name, number in targets.items()}
    return " · ".join(text if len(texts) == 1 else f"{name} {text}" for name, text in texts.items())

"""Gaps in the metrics of a target, to be hatched in its charts."""

import math
from collections.abc import Iterable, Sequence

from obswarm.units import counted, format_duration

_AT_FIRST_S = 5.0
"""Time until the first values of a target, in seconds, that does not count as a gap."""
_SHORTEST_S = 0.5
_MAX_NAMED = 4

Gap = tuple[float, float]
"""(start, end) in seconds since the start of the run."""


def gaps_of(metrics: Iterable[Sequence[tuple[float, float]]], start_s: float, end_s: float) -> list[Gap]:
    """Return the gaps between `start_s` and `end_s` in which no metric had a value. Each metric is a list of its
    changes, (time, value), with NaN where its values end."""
    changes: dict[float, dict[int, bool]] = {start_s: {}, end_s: {}}
    for number, points in enumerate(metrics):
        for time_s, value in points:
            changes.setdefault(time_s, {})[number] = not math.isnan(value)
    known: set[int] = set()
    gaps: list[Gap] = []
    begin_s: float | None = None
    for time_s in sorted(changes):
        for number, has_value in changes[time_s].items():
            (known.add if has_value else known.discard)(number)
        if not known and begin_s is None:
            begin_s = time_s
        elif begin_s is not None and (known or time_s == end_s):
            gaps.append((max(begin_s, start_s) - start_s, min(time_s, end_s) - start_s))
            begin_s = None
    return [gap for gap in gaps if gap[1] - gap[0] >= (_SHORTEST_S if gap[0] else _AT_FIRST_S)]


def gaps_text(gaps: Sequence[Gap]) -> str:
    """Return a sentence on the gaps; empty if there are none."""
    if not gaps:
        return ""
    total = format_duration(round(sum(to_s - from_s for from_s, to_s in gaps)))
    named = ", ".join(f"{_clock(from_s)} to {_clock(to_s)}" for from_s, to_s in gaps[:_MAX_NAMED])
    more = f" and {counted(len(gaps) - _MAX_NAMED, 'more gap')}" if len(gaps) > _MAX_NAMED else ""
    return f"No data for {total}: {named}{more}."


def _clock(seconds: float) -> str:
    """Format a time as on the time axis."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

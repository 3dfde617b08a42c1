"""Changes of a load test's own metrics between two runs."""

from collections.abc import Sequence

from obswarm.analysis import Change, mean_change, spans
from obswarm.record import Interval, RunRecord
from obswarm.stats import CustomKey, CustomKind, CustomStats, summed

_LEAST_CHANGE = 0.02
"""Smaller relative changes are never significant, as those of throughput and latencies."""
_STATISTICS = {
    CustomKind.COUNTER: "per second",
    CustomKind.GAUGE: "value",
    CustomKind.HISTOGRAM: "mean",
}


def custom_changes(
    base: RunRecord, run: RunRecord, before: Sequence[Interval], after: Sequence[Interval], blocks: int
) -> dict[tuple[CustomKey, str], Change]:
    """Return the change of each series that both runs have, by series and statistic, from these intervals."""
    found = {}
    for key in sorted(base.custom.keys() & run.custom.keys()):
        statistic = _STATISTICS[key.kind]
        values = [_values(intervals, key, blocks) for intervals in (before, after)]
        found[key, statistic] = mean_change(f"{key.label} {statistic}", values[0], values[1], least=_LEAST_CHANGE)
    return found


def _values(intervals: Sequence[Interval], key: CustomKey, blocks: int) -> list[float]:
    """Return the value of each block of time that has one."""
    values = []
    for begin, end in spans(len(intervals), blocks):
        part = intervals[begin:end]
        stats = summed(interval.custom[key] for interval in part if key in interval.custom)
        value = _value(stats, key.kind, sum(interval.interval_s for interval in part))
        if value is not None:
            values.append(value)
    return values


def _value(stats: CustomStats, kind: CustomKind, seconds: float) -> float | None:
    if kind is CustomKind.COUNTER:
        return stats.sum / seconds if seconds else None
    return stats.mean if kind is CustomKind.HISTOGRAM else stats.last

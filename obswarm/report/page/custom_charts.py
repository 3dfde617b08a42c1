"""Charts of a load test's own metrics over time."""

from collections.abc import Sequence
from typing import Any

from obswarm.record import RunRecord
from obswarm.report.page.chart import MAX_LINES, Column, chart
from obswarm.report.page.steps import Step
from obswarm.stats import CustomKey, CustomKind, CustomStats, summed

MAX_CUSTOM_CHARTS = 20
_QUANTILES = (0.5, 0.95, 0.99)


def custom_groups(record: RunRecord, steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return a group with a chart for each of the load test's own metrics, none without any."""
    by_name: dict[str, list[CustomKey]] = {}
    for key in sorted(record.custom):
        by_name.setdefault(key.name, []).append(key)
    charts = [_custom_chart(keys[:MAX_LINES], steps) for keys in list(by_name.values())[:MAX_CUSTOM_CHARTS]]
    return [{"title": "Metrics of the load test", "charts": charts}] if charts else []


def _sums(key: CustomKey, steps: Sequence[Step]) -> list[CustomStats]:
    return [summed(each.custom[key] for each in step.intervals if key in each.custom) for step in steps]


def custom_column(key: CustomKey, steps: Sequence[Step]) -> Column:
    """Return a metric of the load test over time as a comparison shows it: sum per second of a counter, value of a
    gauge, mean of a histogram."""
    sums = _sums(key, steps)
    if key.kind is CustomKind.COUNTER:
        return [stats.sum / step.rate_s for stats, step in zip(sums, steps, strict=True)]
    return _latest(sums) if key.kind is CustomKind.GAUGE else [stats.mean for stats in sums]


def _custom_chart(keys: Sequence[CustomKey], steps: Sequence[Step]) -> dict[str, Any]:
    """Return the chart of one metric: sums per second of a counter, values of a gauge, percentiles of a histogram."""
    first = keys[0]
    sums = {key: _sums(key, steps) for key in keys}
    unit = f", {first.unit}" if first.unit else ""
    if first.kind is CustomKind.COUNTER:
        lines: list[tuple[str, Column]] = [(key.label, custom_column(key, steps)) for key in keys]
        return chart(f"{first.name}{unit} per second", "number", lines)
    if first.kind is CustomKind.GAUGE:
        return chart(f"{first.name}{unit}", "number", [(key.label, _latest(sums[key])) for key in keys])
    quantiles = _QUANTILES if len(keys) == 1 else (0.95,)
    return chart(
        f"{first.name}{unit}",
        "number",
        [(f"{key.label} p{q * 100:.0f}", [each.quantile(q) for each in sums[key]]) for key in keys for q in quantiles],
    )


def _latest(sums: Sequence[CustomStats]) -> Column:
    """Return the value of a gauge at the end of each step: the last one that was set, None before."""
    values: Column = []
    for stats in sums:
        before = values[-1] if values else None
        values.append(before if stats.last is None else stats.last)
    return values

"""Format measurements and differences between runs for the terminal and HTML reports."""

from obswarm.record import MetricKey
from obswarm.report.compare import FASTER, INCONCLUSIVE, SAME, SLOWER, Comparison, Difference
from obswarm.units import (
    format_duration,
    format_latency,
    format_names,
    format_percent,
    format_rate,
)


def tone_of(difference: Difference) -> str:
    """Return the CSS class of a difference: good, bad or empty."""
    return {FASTER: "good", "better": "good", SLOWER: "bad", "worse": "bad"}.get(difference.verdict, "")


def value_of(measure: str, value: float | None) -> str:
    """Format a measure of the load test."""
    if value is None:
        return "–"
    if measure == "throughput":
        return format_rate(value)
    return format_percent(value, 2) if measure == "error ratio" else format_latency(value)


def change_text(difference: Difference) -> str:
    """Format the change of a difference; empty if unknown."""
    change = difference.change.change
    return "" if change is None else _percent(difference, change)


def confidence_interval_text(difference: Difference) -> str:
    """Format the confidence interval of a change; empty if unknown."""
    low, high = difference.change.low, difference.change.high
    return "" if low is None or high is None else f"{_percent(difference, low)} … {_percent(difference, high)}"


def _percent(difference: Difference, value: float) -> str:
    return f"{value:+.1%}" if difference.change.measure.is_ratio else f"{value * 100:+.2f} points"


def target_metric_name(metric: MetricKey) -> str:
    return f"{metric.target}: {metric.name}"


def compared_extent(found: Comparison) -> str:
    """Format how much of the two runs was compared."""
    return f"{format_duration(found.seconds)} of both" + (f", in {found.blocks} blocks" if found.blocks else "")


def inconclusive_sentences(found: Comparison) -> list[str]:
    """Return sentences on endpoints without a verdict, grouped by reason."""
    by_reason: dict[str, list[str]] = {}
    for key, why in found.inconclusive():
        by_reason.setdefault(why, []).append(key.label)
    if not found.blocks:
        return [f"{INCONCLUSIVE.capitalize()}: {why}." for why in by_reason]
    return [f"{format_names(names)}: {INCONCLUSIVE} ({why})." for why, names in by_reason.items()]


def one_sided_sentences(found: Comparison) -> list[str]:
    """Return a sentence for each run with the endpoints that only it has."""
    by_run: dict[str, list[str]] = {}
    for key, where in found.only.items():
        by_run.setdefault(where, []).append(key.label)
    return [f"Only in {where}: {format_names(names)}." for where, names in by_run.items()]


__all__ = [
    "INCONCLUSIVE",
    "SAME",
    "change_text",
    "compared_extent",
    "confidence_interval_text",
    "inconclusive_sentences",
    "one_sided_sentences",
    "target_metric_name",
    "tone_of",
    "value_of",
]

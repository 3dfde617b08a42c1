"""Format measurements and differences between runs for the terminal and HTML reports."""

from collections.abc import Mapping
from typing import Any

from obswarm.record import GuardState, MetricKey, lacks_data
from obswarm.report.compare import FASTER, INCONCLUSIVE, SAME, SLOWER, Comparison, Difference
from obswarm.units import (
    format_duration,
    format_latency,
    format_names,
    format_percent,
    format_rate,
)

_NO_DATA_FROM_S = 0.5


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


def generator_sentence(saturated: bool, max_cpu_ratio: float | None, max_loop_lag_s: float | None) -> str:
    """Return a sentence on whether the load generator was the bottleneck, with its maxima (None if not finite)."""
    cpu = "–" if max_cpu_ratio is None else format_percent(max_cpu_ratio, 0)
    maxima = f"(CPU up to {cpu} of a core, event loop lag up to {format_latency(max_loop_lag_s)})"
    if saturated:
        return (
            f"THE LOAD GENERATOR WAS THE BOTTLENECK during part of the run {maxima}: the target may be faster than"
            " measured."
        )
    return f"The load generator was not the bottleneck {maxima}."


NO_REQUEST_SELECTED = "no request of the run matched its labels"
"""Reason for no data of a guard with label matchers."""


def no_data_text(no_data_s: float, watched_s: float) -> str:
    """Format how long a guard had no data; empty if shorter than one polling interval of a source."""
    if no_data_s < _NO_DATA_FROM_S:
        return ""
    seen_s = round(watched_s - no_data_s, 1)
    # Rounding would make it the whole time, although the guard had data and may have tripped.
    is_nearly_all = seen_s > 0 and round(no_data_s) == round(watched_s)
    shown = f"all but {format_duration(seen_s)}" if is_nearly_all else format_duration(round(no_data_s))
    return f"no data for {shown} of {format_duration(round(watched_s))}"


def no_data_of(guard: Mapping[str, Any]) -> str:
    """Format how long a guard of a stored result had no data, with the reason."""
    text = no_data_text(*_no_data(guard))
    return f"{text}: {guard['no_data_reason']}" if text and guard["no_data_reason"] else text


def guard_outcome(guard: Mapping[str, Any]) -> str:
    """Format the end of a guard of a stored result: its state, how often it tripped, and what data it lacked."""
    state = GuardState(guard["state"])
    tripped = f", tripped {guard['trips']} ×" if guard["trips"] else ""
    if guard.get("stopped"):
        tripped += ", stopped the run"
    if state is GuardState.NO_DATA:
        return f"{state.label}{tripped}: {guard['no_data_reason']}"
    no_data = no_data_of(guard)
    return f"{state.label}{tripped}{f', {no_data}' if no_data else ''}"


def had_little_data(guard: Mapping[str, Any]) -> bool:
    """Return whether a guard of a stored result lacked data for too much of the time."""
    return lacks_data(*_no_data(guard))


def _no_data(guard: Mapping[str, Any]) -> tuple[float, float]:
    return guard.get("no_data_s", 0.0), guard.get("watched_s", 0.0)


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
    "NO_REQUEST_SELECTED",
    "SAME",
    "change_text",
    "compared_extent",
    "confidence_interval_text",
    "generator_sentence",
    "guard_outcome",
    "had_little_data",
    "inconclusive_sentences",
    "no_data_of",
    "no_data_text",
    "one_sided_sentences",
    "target_metric_name",
    "tone_of",
    "value_of",
]

"""Differences between runs in words and numbers for people."""

import math
from collections.abc import Mapping
from typing import Any

from obswarm.report.compare import FASTER, INCONCLUSIVE, SAME, SLOWER, Comparison, Difference
from obswarm.stats import lacks_data
from obswarm.store import MetricKey
from obswarm.targets import Unit
from obswarm.units import (
    format_bytes,
    format_count,
    format_duration,
    format_latency,
    format_names,
    format_not_finite,
)

_NO_DATA_FROM_S = 0.5


def tone_of(difference: Difference) -> str:
    """good, bad, or nothing."""
    return {FASTER: "good", "better": "good", SLOWER: "bad", "worse": "bad"}.get(difference.verdict, "")


def value_of(measure: str, value: float | None) -> str:
    """A measure of a load test."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return format_not_finite(value)
    if measure == "throughput":
        return f"{format_count(value)}/s"
    return f"{value:.2%}" if measure == "error ratio" else format_latency(value)


def figure_value(unit: Unit | str, value: float | None) -> str:
    """A figure of a target."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return format_not_finite(value)
    if unit == "seconds":
        return format_latency(value)
    if unit == "bytes":
        return format_bytes(value)
    if unit == "ratio":
        return f"{value:.1%}"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text}/s" if unit == "per_second" else text


def size_of(difference: Difference) -> str:
    """How much it has changed; empty when that is not known."""
    change = difference.change.change
    return "" if change is None else _percent(difference, change)


def between(difference: Difference) -> str:
    """What it has changed by with confidence."""
    low, high = difference.change.low, difference.change.high
    return "" if low is None or high is None else f"{_percent(difference, low)} … {_percent(difference, high)}"


def _percent(difference: Difference, value: float) -> str:
    return f"{value:+.1%}" if difference.change.measure.is_ratio else f"{value * 100:+.2f} points"


def generator_sentence(saturated: bool, max_cpu_ratio: float | None, max_loop_lag_s: float | None) -> str:
    """Whether the load generator was the bottleneck, with the figures that say so. A figure that JSON had no number for
    is None."""
    cpu = "–" if max_cpu_ratio is None else f"{max_cpu_ratio:.0%}"
    lag = "–" if max_loop_lag_s is None else f"{max_loop_lag_s * 1000:,.0f}"
    figures = f"(CPU up to {cpu} of a core, event loop up to {lag} ms late)"
    if saturated:
        return (
            f"THE LOAD GENERATOR WAS THE BOTTLENECK for a part of the run {figures}: the target may be faster than"
            " these figures."
        )
    return f"The load generator was not the bottleneck {figures}."


NO_REQUEST_SELECTED = "no request of the run matched its labels"
"""Of a guard that is about some endpoints only."""


def no_data_text(no_data_s: float, watched_s: float) -> str:
    """For how long a guard had no data; empty for less than one question to a source."""
    if no_data_s < _NO_DATA_FROM_S:
        return ""
    seen_s = round(watched_s - no_data_s, 1)
    # Rounded, it would be all of the time, and yet the guard may have tripped.
    is_nearly_all = seen_s > 0 and round(no_data_s) == round(watched_s)
    shown = f"all but {format_duration(seen_s)}" if is_nearly_all else format_duration(round(no_data_s))
    return f"no data for {shown} of {format_duration(round(watched_s))}"


def no_data_of(guard: Mapping[str, Any]) -> str:
    """The same with the reason, of a guard of a result, which an earlier version may have kept."""
    text = no_data_text(*_no_data(guard))
    return f"{text}: {guard['no_data_reason']}" if text and guard["no_data_reason"] else text


def had_little_data(guard: Mapping[str, Any]) -> bool:
    """Whether that is too much of the time."""
    return lacks_data(*_no_data(guard))


def _no_data(guard: Mapping[str, Any]) -> tuple[float, float]:
    return guard.get("no_data_s", 0.0), guard.get("watched_s", 0.0)


def figure_name(figure: MetricKey) -> str:
    return f"{figure.target}: {figure.name}"


def extent_of(found: Comparison) -> str:
    """How much of two runs was compared."""
    return f"{found.seconds} s of both" + (f", in {found.blocks} blocks" if found.blocks else "")


def inconclusive_sentences(found: Comparison) -> list[str]:
    """Endpoints without a verdict, with the reason; those with the same reason share a sentence."""
    by_reason: dict[str, list[str]] = {}
    for key, why in found.inconclusive():
        by_reason.setdefault(why, []).append(key.label)
    if not found.blocks:
        return [f"{INCONCLUSIVE.capitalize()}: {why}." for why in by_reason]
    return [f"{format_names(names)}: {INCONCLUSIVE} ({why})." for why, names in by_reason.items()]


def only_sentences(found: Comparison) -> list[str]:
    """Endpoints that one of the runs has alone; one sentence for each run."""
    by_run: dict[str, list[str]] = {}
    for key, where in found.only.items():
        by_run.setdefault(where, []).append(key.label)
    return [f"Only in {where}: {format_names(names)}." for where, names in by_run.items()]


__all__ = [
    "INCONCLUSIVE",
    "NO_REQUEST_SELECTED",
    "SAME",
    "between",
    "extent_of",
    "figure_name",
    "figure_value",
    "generator_sentence",
    "had_little_data",
    "inconclusive_sentences",
    "no_data_of",
    "no_data_text",
    "only_sentences",
    "size_of",
    "tone_of",
    "value_of",
]

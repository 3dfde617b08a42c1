"""Sentences about a run that it shows itself: its load generator, and guards without data."""

from collections.abc import Mapping
from typing import Any

from obswarm.record import GuardState, lacks_data
from obswarm.units import format_duration, format_latency, format_percent

_NO_DATA_FROM_S = 0.5


def generator_sentence(saturated: bool, max_cpu_ratio: float | None, max_loop_lag_s: float | None) -> str:
    """Return a sentence on whether the load generator was the bottleneck, with its maxima (None if not finite)."""
    if not saturated and max_cpu_ratio == 0 and max_loop_lag_s == 0:
        # The run ended before the first measurement, or another master had made them.
        return "Whether the load generator was the bottleneck was not measured."
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

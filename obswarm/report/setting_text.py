"""Format stored settings of a run as they are written on the command line."""

from typing import Any

from obswarm.api import Stage, format_stages
from obswarm.units import format_duration, format_not_finite

DURATIONS = frozenset(
    {
        "alerts_grace",
        "earlier_alerts_max_wait",
        "expect_workers_max_wait",
        "linger",
        "orphan_timeout",
        "remote_write_interval",
        "run_time",
        "stop_timeout",
    }
)
"""Settings that are stored in seconds."""


def setting_text(name: str, value: Any) -> str:
    """Format the stored value of an option: `yes`, `10s:20,1m:40`, `30s`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        if name in DURATIONS:
            return format_duration(value)
        return str(value) if isinstance(value, int) else format_not_finite(value) or f"{value:.15g}"
    if isinstance(value, list):
        if name == "stages":
            try:
                return format_stages([Stage(*each) for each in value])
            except (TypeError, ValueError):
                # Stored in another format by another version.
                pass
        return ", ".join(setting_text("", each) for each in value)
    return str(value)

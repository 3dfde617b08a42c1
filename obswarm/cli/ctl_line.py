"""The state of a run as `obswarm ctl` prints it."""

from typing import Any

from obswarm.units import counted, format_count, format_duration, format_latency, format_percent


def status_line(found: dict[str, Any]) -> str:
    """Return the document of /api/v1/status as a line."""
    if not found["run_id"]:
        return f"{found['state']}: {found['loadtest']}, no run yet"
    planned = f" of {format_duration(found['planned_s'])}" if found["planned_s"] else ""
    parts = [
        f"{found['run_id']} {found['state']}",
        f"{format_duration(round(found['elapsed_s']))}{planned}",
        f"{found['users']:,}/{counted(found['users_target'], 'user')}",
        f"{format_count(found['rps'])} req/s",
        f"{counted(found['requests'], 'request')}",
        f"{format_percent(found['error_ratio'])} failed",
        f"p95 {format_latency(found['p95_s'])}",
    ]
    if found["stop_reason"]:
        parts.append(found["stop_reason"]["detail"])
    return ", ".join(parts)

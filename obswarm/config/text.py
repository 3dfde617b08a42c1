"""Settings of a run as people write them."""

from typing import Any

from obswarm.config.run_config import SETTINGS
from obswarm.units import format_duration, format_not_finite


def setting_text(name: str, value: Any) -> str:
    """Return a value by the name of its setting: `yes`, `10s:20,1m:40`, `30s`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        known = SETTINGS.get(name)
        if known is not None and known.unit == "seconds":
            return format_duration(value)
        return str(value) if isinstance(value, int) else format_not_finite(value) or f"{value:.15g}"
    if isinstance(value, (list, tuple)):
        if name == "stages":
            try:
                return ",".join(f"{format_duration(seconds)}:{int(users)}" for seconds, users in value)
            except (TypeError, ValueError):
                # Kept by another version, in another way.
                pass
        if name == "bind" and len(value) == 2:
            host, port = value
            return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
        return ", ".join(setting_text("", each) for each in value)
    return str(value)

"""Settings of a run as text, in the form of the command line."""

import shlex
from typing import Any

from obswarm.config.run_config import SETTINGS
from obswarm.units import format_limit, format_not_finite

_ONE_WORD = ("stages", "bind")
"""Settings whose values are written as one word."""


def setting_text(name: str, value: Any) -> str:
    """Return a value by the name of its setting: `yes`, `10s:20,1m:40`, `30s`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        known = SETTINGS.get(name)
        if known is not None and known.unit == "seconds":
            return format_limit(value)
        if known is not None and known.unit == "bytes" and value and value % 2**10 == 0:
            return f"{value // 2**20}MiB" if value % 2**20 == 0 else f"{value // 2**10}KiB"
        return str(value) if isinstance(value, int) else format_not_finite(value) or f"{value:.15g}"
    if isinstance(value, (list, tuple)):
        if name == "stages":
            try:
                return ",".join(f"{format_limit(seconds)}:{int(users)}" for seconds, users in value)
            except (TypeError, ValueError):
                # Stored by another version in another format.
                pass
        if name == "bind" and len(value) == 2:
            host, port = value
            return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
        return ", ".join(setting_text("", each) for each in value)
    return str(value)


def option_text(name: str, value: Any) -> str:
    """Return a setting in the form of the command line: `--run-time 3s`. An unknown name is an option of the load test:
    `--NAME VALUE`."""
    known = SETTINGS.get(name)
    option = known.option if known is not None else f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return option if value else f"{option}=no"
    values = value if isinstance(value, (list, tuple)) and name not in _ONE_WORD else [value]
    return " ".join(f"{option} {shlex.quote(setting_text(name, each))}" for each in values)

"""A chart of a report as JSON-ready values."""

import math
from collections.abc import Sequence
from typing import Any

MAX_LINES = 8
"""Maximum number of lines that a chart of many series has."""

_DIGITS = 4

Column = list[float | None]


def chart(title: str, unit: str, lines: Sequence[tuple[str, Column]], stacked: bool = False) -> dict[str, Any]:
    """Return a chart. `lines`: (label, values); `unit`: see obswarm.targets.TargetMetric."""
    return {
        "title": title,
        "unit": unit,
        "stacked": stacked,
        "lines": [{"label": label, "values": [short(value) for value in values]} for label, values in lines],
    }


def short(value: float | None) -> float | None:
    """Round to four significant digits, more than a chart shows."""
    if value is None or not math.isfinite(value):
        return None
    if value == 0:
        return 0
    rounded = round(value, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    return int(rounded) if rounded == int(rounded) else rounded

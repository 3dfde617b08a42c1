"""Reading and writing durations and numbers as people write them (`1h30m`, `250 ms`); no policy. Numbers that are not
finite are `+Inf`, `-Inf` and `NaN`, without a unit."""

import math
import re
from collections.abc import Sequence

_DURATION_UNITS_S = {"us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"((?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?)"
_DURATION_PART = re.compile(rf"\s*{_NUMBER}\s*({'|'.join(_DURATION_UNITS_S)})\s*")
_PLAIN_SECONDS = re.compile(_NUMBER)
_NAMED = 5


def parse_duration(value: str | float) -> float:
    """Seconds in a number, or in a text such as `90`, `90s`, `1.5m`, `1h30m` or `500ms`. The one parser of durations:
    options, settings, guards and load-test files all use it.

    Raises ValueError with a sentence when it is anything else, a negative or infinite number included.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(_no_duration(value))
    text = str(value).strip().lower()
    if _PLAIN_SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        parts = list(_DURATION_PART.finditer(text))
        if not parts or "".join(part[0] for part in parts) != text:
            raise ValueError(_no_duration(value))
        seconds = sum(float(part[1]) * _DURATION_UNITS_S[part[2]] for part in parts)
    if not math.isfinite(seconds):
        raise ValueError(_no_duration(value))
    return seconds


def _no_duration(value: object) -> str:
    return f"{value!r} is not a duration; write it like 90s, 20m, 1h30m or 500ms"


def format_names(names: Sequence[str]) -> str:
    """Some of them, and how many more there are: `GET /a, GET /b and 198 more`."""
    if len(names) <= _NAMED + 1:
        return ", ".join(names)
    return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED:,} more"


def format_not_finite(number: float) -> str:
    """`+Inf`, `-Inf` or `NaN`, as Prometheus writes them, for a number that is not finite; empty for any other."""
    if math.isfinite(number):
        return ""
    return "NaN" if math.isnan(number) else "+Inf" if number > 0 else "-Inf"


def rounded(value: float | None) -> float | None:
    """Round to six decimals, i.e. a number of seconds to microseconds, as results are stored and written; None stays.

    What is shown is rounded to this first: a number is written alike whether it comes from a run or from its result.
    """
    return None if value is None else round(value, 6)


def format_duration(seconds: float) -> str:
    """A planned or elapsed time for people: `40s`, `2m05s`, `1h02m`. Fractions of a second are dropped from 10 s up."""
    if not math.isfinite(seconds):
        return format_not_finite(seconds)
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f}s"
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    if minutes:
        return f"{minutes}m{secs:02d}s" if secs else f"{minutes}m"
    return f"{secs}s"


def format_latency(seconds: float | None, digits: int | None = None) -> str:
    """Format a latency with at most three significant digits, or with `digits`: `850 µs`, `12.3 ms`, `1.25 s`; `–` for
    None."""
    if seconds is None:
        return "–"
    if not math.isfinite(seconds):
        return format_not_finite(seconds)
    if digits is not None:
        scale, unit = (1e6, "µs") if seconds < 0.001 else (1e3, "ms") if seconds < 1 else (1, "s")
        return f"{seconds * scale:.{digits}g} {unit}"
    seconds = round(seconds, 6)
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.1:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.2f} s"


def format_count(number: float) -> str:
    """A count or rate for people: `7.5`, `950`, `12,345`."""
    if not math.isfinite(number):
        return format_not_finite(number)
    number = round(number, 6)
    if number != int(number) and number < 100:
        return f"{number:.1f}"
    return f"{number:,.0f}"


def format_rate(number: float) -> str:
    """Format a rate: `7.5/s`, `12,345/s`."""
    return format_not_finite(number) or f"{format_count(number)}/s"


def format_percent(ratio: float, digits: int = 1) -> str:
    """Format a share of 1: `5.0%`."""
    return format_not_finite(ratio) or f"{round(ratio, 6):.{digits}%}"


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: `1 user`, `1,000 users`, `2 processes` with `many`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def format_bytes(number: float) -> str:
    """A size in binary units: `512 B`, `1.5 KiB`, `20 MiB`."""
    if not math.isfinite(number):
        return format_not_finite(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"

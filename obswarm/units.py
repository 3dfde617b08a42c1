"""Reading and writing durations and numbers as people write them; no policy.

Durations (settings, limits, ages, times since the start) are written as settings are: `1m30s`. A latency is a
measured value with its unit: `250 ms`. Numbers that are not finite are `+Inf`, `-Inf` and `NaN`, without a unit.
"""

import math
import re
from collections.abc import Sequence

_DURATION_UNITS_S = {"us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"((?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?)"
_DURATION_PART = re.compile(rf"\s*{_NUMBER}\s*({'|'.join(_DURATION_UNITS_S)})\s*")
_PLAIN_SECONDS = re.compile(_NUMBER)
_NAMED = 5


def parse_duration(value: str | float) -> float:
    """Return the seconds of a number, or of a text such as `90`, `90s`, `1.5m`, `1h30m` or `500ms`. Options, settings,
    guards and load-test files all use this parser.

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
    """Format the first names and the number of further ones: `GET /a, GET /b and 198 more`."""
    if len(names) <= _NAMED + 1:
        return ", ".join(names)
    return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED:,} more"


def format_not_finite(number: float) -> str:
    """Format a number that is not finite as Prometheus does: `+Inf`, `-Inf` or `NaN`; empty for any other."""
    if math.isfinite(number):
        return ""
    return "NaN" if math.isnan(number) else "+Inf" if number > 0 else "-Inf"


def rounded(value: float | None) -> float | None:
    """Round to six decimals, i.e. a number of seconds to microseconds, as results are stored and written; None stays.

    What is shown is rounded to this first: a number is written alike whether it comes from a run or from its result.
    """
    return None if value is None else round(value, 6)


def format_duration(seconds: float) -> str:
    """Format a planned or elapsed time: `40s`, `2m05s`, `1h02m`. From 10 s up, fractions of a second are dropped."""
    if not math.isfinite(seconds):
        return format_not_finite(seconds)
    if 0 <= seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f}s"
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    if minutes:
        return f"{minutes}m{secs:02d}s" if secs else f"{minutes}m"
    return f"{secs}s"


def format_limit(seconds: float) -> str:
    """Format a limit or setting exactly: `1m30s`, `0.25s`, `3725s`."""
    text = format_duration(seconds)
    return text if not math.isfinite(seconds) or parse_duration(text) == seconds else f"{seconds:.15g}s"


def format_tenths(seconds: float) -> str:
    """Format an elapsed time to a tenth of a second: `0.4s`, `12.3s`, `2m05.0s`."""
    if not math.isfinite(seconds):
        return format_not_finite(seconds)
    tenths = round(abs(seconds) * 10)
    sign = "-" if seconds < 0 < tenths else ""
    minutes, rest = divmod(tenths, 600)
    if not minutes:
        return f"{sign}{rest / 10:.1f}s"
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}h{minutes:02d}m{rest / 10:04.1f}s" if hours else f"{sign}{minutes}m{rest / 10:04.1f}s"


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
    """Format a count or rate: `7.5`, `950`, `12,345`."""
    if not math.isfinite(number):
        return format_not_finite(number)
    number = round(number, 6)
    if number != int(number) and number < 100:
        return f"{number:.1f}"
    return f"{number:,.0f}"


def format_number(number: float | None) -> str:
    """Format a number of unknown size with four significant digits: `0.00125`, `12.5`, `12,345`, `1.5e+12`; `–` for
    None."""
    if number is None:
        return "–"
    if not math.isfinite(number):
        return format_not_finite(number)
    if number == int(number) and abs(number) < 1e12:
        return f"{number:,.0f}"
    return f"{number:,.0f}" if 10_000 <= abs(number) < 1e12 else f"{number:.4g}"


def format_rate(number: float) -> str:
    """Format a rate: `7.5/s`, `12,345/s`."""
    return format_not_finite(number) or f"{format_count(number)}/s"


def format_percent(ratio: float, digits: int = 1) -> str:
    """Format a share of 1: `5.0%`."""
    return format_not_finite(ratio) or f"{round(ratio, 6):.{digits}%}"


def format_in_unit(unit: str, value: float | None) -> str:
    """Format a value of a target's metric, whose unit is one of obswarm.targets.Unit; `–` for None."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return format_not_finite(value)
    if unit == "seconds":
        return format_latency(value)
    if unit == "bytes":
        return format_bytes(value)
    if unit == "ratio":
        return format_percent(value)
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text}/s" if unit == "per_second" else text


def format_clock(seconds: float) -> str:
    """Format a time since the start of a run, as on the time axis of charts: `1:05`, `1:00:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(number: int, one: str, many: str = "") -> str:
    """Format a number with its noun: `1 user`, `1,000 users`, `2 processes` with `many`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def format_bytes(number: float) -> str:
    """Format a size in binary units: `512 B`, `1.5 KiB`, `20 MiB`."""
    if not math.isfinite(number):
        return format_not_finite(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"

"""`locust.util.date`: moments as text, in UTC."""

from datetime import UTC, datetime

from obswarm.units import format_duration as _format_duration


def format_utc_timestamp(unix_timestamp: float) -> str:
    """Return `2026-01-31T12:00:00Z` for seconds since 1970."""
    return datetime.fromtimestamp(int(unix_timestamp), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_safe_timestamp(unix_timestamp: float) -> str:
    """Return `2026-01-31-12h00`, which can be part of a file's name."""
    return datetime.fromtimestamp(int(unix_timestamp), UTC).strftime("%Y-%m-%d-%Hh%M")


def format_duration(start_unix_timestamp: float, end_unix_timestamp: float) -> str:
    """Return the time between two moments in seconds, like `2m05s`."""
    return _format_duration(int(end_unix_timestamp - start_unix_timestamp))

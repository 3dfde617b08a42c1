"""`locust.util.timespan`."""

from obswarm.units import parse_duration


def parse_timespan(time_str: str) -> int:
    """Return the whole seconds of a duration such as `20`, `20s`, `3m`, `1h20m`. Raises ValueError."""
    return int(parse_duration(time_str))

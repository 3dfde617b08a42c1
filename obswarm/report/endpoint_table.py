"""The columns of every table of endpoints, in the terminal and in reports."""

from collections.abc import Callable, Sequence

from obswarm.stats import EndpointStats
from obswarm.units import format_bytes, format_count, format_latency, format_percent

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
"""By the heading of their column."""

SHORT = ("requests", "failures", "req/s", "p50", "p95", "p99", "max")
FULL = ("requests", "failures", "req/s", "p50", "p90", "p95", "p99", "max", "received", "mean")

_OTHERS: dict[str, Callable[[EndpointStats, float], str]] = {
    "requests": lambda stats, load_s: f"{stats.requests:,}",
    "failures": lambda stats, load_s: (
        f"{stats.failures:,} ({format_percent(stats.error_ratio)})" if stats.failures else "0"
    ),
    "req/s": lambda stats, load_s: format_count(stats.rate(load_s)),
    "max": lambda stats, load_s: format_latency(stats.max_s),
    "mean": lambda stats, load_s: format_latency(stats.duration.mean_s),
    "received": lambda stats, load_s: format_bytes(stats.response_bytes),
}


def endpoint_cells(stats: EndpointStats, headings: Sequence[str], load_s: float = 0.0) -> list[str]:
    """Format the columns of an endpoint's row. Rates are over `load_s` seconds."""
    wanted = [heading for heading in headings if heading in QUANTILES]
    values = stats.quantiles(tuple(QUANTILES[heading] for heading in wanted)) or (None,) * len(wanted)
    quantiles = dict(zip(wanted, map(format_latency, values), strict=True))
    return [quantiles[each] if each in quantiles else _OTHERS[each](stats, load_s) for each in headings]

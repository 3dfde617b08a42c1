"""Tables of a load test's own metrics, in the terminal and in reports."""

from collections.abc import Mapping
from typing import Any

from obswarm.stats import CustomKey, CustomKind, CustomStats
from obswarm.units import format_number, rounded

HEADINGS = ("count", "sum", "per second", "last", "mean", "min", "p50", "p95", "p99", "max")
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def custom_title(key: CustomKey) -> str:
    """Return name, labels and unit: `cart_size (items)`."""
    return f"{key.label} ({key.unit})" if key.unit else key.label


def custom_values(key: CustomKey, stats: CustomStats, load_s: float) -> dict[str, float | None]:
    """Return the values that a metric of this kind has, by name. Rates are over `load_s` seconds; of a histogram, they
    are numbers of values."""
    rate = None if load_s <= 0 else (stats.sum if key.kind is CustomKind.COUNTER else stats.count) / load_s
    if key.kind is CustomKind.GAUGE:
        return {"count": stats.count, "last": stats.last, "min": stats.low, "max": stats.high}
    if key.kind is CustomKind.COUNTER:
        return {"count": stats.count, "sum": stats.sum, "per second": rate}
    return {
        "count": stats.count,
        "sum": stats.sum,
        "per second": rate,
        "mean": stats.mean,
        "min": stats.low,
        "max": stats.high,
        **{name: stats.quantile(q) for name, q in _QUANTILES.items()},
    }


def custom_cells(
    series: Mapping[CustomKey, CustomStats], load_s: float
) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the headings that any of the metrics needs, and a title and formatted values of each metric."""
    rows = [(custom_title(key), custom_values(key, stats, load_s)) for key, stats in sorted(series.items())]
    headings = [heading for heading in HEADINGS if any(heading in values for _, values in rows)]
    return headings, [
        (title, [format_number(values[heading]) if heading in values else "" for heading in headings])
        for title, values in rows
    ]


def custom_documents(series: Mapping[CustomKey, CustomStats], load_s: float) -> list[dict[str, Any]]:
    """Return the metrics for JSON."""
    return [
        {
            "name": key.name,
            "kind": str(key.kind),
            "unit": key.unit,
            "labels": dict(key.labels),
            "count": stats.count,
            **{
                name.replace(" ", "_"): rounded(value)
                for name, value in custom_values(key, stats, load_s).items()
                if name != "count"
            },
        }
        for key, stats in sorted(series.items())
    ]


def custom_line(key: CustomKey, stats: CustomStats, load_s: float) -> str:
    """Return the most important values of a metric as one text."""
    values = {name: format_number(value) for name, value in custom_values(key, stats, load_s).items()}
    if key.kind is CustomKind.GAUGE:
        return f"{values['last']}, {values['min']} to {values['max']}"
    if key.kind is CustomKind.COUNTER:
        return f"{values['sum']}, {values['per second']}/s"
    return f"mean {values['mean']}, p50 {values['p50']}, p95 {values['p95']}, max {values['max']}"

"""Every series that a Prometheus has of a target, for the time of a run, by range queries."""

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from obswarm.record import MetricKey, SampleSeries
from obswarm.targets.every_series import names_within, series_key
from obswarm.targets.kinds import matchers_of
from obswarm.targets.prometheus_api import PermanentSourceError, PrometheusApi
from obswarm.targets.source import Target
from obswarm.units import format_limit

_MAX_POINTS = 10_000
"""Maximum of a series; Prometheus refuses more than 11,000."""
_MAX_VALUES = 400_000
"""Maximum of a response, which then has about 10 MB."""
_OWN_LABELS = ("__name__", "job", "kind")


def series_of_target(
    api: PrometheusApi, target: Target, start_s: float, end_s: float, skew_s: float
) -> Iterator[tuple[MetricKey, SampleSeries]]:
    """Yield the series of a target between two wall times; `skew_s` is how much the server's clock is ahead. May switch
    greenlets after each. Raises SourceError."""
    matchers = ", ".join(matchers_of(target))
    span_s = max(1, math.ceil(end_s - start_s))
    counting = f"count by (__name__) (last_over_time({{{matchers}}}[{format_limit(span_s)}]))"
    counted, _ = api.query(counting, end_s + skew_s)
    counts = {sample.labels["__name__"]: int(sample.value) for sample in counted if "__name__" in sample.labels}
    step_s = max(1, math.ceil(span_s / _MAX_POINTS))
    for names in _batches(counts, span_s // step_s + 1):
        query = f'{{{matchers}, __name__=~"{"|".join(names)}"}}'
        for labels, points in api.query_range(query, start_s + skew_s, end_s + skew_s, step_s):
            key = series_key(target, _text(labels))
            yield key, _series(points, skew_s, step_s, end_s)


def _batches(counts: Mapping[str, int], points: int) -> Iterator[list[str]]:
    """Yield the names of metrics that are asked for together."""
    batch: list[str] = []
    size = 0
    for name in names_within(counts):
        more = counts[name] * points
        if batch and size + more > _MAX_VALUES:
            yield batch
            batch, size = [], 0
        batch.append(name)
        size += more
    if batch:
        yield batch


def _text(labels: Mapping[str, str]) -> str:
    pairs = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()) if name not in _OWN_LABELS)
    name = labels.get("__name__", "")
    return f"{name}{{{pairs}}}" if pairs else name


def _series(points: Sequence[Any], skew_s: float, step_s: float, end_s: float) -> SampleSeries:
    """Return the changes of a series; NaN where it is missing for more than a step."""
    times_s, values = array("d"), array("d")
    last_s = math.nan
    try:
        for server_s, text in points:
            time_s, value = float(server_s) - skew_s, float(text)
            if time_s - last_s > 1.5 * step_s:
                times_s.append(last_s + step_s)
                values.append(math.nan)
            last_s = time_s
            if not values or values[-1] != value:
                times_s.append(time_s)
                values.append(value)
    except (TypeError, ValueError):
        raise PermanentSourceError("Prometheus returned a series without (time, value)") from None
    if end_s - last_s > 1.5 * step_s:
        times_s.append(last_s + step_s)
        values.append(math.nan)
    return SampleSeries(times_s, values)

"""Reads a rate of iterations from a Prometheus: `--arrival-rate promql(…)` becomes stages before the run is built."""

from collections.abc import Callable, Mapping

from obswarm.api import ObswarmError, RateStage, format_rate_stages, parse_rate_query, rate_stages_of_samples
from obswarm.app.sources import Prometheus, prometheus_of
from obswarm.config import RunConfig
from obswarm.streams import echo
from obswarm.targets import SourceError
from obswarm.units import counted, format_duration, format_rate

_TIMEOUT_S = 60.0
"""A query over a day at a fine step takes Prometheus longer than one for a moment."""


def with_queried_rate(
    config: RunConfig,
    earlier: Callable[[], Mapping[str, str]] = dict,
    other: Prometheus | None = None,
) -> RunConfig:
    """Return the configuration with stages instead of a query as rate of iterations; the same one without a query.

    `earlier` returns the stages that the run had before its master restarted, by query: they are used again, as a query
    relative to the present has another result by now. `other` is the Prometheus if none is configured. Raises
    ObswarmError if the result is not one curve.
    """
    text = config.load.arrival_rate
    if text is None:
        return config
    try:
        wanted = parse_rate_query(text)
    except ValueError as error:
        raise ObswarmError(f"{config.label('arrival_rate')}: {error}.") from None
    if wanted is None:
        return config
    stages = earlier().get(text)
    if stages is None:
        prometheus = prometheus_of(config, check_files=True) or other
        if prometheus is None:
            raise ObswarmError(
                f"{config.label('arrival_rate')}: promql(…) needs the Prometheus that has the rate; give"
                " --prometheus-url URL."
            )
        try:
            curve = rate_stages_of_samples(_samples(prometheus, wanted.query), wanted.factor)
        except (ValueError, SourceError) as error:
            sentence = f"the result of the query {wanted.query}: {error}" if type(error) is ValueError else f"{error}"
            raise ObswarmError(f"{config.label('arrival_rate')}: {sentence}.") from None
        # The log is not set up yet.
        echo(_sentence(curve), err=True)
        stages = format_rate_stages(curve)
    return config.replaced({"arrival_rate": stages})


def _samples(prometheus: Prometheus, query: str) -> list[tuple[float, float]]:
    """Return (time in seconds since the Unix epoch, value) of the only series of the result. Raises ValueError, and
    SourceError."""
    # Most runs have no query, and need no client of a Prometheus.
    from obswarm.targets import PrometheusApi

    api = PrometheusApi(prometheus.url, prometheus.access, _TIMEOUT_S, _TIMEOUT_S, True)
    try:
        series = api.query_matrix(query)
    finally:
        api.close()
    if not series:
        raise ValueError("it has no values; check the metric's name and the time range")
    if len(series) > 1:
        raise ValueError(f"it has {len(series)} series, but a curve is one; add them up by sum(…)")
    return [(float(time), float(value)) for time, value in series[0][1]]


def _sentence(curve: tuple[RateStage, ...]) -> str:
    seconds = sum(stage.duration_s for stage in curve)
    return (
        f"The rate of iterations follows {counted(len(curve), 'value')} of Prometheus over"
        f" {format_duration(round(seconds))}, at most {format_rate(max(stage.rate for stage in curve))}."
    )

"""Metrics of the system under test: scraped from its exporters or queried from a Prometheus, behind one interface."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.targets.coverage import TargetCoverage
    from obswarm.targets.evaluate import lookback_s
    from obswarm.targets.kinds import KIND_TITLES, KINDS, TargetMetric, Unit, queries_of, sort_key_of, title_of
    from obswarm.targets.promql import PrometheusSource
    from obswarm.targets.scrape import EmbeddedSource
    from obswarm.targets.source import MetricSource, Sample, SourceError, Target, TargetHealth, field_of_target

__all__ = [
    "KINDS",
    "KIND_TITLES",
    "EmbeddedSource",
    "MetricSource",
    "PrometheusSource",
    "Sample",
    "SourceError",
    "Target",
    "TargetCoverage",
    "TargetHealth",
    "TargetMetric",
    "Unit",
    "field_of_target",
    "lookback_s",
    "queries_of",
    "sort_key_of",
    "title_of",
]

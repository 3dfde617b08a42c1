"""Metrics of the system under test: scraped from its exporters or queried from a Prometheus, behind one interface."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.targets.coverage import TargetCoverage
    from obswarm.targets.evaluate import lookback_s
    from obswarm.targets.every_series import MAX_SERIES, LiveSeries, PastSeries
    from obswarm.targets.kind_metrics import Guess, check_queries, guess_kinds
    from obswarm.targets.kinds import (
        ANY,
        KIND_KEYS,
        KINDS,
        LAYERS,
        METRIC_KEYS,
        Kind,
        Meaning,
        TargetMetric,
        Unit,
        kind_of_table,
        queries_of,
        sort_key_of,
        title_of,
    )
    from obswarm.targets.prometheus_api import PrometheusApi
    from obswarm.targets.promql import PrometheusSource
    from obswarm.targets.scrape import EmbeddedSource, scrape_names
    from obswarm.targets.source import MetricSource, Sample, SourceError, Target, TargetHealth, field_of_target
    from obswarm.targets.statements import Statements, is_statement, statement_metrics, statement_of
    from obswarm.targets.trace_api import TraceApi
    from obswarm.targets.traces import Span, Trace

__all__ = [
    "ANY",
    "KINDS",
    "KIND_KEYS",
    "LAYERS",
    "MAX_SERIES",
    "METRIC_KEYS",
    "EmbeddedSource",
    "Guess",
    "Kind",
    "LiveSeries",
    "Meaning",
    "MetricSource",
    "PastSeries",
    "PrometheusApi",
    "PrometheusSource",
    "Sample",
    "SourceError",
    "Span",
    "Statements",
    "Target",
    "TargetCoverage",
    "TargetHealth",
    "TargetMetric",
    "Trace",
    "TraceApi",
    "Unit",
    "check_queries",
    "field_of_target",
    "guess_kinds",
    "is_statement",
    "kind_of_table",
    "lookback_s",
    "queries_of",
    "scrape_names",
    "sort_key_of",
    "statement_metrics",
    "statement_of",
    "title_of",
]

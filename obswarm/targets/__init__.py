"""The target's own metrics, from its endpoints or from a Prometheus, behind one interface."""

from obswarm.targets.evaluate import looks_back_s
from obswarm.targets.kinds import KINDS, Signal, Unit, queries_of
from obswarm.targets.promql import PrometheusSource
from obswarm.targets.scrape import EmbeddedSource
from obswarm.targets.source import MetricSource, Sample, SourceError, Target, TargetHealth

__all__ = [
    "KINDS",
    "EmbeddedSource",
    "MetricSource",
    "PrometheusSource",
    "Sample",
    "Signal",
    "SourceError",
    "Target",
    "TargetHealth",
    "Unit",
    "looks_back_s",
    "queries_of",
]

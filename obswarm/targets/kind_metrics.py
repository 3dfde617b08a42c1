"""The Prometheus metrics that each kind of target has, as the queries of the kinds name them.

Apart from the kinds, since it needs the parser of PromQL, and results and reports do not.
"""

from functools import cache

from obswarm.targets.evaluate import metric_names, parse
from obswarm.targets.kinds import KINDS, matchers_of
from obswarm.targets.source import Target


@cache
def metrics_of(kind: str) -> frozenset[str]:
    """Return the Prometheus metric names that the metrics of a kind use."""
    return frozenset().union(*(metric_names(parse(metric.query)) for metric in KINDS[kind]))


def presence_query(target: Target) -> str:
    """Return a query (beyond the embedded subset) for the number of the target's series of its kind; empty if none."""
    names = "|".join(sorted(metrics_of(target.kind)))
    matchers = ", ".join([f'__name__=~"{names}"', *matchers_of(target)])
    return f"count({{{matchers}}})"

"""Evaluate PromQL over a SeriesStore with the semantics of Prometheus 3. Pure functions of the store and the time.

`parse` refuses unsupported queries before a run; docs/guards.md lists what is supported.
tests/integration/targets/test_differential.py compares the values with those of a real Prometheus.
"""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.targets.evaluate.evaluator import evaluate
    from obswarm.targets.evaluate.filters import filtered_operands
    from obswarm.targets.evaluate.matchers import matcher_of
    from obswarm.targets.evaluate.subset import MAX_RANGE_S, parse
    from obswarm.targets.evaluate.syntax import (
        JOB,
        lookback_s,
        metric_names,
        name_of,
        operator_of,
        parse_any,
        selectors_in,
        tree_of,
    )

__all__ = [
    "JOB",
    "MAX_RANGE_S",
    "evaluate",
    "filtered_operands",
    "lookback_s",
    "matcher_of",
    "metric_names",
    "name_of",
    "operator_of",
    "parse",
    "parse_any",
    "selectors_in",
    "tree_of",
]

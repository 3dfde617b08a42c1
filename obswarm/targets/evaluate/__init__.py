"""PromQL over a SeriesStore, as Prometheus 3 has it. Pure functions of the store and the time.

`parse` refuses what is not evaluated, before a run; docs/guards.md lists what is. tests/integration/targets/
test_differential.py holds the values against those of a real Prometheus.
"""

from obswarm.targets.evaluate.evaluator import evaluate
from obswarm.targets.evaluate.filters import filtered_operands
from obswarm.targets.evaluate.matchers import matcher_of
from obswarm.targets.evaluate.subset import LONGEST_RANGE_S, parse
from obswarm.targets.evaluate.syntax import (
    JOB,
    looks_back_s,
    metric_names,
    name_of,
    operator_of,
    parse_any,
    selectors_in,
    tree_of,
)

__all__ = [
    "JOB",
    "LONGEST_RANGE_S",
    "evaluate",
    "filtered_operands",
    "looks_back_s",
    "matcher_of",
    "metric_names",
    "name_of",
    "operator_of",
    "parse",
    "parse_any",
    "selectors_in",
    "tree_of",
]

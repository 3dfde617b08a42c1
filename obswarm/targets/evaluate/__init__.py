"""PromQL over a SeriesStore, as Prometheus 3 has it. Pure functions of the store and the time.

`parse` refuses what is not evaluated, before a run; docs/guards.md lists what is. tests/integration/targets/
test_differential.py holds the values against those of a real Prometheus.
"""

from obswarm.targets.evaluate.evaluator import evaluate
from obswarm.targets.evaluate.subset import LONGEST_RANGE_S, parse
from obswarm.targets.evaluate.syntax import looks_back_s, metric_names, parse_any

__all__ = ["LONGEST_RANGE_S", "evaluate", "looks_back_s", "metric_names", "parse", "parse_any"]

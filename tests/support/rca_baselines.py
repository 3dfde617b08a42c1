"""Rankings of root causes from the literature, on the same incidents as `obswarm explain`.

Each is given the moment at which the fault began, which `obswarm explain` has to find, and scores each series of the
targets by its values before and after it; a target ranks by its best series. None of them knows what a metric means.
"""

import math
from collections.abc import Callable, Sequence
from statistics import fmean, median, pstdev, quantiles

from obswarm.analysis.explain.timeline import timeline_of
from obswarm.record import RunRecord

Scorer = Callable[[Sequence[float], Sequence[float], Sequence[float], Sequence[float]], float]
"""Score of a series: its values before and after the fault, and the latencies before and after it."""


def mean_change(before: Sequence[float], after: Sequence[float], *_: Sequence[float]) -> float:
    """Change of the mean in standard deviations of the time before."""
    return abs(fmean(after) - fmean(before)) / (pstdev(before) or 1.0)


def n_sigma(before: Sequence[float], after: Sequence[float], *_: Sequence[float]) -> float:
    """Largest deviation from the mean, in standard deviations of the time before: the N-sigma method, as in Lin et al.,
    "Microscope: Pinpoint Performance Issues with Causal Graphs in Micro-service Environments", ICSOC 2018."""
    return max(after) / (pstdev(before) or 1.0) - fmean(before) / (pstdev(before) or 1.0)


def robust_scorer(before: Sequence[float], after: Sequence[float], *_: Sequence[float]) -> float:
    """Largest deviation from the median, in interquartile ranges of the time before: the RobustScorer of Pham, Ha and
    Zhang, "BARO: Robust Root Cause Analysis for Microservices via Multivariate Bayesian Online Change Point Detection",
    FSE 2024. A range of 0 counts as 1, as its implementation has it."""
    low, _, high = quantiles(before, n=4, method="inclusive")
    return (max(after) - median(before)) / (high - low or 1.0)


def correlation(
    before: Sequence[float], after: Sequence[float], latency_before: Sequence[float], latency_after: Sequence[float]
) -> float:
    """Absolute correlation with the latency (Pearson)."""
    xs, ys = [*before, *after], [*latency_before, *latency_after]
    mean_x, mean_y = fmean(xs), fmean(ys)
    spread = math.sqrt(sum((x - mean_x) ** 2 for x in xs) * sum((y - mean_y) ** 2 for y in ys))
    return abs(sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))) / spread if spread else 0.0


BASELINES: dict[str, Scorer] = {
    "change of the mean (z-score)": mean_change,
    "N-sigma": n_sigma,
    "RobustScorer of BARO": robust_scorer,
    "correlation with latency": correlation,
}


def ranking_by(scorer: Scorer, record: RunRecord, fault_s: float) -> list[str]:
    """Return the targets of a run, the most probable cause first, if a fault began at that second of it."""
    timeline = timeline_of(record)
    begin = sum(1 for time_s in timeline.times_s if time_s < fault_s)
    latency = _without_gaps(timeline.p95_s)
    best: dict[str, float] = {}
    for key, values in timeline.targets.items():
        known = _without_gaps(values)
        if not begin or begin == len(known) or min(known) == max(known):
            continue
        found = scorer(known[:begin], known[begin:], latency[:begin], latency[begin:])
        best[key.target] = max(best.get(key.target, -math.inf), found)
    return sorted(best, key=lambda target: -best[target])


def _without_gaps(values: Sequence[float]) -> list[float]:
    """Return the values with the last known one in place of NaN, 0 before the first: as RCAEval prepares its data."""
    found = []
    last = 0.0
    for value in values:
        last = value if math.isfinite(value) else last
        found.append(last)
    return found

"""Analysis of measurements: the knee of a ramp, and differences between two runs. Pure functions."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.analysis.change import (
        CONFIDENCE,
        INTENDED_MEASURES,
        MEASURES,
        RESAMPLES,
        SHORTEST_S,
        Block,
        Change,
        Measure,
        block_count,
        changes,
        cut,
        lanes_of,
        mean_change,
        significant,
        spans,
    )
    from obswarm.analysis.knee import Knee, LoadPoint, find_knee
    from obswarm.analysis.limit import LIMIT_CONFIDENCE, LimitSearch, Verdict, judge

__all__ = [
    "CONFIDENCE",
    "INTENDED_MEASURES",
    "LIMIT_CONFIDENCE",
    "MEASURES",
    "RESAMPLES",
    "SHORTEST_S",
    "Block",
    "Change",
    "Knee",
    "LimitSearch",
    "LoadPoint",
    "Measure",
    "Verdict",
    "block_count",
    "changes",
    "cut",
    "find_knee",
    "judge",
    "lanes_of",
    "mean_change",
    "significant",
    "spans",
]

"""Numbers: histograms, endpoints, errors, snapshots. Pure values, no I/O."""

from obswarm.stats.endpoint import (
    NO_ANSWER,
    NO_STATUS,
    OTHER,
    OTHER_ERRORS,
    TOTAL,
    EndpointKey,
    EndpointStats,
    ErrorKey,
    ErrorStats,
    Exemplar,
    describe_error,
    normalise_error,
    status_class,
    total_of,
)
from obswarm.stats.histogram import Histogram, bucket_index, upper_bound
from obswarm.stats.recorder import Recorder
from obswarm.stats.snapshot import (
    Aggregate,
    AlertCount,
    Annotation,
    GeneratorHealth,
    GuardView,
    RunState,
    Snapshot,
)
from obswarm.stats.table import StatsTable, TaskException
from obswarm.stats.timings import PHASES, PhaseTimes, TimingStats

__all__ = [
    "NO_ANSWER",
    "NO_STATUS",
    "OTHER",
    "OTHER_ERRORS",
    "PHASES",
    "TOTAL",
    "Aggregate",
    "AlertCount",
    "Annotation",
    "EndpointKey",
    "EndpointStats",
    "ErrorKey",
    "ErrorStats",
    "Exemplar",
    "GeneratorHealth",
    "GuardView",
    "Histogram",
    "PhaseTimes",
    "Recorder",
    "RunState",
    "Snapshot",
    "StatsTable",
    "TaskException",
    "TimingStats",
    "bucket_index",
    "describe_error",
    "normalise_error",
    "status_class",
    "total_of",
    "upper_bound",
]

"""Statistics of requests: histograms, endpoints, errors, requests in flight. Pure values, no I/O."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.stats.concurrency import MOST_STEPS, UserStep, UserSum, UserTrack
    from obswarm.stats.custom import RECORDED, CustomKey, CustomKind, CustomSeries, CustomStats, summed
    from obswarm.stats.endpoint import EndpointStats, scenario_totals, total_of, without_scenarios
    from obswarm.stats.error_kinds import ErrorKinds
    from obswarm.stats.errors import OTHER_ERRORS, ErrorKey, ErrorStats, describe_error, normalise_error
    from obswarm.stats.fields import Exemplar
    from obswarm.stats.histogram import Histogram, bucket_index, middle, upper_bound
    from obswarm.stats.in_flight import (
        CUT_OFF_KINDS,
        NONE_IN_FLIGHT,
        CutOff,
        CutOffKey,
        InFlight,
        InFlightPeaks,
        PendingFields,
        PendingRequest,
        count_in_flight,
        total_in_flight,
    )
    from obswarm.stats.keys import (
        DROP_REASONS,
        GENERATOR_BEHIND,
        NO_FREE_USER,
        NO_NAME,
        NO_RESPONSE,
        NO_STATUS,
        OTHER,
        PACING,
        RUN_STOPPED,
        TOTAL,
        USER_FAILED,
        WORKER_LOST,
        EndpointKey,
        endpoint_key,
        status_class,
    )
    from obswarm.stats.recorder import Recorder
    from obswarm.stats.table import (
        Aggregate,
        StatsTable,
        TaskException,
    )
    from obswarm.stats.timings import PHASES, PhaseTimes, TimingStats

__all__ = [
    "CUT_OFF_KINDS",
    "DROP_REASONS",
    "GENERATOR_BEHIND",
    "MOST_STEPS",
    "NONE_IN_FLIGHT",
    "NO_FREE_USER",
    "NO_NAME",
    "NO_RESPONSE",
    "NO_STATUS",
    "OTHER",
    "OTHER_ERRORS",
    "PACING",
    "PHASES",
    "RECORDED",
    "RUN_STOPPED",
    "TOTAL",
    "USER_FAILED",
    "WORKER_LOST",
    "Aggregate",
    "CustomKey",
    "CustomKind",
    "CustomSeries",
    "CustomStats",
    "CutOff",
    "CutOffKey",
    "EndpointKey",
    "EndpointStats",
    "ErrorKey",
    "ErrorKinds",
    "ErrorStats",
    "Exemplar",
    "Histogram",
    "InFlight",
    "InFlightPeaks",
    "PendingFields",
    "PendingRequest",
    "PhaseTimes",
    "Recorder",
    "StatsTable",
    "TaskException",
    "TimingStats",
    "UserStep",
    "UserSum",
    "UserTrack",
    "bucket_index",
    "count_in_flight",
    "describe_error",
    "endpoint_key",
    "middle",
    "normalise_error",
    "scenario_totals",
    "status_class",
    "summed",
    "total_in_flight",
    "total_of",
    "upper_bound",
    "without_scenarios",
]

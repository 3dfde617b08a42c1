"""Values that describe a run and its intervals: snapshots, stored runs, states and kinds."""

from obswarm.on_demand import imported_on_demand

with imported_on_demand(__name__):
    from obswarm.record.run import (
        Interval,
        LoadTestText,
        MetricKey,
        RunInfo,
        RunMetadata,
        RunRecord,
        WorkerInterval,
        value_at,
    )
    from obswarm.record.samples import SampleSeries
    from obswarm.record.snapshot import (
        DATA_RATIO_OVER_S,
        MIN_DATA_RATIO,
        AlertCount,
        Annotation,
        GeneratorHealth,
        GuardView,
        RefusedAlerts,
        Snapshot,
        TargetView,
        dropped_by_reason,
        guard_title,
        lacks_data,
        statistics_of,
    )
    from obswarm.record.states import (
        LOADED_STATES,
        AlertStatus,
        AnnotationKind,
        GuardAction,
        GuardState,
        RunState,
        ServiceState,
        StopKind,
        WorkerStatus,
    )

__all__ = [
    "DATA_RATIO_OVER_S",
    "LOADED_STATES",
    "MIN_DATA_RATIO",
    "AlertCount",
    "AlertStatus",
    "Annotation",
    "AnnotationKind",
    "GeneratorHealth",
    "GuardAction",
    "GuardState",
    "GuardView",
    "Interval",
    "LoadTestText",
    "MetricKey",
    "RefusedAlerts",
    "RunInfo",
    "RunMetadata",
    "RunRecord",
    "RunState",
    "SampleSeries",
    "ServiceState",
    "Snapshot",
    "StopKind",
    "TargetView",
    "WorkerInterval",
    "WorkerStatus",
    "dropped_by_reason",
    "guard_title",
    "lacks_data",
    "statistics_of",
    "value_at",
]

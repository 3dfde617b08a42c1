"""All metrics that obswarm exports: name, type, labels, help text. Dashboards and alerts depend on them; docs/metrics.md
is generated from this file."""

from dataclasses import dataclass
from enum import StrEnum

from obswarm.metrics.buckets import CLASSIC_BOUNDS_S
from obswarm.record import AnnotationKind, GuardState, WorkerStatus
from obswarm.stats.keys import NO_STATUS, STATUS_CLASSES


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric family. `name` is the name used in queries (a counter's ends with `_total`); `when` says which runs have
    series of it."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    when: str = "all"
    bounds: tuple[float, ...] = CLASSIC_BOUNDS_S
    """Upper bounds of a histogram's classic buckets, without +Inf."""


_DISTRIBUTED = "distributed"
_OPEN = "open model"
_GUARDED = "with guards"

REQUESTS = Metric(
    "obswarm_requests_total",
    Kind.COUNTER,
    ("method", "name", "outcome", "status", "scenario"),
    "Finished requests, including those recorded without a duration. outcome: success, failure; status: 1xx to 5xx, error (no response), other (no HTTP status).",
)
DURATION = Metric(
    "obswarm_request_duration_seconds",
    Kind.HISTOGRAM,
    ("method", "name", "scenario"),
    "Response time: from the call to the last byte of the response, including redirects.",
)
INTENDED_DURATION = Metric(
    "obswarm_request_intended_duration_seconds",
    Kind.HISTOGRAM,
    ("method", "name", "scenario"),
    "Response time measured from the intended start of the request (corrected for coordinated omission).",
    "with intended starts",
)
RESPONSE_BYTES = Metric(
    "obswarm_response_bytes_total",
    Kind.COUNTER,
    ("method", "name", "scenario"),
    "Size of response bodies as received, before decompression.",
)
ERRORS = Metric(
    "obswarm_request_errors_total",
    Kind.COUNTER,
    ("method", "name", "error"),
    "Failed requests by error message; beyond ten different messages of an endpoint, similar messages are grouped.",
)
IN_FLIGHT = Metric(
    "obswarm_requests_in_flight",
    Kind.GAUGE,
    ("method", "name", "scenario"),
    "Requests in flight: started, without a response or an error yet. A streamed response counts until it is read or closed with FastHttpUser, until its headers arrive with HttpUser.",
)
OLDEST = Metric(
    "obswarm_oldest_request_seconds",
    Kind.GAUGE,
    ("method", "name", "scenario"),
    "Age of the oldest request in flight; 0 if there is none.",
)
INTERRUPTED = Metric(
    "obswarm_requests_interrupted_total",
    Kind.COUNTER,
    (),
    "Requests that were interrupted because their user was stopped.",
)
ITERATIONS = Metric(
    "obswarm_iterations_total",
    Kind.COUNTER,
    ("user_class",),
    "Iterations that have ended, by returning or by an exception, by user class.",
)
DROPPED_ITERATIONS = Metric(
    "obswarm_dropped_iterations_total",
    Kind.COUNTER,
    ("user_class", "reason"),
    "Iterations that were planned and not started. reason: no_free_user (all were busy, and their maximum number was reached), generator_behind (the worker was more than a second late), user_failed (the user could not be created, or ended before), run_stopped (before the user was ready), pacing (closed model: a user with constant pacing was busy with the iteration before), worker_lost (a worker died: its share from its last report until others took it over).",
    "with iterations that were not started",
)
RATE_TARGET = Metric(
    "obswarm_iterations_target_per_second",
    Kind.GAUGE,
    ("user_class",),
    "Target rate of iterations per second, by user class.",
    _OPEN,
)
EXCEPTIONS = Metric(
    "obswarm_task_exceptions_total", Kind.COUNTER, (), "Exceptions raised by the load test's code outside of requests."
)
USERS = Metric("obswarm_users", Kind.GAUGE, ("user_class",), "Running users.")
USERS_TARGET = Metric("obswarm_users_target", Kind.GAUGE, ("user_class",), "Target number of users.")
RUN_STATE = Metric("obswarm_run_state", Kind.GAUGE, ("state",), "1 for the current state of the run, 0 for all others.")
RUN_INFO = Metric("obswarm_run_info", Kind.INFO, ("run_id", "test", "host", "model"), "Identity of the run.")
RUN_START = Metric(
    "obswarm_run_start_timestamp_seconds", Kind.GAUGE, (), "Start of the run, in seconds since the Unix epoch."
)
WORKER_STATES = tuple(WorkerStatus)
WORKERS = Metric(
    "obswarm_workers",
    Kind.GAUGE,
    ("state",),
    "Workers by state: ready, missing (no heartbeat), leaving, lost (presumed dead), gone (left gracefully).",
)
WORKER_USERS = Metric("obswarm_worker_users", Kind.GAUGE, ("worker",), "Running users of the worker.")
WORKER_CPU = Metric(
    "obswarm_worker_cpu_ratio", Kind.GAUGE, ("worker",), "CPU use of the worker's process; 1 is one core."
)
WORKER_MEMORY = Metric(
    "obswarm_worker_memory_bytes", Kind.GAUGE, ("worker",), "Resident memory of the worker's process."
)
WORKER_LAG = Metric(
    "obswarm_worker_loop_lag_seconds",
    Kind.GAUGE,
    ("worker",),
    "Largest delay of the worker's event loop in the last interval.",
)
WORKER_CAPACITY = Metric(
    "obswarm_worker_capacity",
    Kind.GAUGE,
    ("worker",),
    "Capacity of the worker, in requests per second, as measured by its benchmark at startup.",
    _DISTRIBUTED,
)
SATURATED = Metric(
    "obswarm_generator_saturated",
    Kind.GAUGE,
    ("worker",),
    "1 if the worker has been saturated (the bottleneck) at any time of this run.",
)
GUARD_STATE = Metric(
    "obswarm_guard_state",
    Kind.GAUGE,
    ("guard", "state"),
    f"1 for the current state of the guard ({', '.join(GuardState)}), 0 for the others.",
    _GUARDED,
)
GUARD_VALUE = Metric("obswarm_guard_value", Kind.GAUGE, ("guard",), "Current value of the guard's condition.", _GUARDED)
GUARD_SEEN = Metric(
    "obswarm_guard_seen_ratio",
    Kind.GAUGE,
    ("guard",),
    "Share of the last 20s in which the guard had a value.",
    _GUARDED,
)
GUARD_TRIPS = Metric(
    "obswarm_guard_trips_total",
    Kind.COUNTER,
    ("guard", "action"),
    "Number of times that the guard took the action.",
    _GUARDED,
)
ALERTS = Metric(
    "obswarm_alerts_received_total",
    Kind.COUNTER,
    ("alertname", "status", "source"),
    "Alerts received by webhook.",
    _GUARDED,
)
ALERTS_REFUSED = Metric(
    "obswarm_alerts_refused_total",
    Kind.COUNTER,
    ("reason",),
    "Alerts received by webhook and refused, by reason; a request body that cannot be parsed counts as one.",
    _GUARDED,
)
STATUSES = frozenset(STATUS_CLASSES.values()) | {NO_STATUS}
"""Values of the label `status` of requests."""

ANNOTATION_KINDS = tuple(kind for kind in AnnotationKind if kind is not AnnotationKind.RESTART)
ANNOTATIONS = Metric(
    "obswarm_annotations_total",
    Kind.COUNTER,
    ("kind",),
    "Annotations of the run by kind: start, stop, takeover (by a new master), stage (start of one), guard and alert"
    " (an action taken), release (the end of a hold), target (metrics missing or back), note (of a user).",
)
ANNOTATION_TIMES = Metric(
    "obswarm_annotation_timestamp_seconds",
    Kind.GAUGE,
    ("kind", "at"),
    "Time of an annotation, in seconds since the Unix epoch; one series for each of the newest 100 annotations. at: the same time as text.",
)
STATS_MESSAGES = Metric(
    "obswarm_stats_messages_total",
    Kind.COUNTER,
    ("worker",),
    "Statistics messages of the worker that were merged.",
    _DISTRIBUTED,
)
STATS_LOST = Metric(
    "obswarm_stats_lost_total",
    Kind.COUNTER,
    ("worker",),
    "Statistics messages of the worker that are known to be lost.",
    _DISTRIBUTED,
)
STATS_LAG = Metric(
    "obswarm_stats_lag_seconds",
    Kind.GAUGE,
    ("worker",),
    "Age of the newest statistics received from the worker.",
    _DISTRIBUTED,
)
PUSHED = Metric(
    "obswarm_remote_write_samples_total",
    Kind.COUNTER,
    (),
    "Samples that the remote write receiver has accepted.",
    "with --remote-write",
)
PUSH_LOST = Metric(
    "obswarm_remote_write_samples_lost_total",
    Kind.COUNTER,
    ("reason",),
    "Samples that were not delivered, by reason: refused (by the receiver), overflow (of the queue), end (of the run).",
    "with --remote-write",
)
BUILD_INFO = Metric(
    "obswarm_build_info",
    Kind.GAUGE,
    ("version", "python"),
    "Always 1; the labels are the versions of obswarm and Python.",
)

CONTRACT: tuple[Metric, ...] = (
    REQUESTS,
    DURATION,
    INTENDED_DURATION,
    RESPONSE_BYTES,
    ERRORS,
    IN_FLIGHT,
    OLDEST,
    INTERRUPTED,
    ITERATIONS,
    DROPPED_ITERATIONS,
    RATE_TARGET,
    EXCEPTIONS,
    USERS,
    USERS_TARGET,
    RUN_STATE,
    RUN_INFO,
    RUN_START,
    WORKERS,
    WORKER_USERS,
    WORKER_CPU,
    WORKER_MEMORY,
    WORKER_LAG,
    WORKER_CAPACITY,
    SATURATED,
    GUARD_STATE,
    GUARD_VALUE,
    GUARD_SEEN,
    GUARD_TRIPS,
    ALERTS,
    ALERTS_REFUSED,
    ANNOTATIONS,
    ANNOTATION_TIMES,
    STATS_MESSAGES,
    STATS_LOST,
    STATS_LAG,
    PUSHED,
    PUSH_LOST,
    BUILD_INFO,
)

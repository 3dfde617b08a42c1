"""Every metric that obswarm exports: name, type, labels, help. Dashboards and alerts rely on it; docs/metrics.md is made
from it."""

from dataclasses import dataclass
from enum import StrEnum

from obswarm.stats.endpoint import NO_STATUS, STATUS_CLASSES


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Metric:
    """One family. `name` is what a query is written with (a counter's has its `_total`); `when` says in what runs it has
    series."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    when: str = "all"


_DISTRIBUTED = "distributed"
_OPEN = "open model"
_GUARDED = "with guards"

REQUESTS = Metric(
    "obswarm_requests_total",
    Kind.COUNTER,
    ("method", "name", "outcome", "status"),
    "Finished requests, those without a duration included. outcome: success or failure; status: 1xx to 5xx, error (no answer), other (no HTTP status).",
)
DURATION = Metric(
    "obswarm_request_duration_seconds",
    Kind.HISTOGRAM,
    ("method", "name"),
    "Time from the call to the last byte of the answer, redirects included.",
)
INTENDED_DURATION = Metric(
    "obswarm_request_intended_duration_seconds",
    Kind.HISTOGRAM,
    ("method", "name"),
    "As the duration, but from the moment at which the request should have started.",
    _OPEN,
)
RESPONSE_BYTES = Metric(
    "obswarm_response_bytes_total",
    Kind.COUNTER,
    ("method", "name"),
    "Bytes of answers' bodies as they came over the wire.",
)
ERRORS = Metric(
    "obswarm_request_errors_total",
    Kind.COUNTER,
    ("method", "name", "error"),
    "Failed requests by what happened; more than ten kinds of an endpoint are grouped by their common form.",
)
IN_FLIGHT = Metric(
    "obswarm_requests_in_flight",
    Kind.GAUGE,
    ("method", "name"),
    "Requests under way: begun, and not answered or failed yet. A streamed answer of FastHttpUser is until it has been read or closed, one of HttpUser until its head.",
)
OLDEST = Metric(
    "obswarm_oldest_request_seconds",
    Kind.GAUGE,
    ("method", "name"),
    "Age of the oldest request under way; 0 when there is none.",
)
INTERRUPTED = Metric(
    "obswarm_requests_interrupted_total", Kind.COUNTER, (), "Requests that were cut off when their user was stopped."
)
ITERATIONS = Metric("obswarm_iterations_total", Kind.COUNTER, ("user_class",), "Tasks that users have finished.")
DROPPED_ITERATIONS = Metric(
    "obswarm_dropped_iterations_total",
    Kind.COUNTER,
    ("user_class",),
    "Iterations for which no user was free within the limit.",
    _OPEN,
)
EXCEPTIONS = Metric(
    "obswarm_task_exceptions_total", Kind.COUNTER, (), "Exceptions of the load-test file's code outside of requests."
)
USERS = Metric("obswarm_users", Kind.GAUGE, ("user_class",), "Users that are there.")
USERS_TARGET = Metric("obswarm_users_target", Kind.GAUGE, ("user_class",), "Users that the load is heading for.")
RUN_STATE = Metric("obswarm_run_state", Kind.GAUGE, ("state",), "1 for the state that the run is in, 0 for the others.")
RUN_INFO = Metric("obswarm_run_info", Kind.INFO, ("run_id", "test", "host", "model"), "Which run this is.")
RUN_START = Metric(
    "obswarm_run_start_timestamp_seconds", Kind.GAUGE, (), "When the run started, in seconds since 1970."
)
WORKER_STATES = ("ready", "missing", "leaving", "lost", "gone")
WORKERS = Metric(
    "obswarm_workers",
    Kind.GAUGE,
    ("state",),
    "Workers. state: ready, missing (not heard from), leaving, lost (dead), gone (left properly).",
)
WORKER_USERS = Metric("obswarm_worker_users", Kind.GAUGE, ("worker",), "Users of a worker.")
WORKER_CPU = Metric("obswarm_worker_cpu_ratio", Kind.GAUGE, ("worker",), "CPU use of a worker as a share of one core.")
WORKER_MEMORY = Metric("obswarm_worker_memory_bytes", Kind.GAUGE, ("worker",), "Resident memory of a worker.")
WORKER_LAG = Metric(
    "obswarm_worker_loop_lag_seconds",
    Kind.GAUGE,
    ("worker",),
    "How late the worker's event loop woke up at worst in the last interval.",
)
WORKER_CAPACITY = Metric(
    "obswarm_worker_capacity",
    Kind.GAUGE,
    ("worker",),
    "Requests per second that a worker measured for itself.",
    _DISTRIBUTED,
)
SATURATED = Metric(
    "obswarm_generator_saturated", Kind.GAUGE, ("worker",), "1 once the worker has been the bottleneck of this run."
)
GUARD_STATES = ("ok", "pending", "tripped", "blind")
GUARD_STATE = Metric(
    "obswarm_guard_state",
    Kind.GAUGE,
    ("guard", "state"),
    "1 for the state of a guard: ok, pending, tripped, blind.",
    _GUARDED,
)
GUARD_VALUE = Metric("obswarm_guard_value", Kind.GAUGE, ("guard",), "What a guard looks at.", _GUARDED)
GUARD_SEEN = Metric(
    "obswarm_guard_seen_ratio",
    Kind.GAUGE,
    ("guard",),
    "Share of the last 20 s for which a guard had a value.",
    _GUARDED,
)
GUARD_TRIPS = Metric(
    "obswarm_guard_trips_total", Kind.COUNTER, ("guard", "action"), "How often a guard acted.", _GUARDED
)
ALERTS = Metric(
    "obswarm_alerts_received_total",
    Kind.COUNTER,
    ("alertname", "status", "source"),
    "Alerts that were delivered by webhook.",
    _GUARDED,
)
ALERTS_REFUSED = Metric(
    "obswarm_alerts_refused_total",
    Kind.COUNTER,
    ("reason",),
    "Delivered alerts that were refused, and why; a delivery that cannot be read counts as one.",
    _GUARDED,
)
STATUSES = frozenset(STATUS_CLASSES.values()) | {NO_STATUS}
"""Values of the label `status`."""

MARKS = ("start", "takeover", "stop", "stage", "guard", "alert", "target")
ANNOTATIONS = Metric(
    "obswarm_annotations_total",
    Kind.COUNTER,
    ("kind",),
    "Marks that the run has got so far: its start and stop, a new master that goes on with it, the begin of a"
    " stage, a guard or an alert that acted, a target without metrics.",
)
MARK_TIMES = Metric(
    "obswarm_annotation_timestamp_seconds",
    Kind.GAUGE,
    ("kind", "at"),
    "When the run got a mark, in seconds since 1970; a series for each of the newest hundred, whose label at is the same time as a text.",
)
STATS_MESSAGES = Metric(
    "obswarm_stats_messages_total", Kind.COUNTER, ("worker",), "Statistics messages that were merged.", _DISTRIBUTED
)
STATS_LOST = Metric(
    "obswarm_stats_lost_total",
    Kind.COUNTER,
    ("worker",),
    "Statistics messages that are known to be lost.",
    _DISTRIBUTED,
)
STATS_LAG = Metric(
    "obswarm_stats_lag_seconds", Kind.GAUGE, ("worker",), "Age of the newest statistics of a worker.", _DISTRIBUTED
)
PUSHED = Metric(
    "obswarm_remote_write_samples_total",
    Kind.COUNTER,
    (),
    "Samples that the receiver has accepted.",
    "with --remote-write",
)
PUSH_LOST = Metric(
    "obswarm_remote_write_samples_lost_total",
    Kind.COUNTER,
    ("reason",),
    "Samples that will not be sent. reason: refused (by the receiver), overflow (of the queue), end (of the run).",
    "with --remote-write",
)
BUILD_INFO = Metric(
    "obswarm_build_info", Kind.GAUGE, ("version", "python"), "1, with the versions of obswarm and Python."
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
    MARK_TIMES,
    STATS_MESSAGES,
    STATS_LOST,
    STATS_LAG,
    PUSHED,
    PUSH_LOST,
    BUILD_INFO,
)

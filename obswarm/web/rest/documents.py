"""The documents that the REST API returns. Field names and types of these classes are the API's contract: the OpenAPI
document is made from them."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from obswarm.record import AlertStatus, GuardState, RunState, StopKind, WorkerStatus

OptionValue = bool | int | float | str | list[str] | None


class Session(Struct):
    required: bool
    methods: list[str]
    user: str | None
    csrf_token: str | None


class Problem(Struct):
    """An error, as of RFC 9457. `detail` is a sentence for people."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"


class Started(Struct):
    run_id: str


class Reason(Struct):
    kind: StopKind
    detail: str


class InForce(Struct):
    by: str
    action: str


class May(Struct):
    """The commands that are possible now."""

    start: bool
    load: bool
    hold: bool
    release: bool
    stop: bool
    reset: bool
    annotate: bool


class Status(Struct, kw_only=True):
    version: str
    boot: str
    state: RunState
    run_id: str | None
    loadtest: str
    host: str | None
    model: str
    users: int
    users_target: int
    spawn_rate: float
    users_by_class: dict[str, int]
    iterations_per_s: float | None
    iterations_per_s_target: float | None
    started_at: str | None
    started_s: float | None
    elapsed_s: float
    planned_s: float | None
    in_force: list[InForce]
    requests: int
    failures: int
    rps: float
    failures_per_s: float
    error_ratio: float
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    in_flight: int
    workers: int
    saturated: bool
    stop_reason: Reason | None
    error: str | None
    exit_code: int | None
    explanation: str | None
    may: May
    grafana_url: str | None


class LastInterval(Struct):
    """Statistics of an endpoint in the last second."""

    rps: float
    failures_per_s: float
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


class Endpoint(Struct, kw_only=True):
    """Statistics of an endpoint since the start of the run, or the last reset; `now` are those of the last second."""

    method: str
    name: str
    requests: int
    failures: int
    error_ratio: float
    rps: float
    failures_per_s: float
    mean_s: float | None
    min_s: float | None
    max_s: float | None
    p50_s: float | None
    p90_s: float | None
    p95_s: float | None
    p99_s: float | None
    response_bytes: int
    in_flight: int
    now: LastInterval


class Endpoints(Struct):
    run_id: str | None
    total: Endpoint | None
    endpoints: list[Endpoint]


class ErrorRow(Struct):
    method: str
    name: str
    error: str
    example: str | None
    count: int
    first_seen_s: float
    last_seen_s: float


class Errors(Struct):
    run_id: str | None
    errors: list[ErrorRow]


class ExceptionRow(Struct):
    message: str
    traceback: str
    count: int


class Exceptions(Struct):
    run_id: str | None
    exceptions: list[ExceptionRow]


class Worker(Struct, kw_only=True):
    worker: str
    state: WorkerStatus
    users: int
    cpu_ratio: float
    max_cpu_ratio: float
    loop_lag_s: float
    max_loop_lag_s: float
    memory_bytes: int
    saturated: bool
    capacity: float | None
    stats_lost: int


class Workers(Struct):
    run_id: str | None
    workers: list[Worker]


class Guard(Struct, kw_only=True):
    name: str
    when: str
    action: str
    state: GuardState
    value: float | None
    shown: str
    since_s: float | None
    trips: int
    matched: bool
    data_ratio: float | None
    no_data_reason: str | None
    suspect: str | None
    stopped: str | None


class RequirementRow(Struct):
    require: str
    met: bool
    value: float | None
    shown: str


class AlertRow(Struct):
    alertname: str
    status: AlertStatus
    source: str
    count: int


class Alerts(Struct):
    run_id: str | None
    alerts: list[AlertRow]


class Guards(Struct):
    run_id: str | None
    guards: list[Guard]
    requirements: list[RequirementRow]
    alerts: list[AlertRow]


class Scenario(Struct):
    user_class: str
    users: int
    users_target: int
    iterations: int
    iterations_per_s_target: float | None
    dropped: int


class Scenarios(Struct):
    run_id: str | None
    scenarios: list[Scenario]


class AnnotationRow(Struct):
    time_s: float
    kind: str
    text: str


class Annotations(Struct):
    run_id: str | None
    annotations: list[AnnotationRow]


class LogRow(Struct):
    time_s: float
    level: str
    logger: str
    text: str


class Logs(Struct):
    logs: list[LogRow]


class WholeSnapshot(Struct, kw_only=True):
    status: Status
    total: Endpoint | None
    endpoints: list[Endpoint]
    errors: list[ErrorRow]
    exceptions: list[ExceptionRow]
    workers: list[Worker]
    guards: list[Guard]
    requirements: list[RequirementRow]
    alerts: list[AlertRow]
    scenarios: list[Scenario]


Band = tuple[int, int]
"""Number of a band of durations, and the requests in it."""


class Heat(Struct):
    """Requests by band of durations: band n ends at `bounds_s[n]`. `counts` has those of each second."""

    bounds_s: list[float]
    counts: list[list[Band]]


class Series(Struct):
    run_id: str | None
    step_s: float
    time_s: list[float]
    columns: dict[str, list[float | None]]
    heat: Heat
    annotations: list[AnnotationRow]


class TargetRow(Struct):
    target: str
    kind: str
    problem: str | None


class TargetMetricRow(Struct):
    id: str
    target: str
    name: str
    labels: str
    title: str
    unit: str


class Targets(Struct):
    run_id: str | None
    targets: list[TargetRow]
    metrics: list[TargetMetricRow]


class TargetSamples(Struct):
    id: str
    time_s: list[float]
    values: list[float | None]


class TargetSeries(Struct):
    run_id: str | None
    series: list[TargetSamples]


class TaskRow(Struct):
    name: str
    ratio: float
    tags: list[str]


class UserClass(Struct, kw_only=True):
    name: str
    weight: float
    fixed_count: int
    host: str | None
    arrival_rate: str | None
    chosen: bool
    description: str
    tasks: list[TaskRow]


class Option(Struct, kw_only=True):
    """An option that the load-test file defines. The default of a secret is not shown."""

    name: str
    flag: str
    type: str
    choices: list[str] | None
    default: OptionValue
    required: bool
    multiple: bool
    secret: bool
    help: str


class LoadTestDocument(Struct, kw_only=True):
    name: str
    user_classes: list[UserClass]
    shape: str | None
    tags: list[str]
    options: list[Option]
    defaults: dict[str, Any]


class StoredRun(Struct, kw_only=True):
    id: str
    tag: str | None
    tags: list[str]
    test: str
    host: str | None
    started_s: float
    duration_s: float
    state: str
    stop_reason: Reason | None
    users_max: int | None
    requests: int | None
    rps: float | None
    error_ratio: float | None
    p95_s: float | None
    note: str
    has_report: bool
    grafana_url: str | None


class StoredRuns(Struct):
    runs: list[StoredRun]
    tags: list[str]
    next: str | None


class Section(Struct):
    heading: str
    sentences: list[str]


class ExplanationDocument(Struct):
    headline: str
    sections: list[Section]


FreeDocument = Mapping[str, Any]
"""A document with a contract of its own: of `--json`, or of `obswarm compare --json`."""

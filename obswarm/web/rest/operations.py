"""The operations of the REST API: path, parameters, documents, and what each does. The routes of the application and
the OpenAPI document are both made from this table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from msgspec import Meta

from obswarm.record import Snapshot
from obswarm.web.rest import documents as d
from obswarm.web.rest import requests as r
from obswarm.web.rest import rows
from obswarm.web.rest.custom import CustomMetrics
from obswarm.web.rest.live import LiveRun
from obswarm.web.rest.panels import Panels
from obswarm.web.rest.service import TestService

PREFIX = "/api/v1"
JSON, HTML, CSV = "application/json", "text/html", "text/csv"
MOST_METRICS = 20
_TIME_S = Annotated[float, Meta(ge=0, le=1e11)]
_TEXT = Annotated[str, Meta(max_length=200)]
_ID = Annotated[str, Meta(max_length=2000)]


@dataclass(frozen=True, slots=True)
class Call:
    """A request for an operation. `values` are the parameters of path and query, by name."""

    service: TestService
    live: LiveRun
    body: Any
    values: Mapping[str, Any]

    @property
    def run_id(self) -> str | None:
        """Id of the present or the last run."""
        return self.live.run_id or None

    @property
    def snapshot(self) -> Snapshot | None:
        return self.live.snapshot_now


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query; its type limits the values."""

    name: str
    type: Any
    default: Any
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation. `returns` is the type of its response, `body` that of its request, `problems` are the statuses of
    its errors besides those that all have."""

    method: str
    path: str
    summary: str
    call: Callable[[Call], Any]
    returns: Any = d.FreeDocument
    body: Any = None
    query: tuple[Parameter, ...] = ()
    problems: tuple[int, ...] = ()
    status: int = 200
    content_type: str = JSON
    file_name: str = ""
    """The name of the file for `download=1`, which `{}` of the path's parameters complete; empty: no download."""
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The values of a parameter of the path."""

    @property
    def name(self) -> str:
        """A unique name, for the OpenAPI document."""
        words = [part.strip("{}") for part in self.path.split("/") if part]
        return "_".join((self.method.lower(), *words))


def _start(call: Call) -> Any:
    return d.Started(call.service.start(call.body))


def _command(command: Callable[[TestService, Any], None]) -> Callable[[Call], Any]:
    def execute(call: Call) -> Any:
        command(call.service, call.body)
        return call.service.status()

    return execute


def _of_snapshot(document: Callable[..., Any], *makers: Callable[[Snapshot], Any]) -> Callable[[Call], Any]:
    """Return the call of an operation whose document is the run's id and lists that are made from the snapshot."""

    def execute(call: Call) -> Any:
        snapshot = call.snapshot
        return document(call.run_id, *([] if snapshot is None else make(snapshot) for make in makers))

    return execute


def _endpoints(call: Call) -> Any:
    snapshot = call.snapshot
    if snapshot is None:
        return d.Endpoints(call.run_id, None, [])
    return d.Endpoints(call.run_id, rows.total_row(snapshot), rows.endpoint_rows(snapshot))


def _guards(call: Call) -> Any:
    snapshot = call.snapshot
    if snapshot is None:
        return d.Guards(call.run_id, [], [], [])
    required = call.service.requirements(snapshot)
    return d.Guards(call.run_id, rows.guard_rows(snapshot), required, rows.alert_rows(snapshot))


def _snapshot(call: Call) -> Any:
    snapshot, guards, endpoints = call.snapshot, _guards(call), _endpoints(call)
    return d.WholeSnapshot(
        status=call.service.status(),
        total=endpoints.total,
        endpoints=endpoints.endpoints,
        errors=[] if snapshot is None else rows.error_rows(snapshot),
        exceptions=[] if snapshot is None else rows.exception_rows(snapshot),
        workers=[] if snapshot is None else rows.worker_rows(snapshot),
        guards=guards.guards,
        requirements=guards.requirements,
        alerts=guards.alerts,
        scenarios=[] if snapshot is None else rows.scenario_rows(snapshot),
    )


def _annotations(call: Call) -> list[d.AnnotationRow]:
    return [rows.annotation_row(each) for each in call.live.annotations]


def _series(call: Call) -> Any:
    times, columns, heat = call.live.series.since(call.values["since"])
    return d.Series(call.run_id, call.live.series.step_s, times, columns, heat, _annotations(call))


def _target_series(call: Call) -> Any:
    found = call.service.target_series(call.values["metric"], call.values["since"])
    return d.TargetSeries(call.run_id, found)


def _custom_series(call: Call) -> Any:
    return d.TargetSeries(call.run_id, call.live.custom.since(call.values["metric"], call.values["since"]))


_SINCE = Parameter("since", _TIME_S, 0.0, "Only values after this time, in seconds since 1970.")
_METRIC = Parameter("metric", Annotated[list[_ID], Meta(max_length=MOST_METRICS)], [], "Id of a metric; repeatable.")
_DOWNLOAD = Parameter("download", bool, False, "Send the response as a file to save.")
_COMMAND = (409,)
_STORED = (404, 409)
_EVALUATED = (404, 409, 503)
"""Error statuses of operations that evaluate stored runs in a process."""

CSV_TABLES = ("stats", "failures", "exceptions", "stats_history")

OPERATIONS = (
    Operation("GET", "/status", "State of the server and its run", lambda call: call.service.status(), d.Status),
    Operation(
        "GET", "/loadtest", "User classes, tags and options", lambda call: call.service.loadtest(), d.LoadTestDocument
    ),
    Operation("GET", "/panels", "Panels of the load test", lambda call: call.service.panels(), Panels),
    Operation("POST", "/start", "Start a run", _start, d.Started, r.Start, problems=_COMMAND, status=201),
    Operation(
        "POST",
        "/load",
        "Change the load of the run",
        _command(lambda service, body: service.change_load(body)),
        d.Status,
        r.ChangeLoad,
        problems=_COMMAND,
    ),
    Operation(
        "POST",
        "/hold",
        "Hold the load",
        _command(lambda service, _: service.hold()),
        d.Status,
        r.Empty,
        problems=_COMMAND,
    ),
    Operation(
        "POST",
        "/release",
        "Release a hold",
        _command(lambda service, body: service.release(body.by)),
        d.Status,
        r.Release,
        problems=_COMMAND,
    ),
    Operation(
        "POST",
        "/stop",
        "Stop the run",
        _command(lambda service, body: service.stop(body.reason, body.abort)),
        d.Status,
        r.Stop,
        problems=_COMMAND,
    ),
    Operation(
        "POST",
        "/reset",
        "Reset the statistics",
        _command(lambda service, _: service.reset()),
        d.Status,
        r.Empty,
        problems=_COMMAND,
    ),
    Operation(
        "POST",
        "/annotate",
        "Add an annotation",
        _command(lambda service, body: service.annotate(body.text)),
        d.Status,
        r.Annotate,
        problems=_COMMAND,
    ),
    Operation("GET", "/snapshot", "All present measurements", _snapshot, d.WholeSnapshot),
    Operation("GET", "/endpoints", "Statistics by endpoint", _endpoints, d.Endpoints),
    Operation("GET", "/errors", "Errors", _of_snapshot(d.Errors, rows.error_rows), d.Errors),
    Operation(
        "GET", "/exceptions", "Exceptions of tasks", _of_snapshot(d.Exceptions, rows.exception_rows), d.Exceptions
    ),
    Operation("GET", "/workers", "Load-generating processes", _of_snapshot(d.Workers, rows.worker_rows), d.Workers),
    Operation("GET", "/guards", "Guards, requirements and alerts", _guards, d.Guards),
    Operation("GET", "/alerts", "Received alerts", _of_snapshot(d.Alerts, rows.alert_rows), d.Alerts),
    Operation(
        "GET",
        "/scenarios",
        "Users and iterations by user class",
        _of_snapshot(d.Scenarios, rows.scenario_rows),
        d.Scenarios,
    ),
    Operation(
        "GET",
        "/annotations",
        "Annotations of the run",
        lambda call: d.Annotations(call.run_id, _annotations(call)),
        d.Annotations,
    ),
    Operation("GET", "/logs", "The last log messages", lambda call: d.Logs(list(call.live.logs)), d.Logs),
    Operation("GET", "/series", "The seconds of the run", _series, d.Series, query=(_SINCE,)),
    Operation("GET", "/targets", "Targets and their metrics", lambda call: call.service.targets(), d.Targets),
    Operation(
        "GET",
        "/targets/series",
        "Values of metrics of targets",
        _target_series,
        d.TargetSeries,
        query=(_METRIC, _SINCE),
    ),
    Operation(
        "GET",
        "/custom",
        "The load test's own metrics",
        lambda call: CustomMetrics(call.run_id, call.live.custom.metrics()),
        CustomMetrics,
    ),
    Operation(
        "GET",
        "/custom/series",
        "Values of the load test's own metrics",
        _custom_series,
        d.TargetSeries,
        query=(_METRIC, _SINCE),
    ),
    Operation(
        "GET",
        "/runs",
        "Stored runs, the newest first",
        lambda call: call.service.runs(*(call.values[name] for name in ("search", "tag", "limit", "before"))),
        d.StoredRuns,
        query=(
            Parameter("search", _TEXT, "", "Only runs with this text in id, load test, host, tags or note."),
            Parameter("tag", _TEXT, "", "Only runs with this tag."),
            Parameter("limit", Annotated[int, Meta(ge=1, le=500)], 50, "Maximum number of runs."),
            Parameter("before", _TEXT, "", "Only runs older than the one with this id."),
        ),
    ),
    Operation(
        "GET",
        "/runs/{run_id}",
        "A stored run",
        lambda call: call.service.run(call.values["run_id"]),
        d.StoredRun,
        problems=_STORED,
    ),
    Operation(
        "GET",
        "/runs/{run_id}/result",
        "The result of a run, as --json writes it",
        lambda call: call.service.result(call.values["run_id"]),
        query=(_DOWNLOAD,),
        problems=_STORED,
        file_name="{run_id}.json",
    ),
    Operation(
        "GET",
        "/runs/{run_id}/report",
        "The report of a run",
        lambda call: call.service.report(call.values["run_id"]),
        str,
        query=(_DOWNLOAD,),
        problems=_EVALUATED,
        content_type=HTML,
        file_name="{run_id}.html",
    ),
    Operation(
        "GET",
        "/runs/{run_id}/csv/{table}",
        "A table of a run as CSV",
        lambda call: call.service.csv(call.values["run_id"], call.values["table"]),
        str,
        query=(_DOWNLOAD,),
        problems=_EVALUATED,
        content_type=CSV,
        file_name="{run_id}_{table}.csv",
        choices={"table": CSV_TABLES},
    ),
    Operation(
        "GET",
        "/runs/{run_id}/explain",
        "What saturated first in a run",
        lambda call: call.service.explain(call.values["run_id"]),
        d.ExplanationDocument,
        problems=_EVALUATED,
    ),
    Operation(
        "GET",
        "/compare",
        "The comparison of two runs",
        lambda call: call.service.compare(call.values["before"], call.values["after"]),
        query=(
            Parameter("before", Annotated[str, Meta(min_length=1, max_length=200)], None, "The base."),
            Parameter(
                "after", Annotated[str, Meta(min_length=1, max_length=200)], None, "The run that is compared with it."
            ),
        ),
        problems=_EVALUATED,
    ),
)

"""The paths of Locust's web server, in Locust's form, for automation and exporters that were written for them. Times
are in milliseconds."""

import io
from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Response, request
from msgspec import UNSET, convert, to_builtins
from msgspec import ValidationError as InvalidValue
from werkzeug.exceptions import Forbidden

from obswarm import clock
from obswarm.api import Environment, ObswarmError
from obswarm.app.locust_constants import report_percentiles
from obswarm.app.page_service import PageService
from obswarm.csv_text import CsvRows
from obswarm.json_text import to_json
from obswarm.locust.stats_csv import StatsCSV
from obswarm.locust.user.inspectuser import get_ratio
from obswarm.record import LOADED_STATES, RunState, Snapshot
from obswarm.stats import TOTAL, EndpointStats
from obswarm.web.access import is_from_elsewhere
from obswarm.web.rest.requests import ChangeLoad, Start
from obswarm.web.rest.rows import TOTAL_NAME

_MOST_ROWS = 500
_TASKS_OF_FORM = ("user_count", "spawn_rate", "host", "run_time", "user_classes", "shape_class", "profile")


def locust_blueprint(service: PageService, environment: Environment) -> Blueprint:
    """Return the paths, for a Flask application that checks access."""
    blueprint = Blueprint("locust", __name__)

    def add(path: str, view: Callable[[], Any], *methods: str) -> None:
        blueprint.add_url_rule(path, path.strip("/").replace("/", "_"), view, methods=methods or ("GET",))

    def changing(view: Callable[[], Any]) -> Callable[[], Any]:
        """Return a view that changes something on a GET, which a link on any page could make a browser send."""

        def checked() -> Any:
            if is_from_elsewhere(request.environ) or _may_be_a_link():
                raise Forbidden("The request is one of a page of another origin.")
            return view()

        return checked

    def swarm() -> Response:
        try:
            message = _swarm(service)
        except ObswarmError as error:
            return _json({"success": False, "message": str(error), "host": environment.host})
        document: dict[str, Any] = {"success": True, "message": message, "host": environment.host}
        if request.form.get("run_time"):
            document["run_time"] = request.form["run_time"]
        if request.form.getlist("user_classes"):
            document["user_classes"] = sorted(request.form.getlist("user_classes"))
        return _json(document)

    def stop() -> Response:
        if service.present is not None:
            service.stop("", False)
        return _json({"success": True, "message": "Test stopped"})

    def reset() -> Response:
        if service.state in LOADED_STATES:
            service.reset()
        return Response("ok", content_type="text/html; charset=utf-8")

    def table(write: Callable[[StatsCSV, Any], None], name: str) -> Callable[[], Response]:
        def answer() -> Response:
            text = io.StringIO(newline="")
            write(StatsCSV(environment, report_percentiles()), _Rows(text))
            response = Response(text.getvalue(), content_type="text/csv; charset=utf-8")
            response.headers["Content-Disposition"] = f"attachment;filename={name}_{clock.wall():.0f}.csv"
            return response

        return answer

    def exceptions() -> Response:
        snapshot = service.live.snapshot_now
        found = [] if snapshot is None else sorted(snapshot.exceptions.values(), key=lambda each: -each.count)
        listed = [
            {"count": each.count, "msg": each.message, "traceback": each.traceback, "nodes": "local"} for each in found
        ]
        return _json({"exceptions": listed})

    def tasks() -> Response:
        # A master service has no runner before its first run.
        users = {} if environment.runner is None else environment.runner.user_classes_count
        classes = environment.user_classes
        return _json({name: get_ratio(classes, users, name == "total") for name in ("per_class", "total")})

    def logs() -> Response:
        lines = [f"{each.level}/{each.logger}: {each.text}" for each in service.live.logs]
        return _json({"master": lines, "workers": dict(environment.worker_logs)})

    add("/swarm", swarm, "POST")
    add("/stop", changing(stop), "GET", "POST")
    add("/stats/reset", changing(reset), "GET", "POST")
    add("/stats/requests", lambda: _json(_requests(service)))
    add("/stats/requests/csv", table(StatsCSV.requests_csv, "requests"))
    add("/stats/failures/csv", table(StatsCSV.failures_csv, "failures"))
    add("/exceptions", exceptions)
    add("/exceptions/csv", table(StatsCSV.exceptions_csv, "exceptions"))
    add("/tasks", tasks)
    add("/logs", logs)
    return blueprint


def _may_be_a_link() -> bool:
    """Whether a browser sends a GET without saying what made it do so: it says that to loopback addresses and over TLS
    only, and sends along the user and password that it was once given for this server."""
    is_browser = request.headers.get("User-Agent", "").startswith("Mozilla/")
    return request.method == "GET" and is_browser and "Sec-Fetch-Site" not in request.headers


class _Rows(CsvRows):
    """The writer that StatsCSV takes."""

    def writerow(self, row: Iterable[Any]) -> None:
        self.write(row)


def _json(document: Any) -> Response:
    return Response(to_json(document), content_type="application/json")


def _swarm(service: PageService) -> str:
    """Start a run, or change the load of the present one, as the form says; returns a message. Raises ObswarmError."""
    form = request.form
    users, rate = _number("user_count", int), _number("spawn_rate", float)
    classes = form.getlist("user_classes")
    if service.state in LOADED_STATES:
        service.change_load(ChangeLoad(users=users, spawn_rate=rate, user_classes=classes or None))
        return "Swarming started"
    shape = service.loadtest().shape
    start = Start(
        users=None if shape else users,
        spawn_rate=None if shape else rate,
        run_time=form.get("run_time") or None,
        host=form["host"] if form.get("host") else UNSET,
        user_classes=classes or UNSET,
        profile=form["profile"] if form.get("profile") else UNSET,
        options={
            name: form.getlist(name) if len(form.getlist(name)) > 1 else form[name]
            for name in form
            if name not in _TASKS_OF_FORM and form[name] != ""
        },
    )
    service.start(_checked(start))
    return "Swarming started using shape class" if shape else "Swarming started"


def _checked(start: Start) -> Start:
    """Check the limits of values. Raises ObswarmError."""
    try:
        return convert(to_builtins(start), Start)
    except InvalidValue as error:
        raise ObswarmError(f"{error}.") from None


def _number(name: str, kind: Any) -> Any:
    text = request.form.get(name)
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        raise ObswarmError(f"{name} is {text!r}; it has to be a number.") from None


def _requests(service: PageService) -> dict[str, Any]:
    snapshot, run = service.live.snapshot_now, service.present
    state = service.state
    document: dict[str, Any] = {
        "stats": [],
        "errors": [],
        "total_rps": 0.0,
        "total_fail_per_sec": 0.0,
        "total_avg_response_time": 0.0,
        "fail_ratio": 0.0,
        # Locust has no state for a load that is held.
        "state": str(RunState.RUNNING if state is RunState.HOLDING else state),
        "user_count": 0 if run is None else sum(run.user_counts().values()),
    }
    recent = None if snapshot is None or run is None else snapshot.interval_total
    p50, p95 = (None, None) if recent is None else (_ms(recent.quantile(each)) for each in (0.5, 0.95))
    # The names of several versions of Locust.
    document |= {"current_response_time_percentile_50": p50, "current_response_time_percentile_95": p95}
    document |= {"current_response_time_percentile_1": p50, "current_response_time_percentile_2": p95}
    document["current_response_time_percentiles"] = {
        "response_time_percentile_0.5": p50,
        "response_time_percentile_0.95": p95,
    }
    if snapshot is None:
        return document
    is_over = run is None
    rows = [
        _row(key.method, key.full_name, stats, snapshot.interval.get(key), snapshot, is_over)
        for key, stats in sorted(snapshot.endpoints.items(), key=lambda item: (item[0].name, item[0].method))
    ]
    total = _row("", TOTAL_NAME, snapshot.total, snapshot.interval_total, snapshot, is_over)
    document["stats"] = [*rows[:_MOST_ROWS], total]
    document["errors"] = [
        {
            "method": key.method,
            "name": key.name,
            "error": key.message,
            "occurrences": seen.count,
            "first_seen": seen.first_seen_s,
            "last_seen": seen.last_seen_s,
        }
        for key, seen in sorted(snapshot.errors.items())[:_MOST_ROWS]
    ]
    document |= {"total_rps": total["current_rps"], "total_fail_per_sec": total["current_fail_per_sec"]}
    document |= {"total_avg_response_time": total["avg_response_time"], "fail_ratio": snapshot.total.error_ratio}
    workers = [
        {
            "id": each.worker,
            "state": str(each.state) if is_over or each.state != "ready" else document["state"],
            "user_count": each.users,
            "cpu_usage": each.cpu_ratio * 100,
            "memory_usage": each.memory_bytes,
        }
        for each in snapshot.workers
    ]
    # Locust before version 1 had another name for them.
    return document | {"workers": workers, "slaves": workers}


def _row(
    method: str, name: str, stats: EndpointStats, recent: EndpointStats | None, snapshot: Snapshot, is_over: bool
) -> dict[str, Any]:
    recent = EndpointStats(TOTAL) if recent is None or is_over else recent
    return {
        "method": method,
        "name": name,
        "safe_name": name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
        "num_requests": stats.requests,
        "num_failures": stats.failures,
        "avg_response_time": _ms(stats.duration.mean_s) or 0.0,
        "min_response_time": _ms(stats.min_s) or 0.0,
        "max_response_time": _ms(stats.max_s) or 0.0,
        "median_response_time": _ms(stats.quantile(0.5)) or 0.0,
        "ninetieth_response_time": _ms(stats.quantile(0.9)) or 0.0,
        "ninety_ninth_response_time": _ms(stats.quantile(0.99)) or 0.0,
        "response_time_percentile_0.95": _ms(stats.quantile(0.95)) or 0.0,
        "response_time_percentile_0.99": _ms(stats.quantile(0.99)) or 0.0,
        "current_rps": recent.requests / snapshot.interval_s,
        "current_fail_per_sec": recent.failures / snapshot.interval_s,
        "total_rps": stats.rate(snapshot.load_s),
        "total_fail_per_sec": stats.failure_rate(snapshot.load_s),
        "avg_content_length": stats.response_bytes / stats.requests if stats.requests else 0,
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)

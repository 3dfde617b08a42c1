"""A TestService without runs: it notes commands, and answers with made-up documents."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask.testing import FlaskClient

from obswarm.record import RunState, Snapshot
from obswarm.web.access import Access
from obswarm.web.rest.application import make_application
from obswarm.web.rest.documents import (
    ExplanationDocument,
    LoadTestDocument,
    May,
    RequirementRow,
    Section,
    Status,
    StoredRun,
    StoredRuns,
    TargetMetricRow,
    TargetRow,
    Targets,
    TargetSamples,
)
from obswarm.web.rest.events import EventStreams
from obswarm.web.rest.live import LiveRun
from obswarm.web.rest.panels import Panels, panels_of
from obswarm.web.rest.requests import ChangeLoad, Start
from obswarm.web.rest.service import NotFound, NotPossible

STORED = StoredRun(
    id="20260131-120000-abcd",
    tag="nightly",
    tags=["nightly"],
    test="shop.py",
    host="http://shop.example",
    started_s=1.0,
    duration_s=60.0,
    state="stopped",
    stop_reason=None,
    users_max=5,
    requests=10,
    rps=1.0,
    error_ratio=0.0,
    p95_s=0.1,
    note="",
    has_report=True,
    grafana_url=None,
)


class StubTestService:
    """`commands` are the commands so far, by name and arguments; `is_running` decides which are possible."""

    def __init__(self) -> None:
        self.commands: list[tuple[Any, ...]] = []
        self.is_running = False
        self.streams = EventStreams(self.status)
        self.live = LiveRun(self.streams, self.requirements)

    def status(self) -> Status:
        on = self.is_running
        return Status(
            version="0",
            boot="b",
            state=RunState.RUNNING if on else RunState.READY,
            run_id=None,
            loadtest="shop.py",
            host=None,
            model="closed",
            users=0,
            users_target=0,
            spawn_rate=0.0,
            users_by_class={},
            iterations_per_s=None,
            iterations_per_s_target=None,
            started_at=None,
            started_s=None,
            elapsed_s=0.0,
            planned_s=None,
            in_force=[],
            requests=0,
            failures=0,
            rps=0.0,
            failures_per_s=0.0,
            error_ratio=0.0,
            p50_s=None,
            p95_s=None,
            p99_s=None,
            in_flight=0,
            workers=0,
            saturated=False,
            stop_reason=None,
            error=None,
            exit_code=None,
            explanation=None,
            may=May(start=not on, load=on, hold=on, release=on, stop=on, reset=on, annotate=on),
            grafana_url=None,
        )

    def _note(self, *command: Any) -> None:
        if not self.is_running:
            raise NotPossible("There is no run.")
        self.commands.append(command)

    def start(self, request: Start) -> str:
        if self.is_running:
            raise NotPossible("A run is in progress.")
        self.commands.append(("start", request))
        return STORED.id

    def change_load(self, request: ChangeLoad) -> None:
        self._note("load", request)

    def hold(self) -> None:
        self._note("hold")

    def release(self, by: str | None) -> None:
        self._note("release", by)

    def stop(self, reason: str, abort: bool) -> None:
        self._note("stop", reason, abort)

    def reset(self) -> None:
        self._note("reset")

    def annotate(self, text: str) -> None:
        self._note("annotate", text)

    def panels(self) -> Panels:
        return panels_of({"extended_tables": [{"key": "a", "structure": [{"key": "b", "title": "B"}]}]})

    def loadtest(self) -> LoadTestDocument:
        return LoadTestDocument(name="shop.py", user_classes=[], shape=None, tags=[], options=[], defaults={})

    def requirements(self, snapshot: Snapshot) -> list[RequirementRow]:
        return [RequirementRow("p95 < 1s", True, 0.1, "100 ms")]

    def targets(self) -> Targets:
        metric = TargetMetricRow("db|threads", "db", "threads", "", "threads", "number")
        return Targets(None, [TargetRow("db", "mysql", None)], [metric])

    def target_series(self, metrics: Sequence[str], since_s: float) -> list[TargetSamples]:
        return [TargetSamples(each, [1.0, 2.0], [3.0, float("nan")]) for each in metrics]

    def runs(self, search: str, tag: str, limit: int, before: str) -> StoredRuns:
        return StoredRuns([STORED], ["nightly"], None)

    def _known(self, run_id: str) -> None:
        if run_id != STORED.id:
            raise NotFound(f"There is no run {run_id!r}.")

    def run(self, run_id: str) -> StoredRun:
        self._known(run_id)
        return STORED

    def result(self, run_id: str) -> Mapping[str, Any]:
        self._known(run_id)
        return {"run_id": run_id}

    def report(self, run_id: str) -> str:
        self._known(run_id)
        return "<!doctype html><title>Report</title>"

    def csv(self, run_id: str, table: str) -> str:
        self._known(run_id)
        return f"{table}\r\n"

    def explain(self, run_id: str) -> ExplanationDocument:
        self._known(run_id)
        return ExplanationDocument("It did not break.", [Section("Why", ["Because."])])

    def compare(self, before: str, after: str) -> Mapping[str, Any]:
        self._known(before)
        return {"base": before, "run": after}


def client_of(service: StubTestService, access: Access | None = None) -> FlaskClient:
    """Return Flask's test client of the application."""
    app = make_application(service, service.live, service.streams, access or Access())
    return app.test_client(use_cookies=True)

"""PageService: the state and the commands of a process's runs, for the page and the API; implements TestService."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import gevent

from obswarm import __version__, clock
from obswarm.api import ObswarmError
from obswarm.api.arrivals import parse_rate
from obswarm.app.guards_setup import GuardsSetup
from obswarm.app.loadtest_document import loadtest_document
from obswarm.app.planning import LoadedTest
from obswarm.app.recording import open_store
from obswarm.app.stored_runs import StoredRunsReader
from obswarm.config import RunConfig
from obswarm.engine import Run, RunResult, StopReason, id_of, name_of
from obswarm.guards import evaluate_requirements
from obswarm.record import LOADED_STATES, AnnotationKind, MetricKey, RunState, Snapshot, StopKind, WorkerStatus
from obswarm.store import metric_samples
from obswarm.units import rounded
from obswarm.web.rest import rows
from obswarm.web.rest.documents import (
    InForce,
    LoadTestDocument,
    May,
    Reason,
    RequirementRow,
    Status,
    TargetMetricRow,
    TargetRow,
    Targets,
    TargetSamples,
)
from obswarm.web.rest.events import EventStreams
from obswarm.web.rest.live import LiveRun
from obswarm.web.rest.panels import Panels, panels_of
from obswarm.web.rest.requests import ChangeLoad, Start
from obswarm.web.rest.service import NotPossible

HOLDER = "page"
"""Who holds the load by a command, in `in_force`."""

_DASHBOARD = "/d/obswarm-run"
_PAUSE_S = 0.001

StartRun = Callable[[Start], str]
"""Starts a requested run, and returns its id. Raises ObswarmError."""


class PageService(StoredRunsReader):
    """The present or last run of a process, for the page.

    `start_run` starts further runs; None for a process that makes one run. A run takes part between `began` and
    `ended`.
    """

    def __init__(self, config: RunConfig, start_run: StartRun | None = None, boot: str | None = None) -> None:
        """`boot` is the one of an earlier process, which this process continues."""
        folder = None if config.store.no_store else config.store.folder
        super().__init__(folder, config.file, self.grafana_url)
        self._config = config
        self._start_run = start_run
        self.boot = boot or secrets.token_hex(4)
        self._loaded: LoadedTest | None = None
        self._run: Run | None = None
        self._guards: GuardsSetup | None = None
        self._result: RunResult | None = None
        self._exit_code: int | None = None
        self._error: str | None = None
        self._template_args: Callable[[], Mapping[str, Any]] = dict
        self.streams = EventStreams(self.status)
        self.live = LiveRun(self.streams, self.requirements)

    # What the process tells about its runs.
    def know(self, loaded: LoadedTest, config: RunConfig) -> None:
        """Note the load test, and the configuration of its runs."""
        self._loaded, self._config = loaded, config

    def began(self, run: Run, guards: GuardsSetup | None = None) -> None:
        """Note that a run can be controlled; `guards` are None for one that has none."""
        self._run, self._guards = run, guards
        self._result = self._exit_code = self._error = None
        self.streams.publish_state()

    def ended(self, result: RunResult, exit_code: int) -> None:
        """Note the result of the run."""
        self._run, self._result, self._exit_code = None, result, exit_code
        self._error = None if result.error is None else str(result.error)
        self.streams.publish_state()

    def failed(self, error: str) -> None:
        """Note that a run could not be started, or has no result."""
        self._run, self._error = None, error
        self.streams.publish_state()

    @property
    def present(self) -> Run | None:
        """The run that goes on, None without one."""
        return self._run

    # State.
    @property
    def state(self) -> RunState:
        """The state of the present run, or of the last one."""
        if self._run is not None:
            return self._run.state
        return RunState.STOPPED if self._result is not None else RunState.READY

    def status(self) -> Status:
        run, snapshot, state = self._run, self.live.snapshot_now, self.state
        result, loaded = self._result, self._loaded
        total = None if snapshot is None else snapshot.total
        recent = rows.last_interval(None if snapshot is None else snapshot.interval_total, _seconds(snapshot))
        now_s = clock.wall()
        users = {} if run is None else dict(run.user_counts())
        is_open = snapshot is not None and snapshot.is_open
        started_s = None if snapshot is None else snapshot.started_s
        ended_s = None if result is None else result.ended_s
        has_load = state in LOADED_STATES
        return Status(
            version=__version__,
            boot=self.boot,
            state=state,
            run_id=self.live.run_id or None,
            loadtest="" if loaded is None else loaded.loadtest.name,
            host=self._config.load.host if snapshot is None else snapshot.host,
            model="open" if is_open else "closed",
            users=sum(users.values()),
            users_target=0 if run is None else sum(run.user_targets().values()),
            spawn_rate=0.0 if run is None else run.spawn_rate,
            users_by_class=users,
            iterations_per_s=round(snapshot.interval_iterations / _seconds(snapshot), 6) if snapshot else None,
            iterations_per_s_target=rounded(snapshot.rate_target) if snapshot is not None and is_open else None,
            started_at=None if started_s is None else clock.iso(started_s),
            started_s=started_s,
            elapsed_s=round(_elapsed_s(snapshot, None if run is None else now_s), 3),
            planned_s=None if snapshot is None else snapshot.planned_s,
            in_force=[InForce(*each) for each in rows.holders(run.in_force.items())] if run is not None else [],
            requests=0 if total is None else total.requests,
            failures=0 if total is None else total.failures,
            rps=recent.rps if run is not None else 0.0,
            failures_per_s=recent.failures_per_s if run is not None else 0.0,
            error_ratio=0.0 if total is None else round(total.error_ratio, 6),
            p50_s=recent.p50_s if run is not None else None,
            p95_s=recent.p95_s if run is not None else None,
            p99_s=recent.p99_s if run is not None else None,
            in_flight=sum(each.count for each in snapshot.in_flight.values()) if run and snapshot else 0,
            workers=0 if snapshot is None else sum(each.state is WorkerStatus.READY for each in snapshot.workers),
            saturated=snapshot is not None and any(each.saturated for each in snapshot.workers),
            stop_reason=None if result is None else Reason(result.stop_reason.kind, result.stop_reason.detail),
            error=self._error,
            exit_code=self._exit_code,
            explanation=(result.explanation or None) if result is not None else None,
            may=May(
                start=self._start_run is not None and run is None,
                load=has_load,
                hold=has_load,
                release=has_load and bool(run and run.in_force),
                stop=run is not None and state is not RunState.STOPPED,
                reset=has_load,
                annotate=run is not None and state is not RunState.STOPPED,
            ),
            grafana_url=None if started_s is None else self.grafana_url(started_s, ended_s),
        )

    def grafana_url(self, started_s: float, ended_s: float | None) -> str | None:
        """Return the URL of the dashboard with the time range of a run, None without --grafana-url."""
        base = self._config.guards.grafana_url
        if not base:
            return None
        begin, end = f"{started_s * 1000:.0f}", "now" if ended_s is None else f"{ended_s * 1000:.0f}"
        return f"{base.rstrip('/')}{_DASHBOARD}?{urlencode({'from': begin, 'to': end})}"

    # Commands.
    def start(self, request: Start) -> str:
        if self._start_run is None:
            raise NotPossible("This process makes one run; `obswarm run --web` starts runs from the page.")
        if self._run is not None:
            raise NotPossible("A run is in progress; stop it, and wait for its end.")
        return self._start_run(request)

    def _present(self) -> Run:
        """Return the run. Raises NotPossible if it has no load."""
        if self._run is None or self._run.state not in LOADED_STATES:
            raise NotPossible("There is no run with load.")
        return self._run

    def change_load(self, request: ChangeLoad) -> None:
        run = self._present()
        wants_users = request.users is not None or request.spawn_rate is not None or request.user_classes is not None
        if (request.arrival_rate is None) is not wants_users:
            raise ObswarmError("Give either users (with spawn_rate and user_classes), or arrival_rate.")
        if request.arrival_rate is not None:
            run.set_rate(_rate_of(request.arrival_rate))
        else:
            names = request.user_classes
            known = run.user_targets()
            for name in names or ():
                if name not in known:
                    raise ObswarmError(f"user_classes: {name!r} is not a class of the run; it has {', '.join(known)}.")
            users = sum(known.values()) if request.users is None else request.users
            rate = request.spawn_rate or run.spawn_rate or 1.0
            run.set_load(users, rate, None if names is None else tuple(names))
        self.streams.publish_state()

    def hold(self) -> None:
        self._present().hold(HOLDER)
        self.streams.publish_state()

    def release(self, by: str | None) -> None:
        run, wanted = self._present(), by or HOLDER
        found = [each for each in run.in_force if name_of(each) == wanted]
        if not found:
            raise NotPossible(f"Nothing called {wanted} holds the load.")
        for each in found:
            run.release(each)
            run.annotate(AnnotationKind.RELEASE, f"{' '.join((wanted, *id_of(each)))} is released on the page")
        self.streams.publish_state()

    def stop(self, reason: str, abort: bool) -> None:
        run = self._run
        if run is None:
            raise NotPossible("There is no run.")
        why = StopReason(StopKind.USER, f"stopped on the page: {reason}" if reason else "stopped on the page")
        (run.abort if abort else run.stop)(why)
        self.streams.publish_state()

    def reset(self) -> None:
        self._present().reset_statistics()

    def annotate(self, text: str) -> None:
        if self._run is None:
            raise NotPossible("There is no run to annotate.")
        self._run.annotate(AnnotationKind.NOTE, text)

    # The load test, guards and targets.
    def loadtest(self) -> LoadTestDocument:
        if self._loaded is None:
            raise NotPossible("The load test is not imported yet.")
        return loadtest_document(self._loaded, self._config)

    def panels(self) -> Panels:
        return panels_of(self._template_args())

    def describe_panels(self, template_args: Callable[[], Mapping[str, Any]]) -> None:
        """Have `template_args` return what describes the panels of the load test."""
        self._template_args = template_args

    def requirements(self, snapshot: Snapshot) -> list[RequirementRow]:
        required = [] if self._guards is None else self._guards.requirements
        return [
            RequirementRow(str(each.requirement), each.met, rounded(each.value), each.shown)
            for each in evaluate_requirements(required, snapshot)
        ]

    def targets(self) -> Targets:
        coverage = None if self._guards is None else self._guards.coverage
        views = () if coverage is None else coverage.views()
        metrics = [
            TargetMetricRow(_id_of(key), key.target, key.name, "", key.name, key.unit)
            for key in self._samples(clock.wall())
        ]
        targets = [TargetRow(each.target, each.kind, each.problem or None) for each in views]
        return Targets(self.live.run_id or None, targets, metrics)

    def target_series(self, metrics: Sequence[str], since_s: float) -> list[TargetSamples]:
        wanted = set(metrics)
        return [
            TargetSamples(_id_of(key), [time_s for time_s, _ in points], [value for _, value in points])
            for key, points in self._samples(since_s).items()
            if _id_of(key) in wanted
        ]

    def _samples(self, since_s: float) -> dict[MetricKey, list[tuple[float, float]]]:
        if self._folder is None or not self.live.run_id:
            return {}
        with open_store(str(self._folder)) as store:
            run = next((each for each in store.runs() if each.run_id == self.live.run_id), None)
            return {} if run is None else metric_samples(store, run, since_s, lambda: gevent.sleep(_PAUSE_S))


def _id_of(key: MetricKey) -> str:
    return f"{key.target}|{key.name}"


def _seconds(snapshot: Snapshot | None) -> float:
    return 1.0 if snapshot is None else snapshot.interval_s


def _elapsed_s(snapshot: Snapshot | None, now_s: float | None) -> float:
    if snapshot is None:
        return 0.0
    return snapshot.elapsed_s if now_s is None else max(snapshot.elapsed_s, now_s - snapshot.started_s)


def _rate_of(text: str) -> float:
    """Return the rate of a text such as `200/s`, in iterations per second. Raises ObswarmError."""
    try:
        return parse_rate(text)
    except ValueError as error:
        raise ObswarmError(f"arrival_rate: {error}.") from None

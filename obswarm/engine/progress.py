"""Progress: the state of a run from which another process can continue it; RunJournal, which stores it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.engine.control import StopReason
from obswarm.engine.driver import LoadDriver
from obswarm.engine.executor import Executor, ExecutorState, SetLoad
from obswarm.engine.statistics import RunStatistics
from obswarm.record import Annotation, AnnotationKind, RunState
from obswarm.stats import StatsTable


@dataclass(slots=True)
class Progress:
    """The state of a run at the wall time `at_wall_s`. Times are in seconds."""

    at_wall_s: float
    elapsed_s: float
    stats_elapsed_s: float
    profile_elapsed_s: float
    """Elapsed time of the plan, which excludes holds that stop its time."""
    holding: bool
    placed: dict[str, int]
    """Assigned users by class."""
    ramp: list[float] | None
    """(users, spawn rate) of a load that was set or scaled; None if the plan is followed."""
    users_max: int
    stopping: list[str] | None
    """(kind, detail) of the stop reason; None if the run is not stopping."""
    annotations: list[list[Any]]
    """(wall time, kind, text)."""
    losses: list[list[Any]] = field(default_factory=list)
    """(worker, detail, seconds, users) of lost statistics."""
    load_s: float | None = None
    """Duration of the load since the start of the statistics; None until users are stopped."""
    ramp_classes: list[str] | None = None
    """User classes of that load; None: all."""
    is_scaled: bool = False
    in_force: dict[str, str] = field(default_factory=dict)
    """The actions `hold` and `scale(…)` in force, by the id of their guard or alert."""
    guards: dict[str, Any] = field(default_factory=dict)
    """State of the guards and of firing alerts."""
    users_ended: int = 0
    """Number of assigned users that have ended by themselves."""
    rates: dict[str, float] = field(default_factory=dict)
    """Assigned iterations per second, by class."""
    iterations_ended: list[list[Any]] = field(default_factory=list)
    """(limit, process, number) of ended iterations whose number is limited."""
    scenarios: list[list[Any]] = field(default_factory=list)
    """(name, state, state of its executor as `_packed` returns it) of each scenario."""
    is_over: bool = False
    """Whether all workers have ended: the run's result only has to be written."""

    @property
    def executor(self) -> ExecutorState:
        """The state of the executor."""
        load = None
        if self.ramp is not None:
            users, rate = self.ramp
            classes = None if self.ramp_classes is None else tuple(self.ramp_classes)
            load = SetLoad(int(users), rate, classes, self.is_scaled)
        parts = {name: (state, _unpacked(packed)) for name, state, packed in self.scenarios}
        return ExecutorState(self.profile_elapsed_s, self.holding, self.placed, self.rates, load, parts)


def _packed(state: ExecutorState) -> list[Any]:
    """Return the state of a scenario's executor as values of MessagePack."""
    load = state.set_load
    scaled = None if load is None else [load.users, load.rate]
    return [state.elapsed_s, state.holding, dict(state.users), dict(state.rates), scaled]


def _unpacked(packed: list[Any]) -> ExecutorState:
    """Undo `_packed`; the load of a scenario is only set when it is scaled."""
    elapsed_s, holding, users, rates, scaled = packed
    load = None if scaled is None else SetLoad(int(scaled[0]), float(scaled[1]), is_scaled=True)
    return ExecutorState(elapsed_s, holding, users, rates, load)


@dataclass(slots=True)
class RunLog:
    """State, stop reason, error and annotations of a run so far."""

    state: RunState = RunState.READY
    reason: StopReason | None = None
    """Stop reason; None before the run stops."""
    error: ObswarmError | None = None
    annotations: list[Annotation] = field(default_factory=list)
    shown_state: RunState | None = None
    """The state that the load test sees, if it is another one."""

    @contextmanager
    def shown_as(self, state: RunState) -> Iterator[None]:
        """Within the block the load test sees that state, as Locust has it during an event."""
        self.shown_state = state
        try:
            yield
        finally:
            self.shown_state = None


class EarlierRun(Protocol):
    """The state of a run that another process started."""

    @property
    def progress(self) -> Progress: ...

    @property
    def table(self) -> StatsTable:
        """All of its statistics."""


class RunJournal(Protocol):
    """Stores the state from which another process can continue a run. Its methods do not raise: a journal that cannot
    be written does not stop the run."""

    @property
    def is_due(self) -> bool:
        """Whether it is time for `rewrite`."""

    def append(self, delta: StatsTable, progress: Progress, *, reset: bool = False, is_over: bool = False) -> None:
        """Add the statistics since the last record; with `reset`, earlier records are void. `is_over`: the generator
        has ended."""

    def rewrite(self, whole: StatsTable, progress: Progress) -> None:
        """Replace all records by one."""

    def finish(self) -> None:
        """Remove the stored state: the result has been written."""


def progress_of(
    executor: Executor,
    statistics: RunStatistics,
    *,
    users_ended: int,
    in_force: Mapping[str, str],
    guards: dict[str, Any],
    stopping: list[str] | None,
    annotations: list[Annotation],
    iterations_ended: list[list[Any]],
) -> Progress:
    """Return the current progress, without the values that only the generator has."""
    now = clock.monotonic()
    elapsed_s, stats_elapsed_s = statistics.elapsed_s(now)
    state = executor.state(now)
    load = state.set_load
    return Progress(
        at_wall_s=clock.wall(),
        elapsed_s=elapsed_s,
        stats_elapsed_s=stats_elapsed_s,
        profile_elapsed_s=state.elapsed_s,
        holding=state.holding,
        placed=dict(state.users),
        rates=dict(state.rates),
        ramp=None if load is None else [load.users, load.rate],
        ramp_classes=None if load is None or load.user_classes is None else list(load.user_classes),
        is_scaled=load is not None and load.is_scaled,
        in_force=dict(in_force),
        guards=guards,
        users_ended=users_ended,
        users_max=0,
        stopping=stopping,
        annotations=[[each.time_s, each.kind, each.text] for each in annotations],
        load_s=statistics.load_s(now) if statistics.load_has_ended else None,
        iterations_ended=iterations_ended,
        scenarios=[[name, status, _packed(own)] for name, (status, own) in state.parts.items()],
    )


def resume(
    earlier: EarlierRun,
    driver: LoadDriver,
    statistics: RunStatistics,
    log: RunLog,
    now: float,
    burst_s: float | None,
) -> float:
    """Restore the parts of a run from an earlier process, and add the time since then. Returns the elapsed seconds of
    the plan."""
    progress = earlier.progress
    away_s = max(0.0, clock.wall() - progress.at_wall_s)
    run_s = progress.elapsed_s + away_s
    statistics.restore(earlier.table)
    statistics.begin(now, run_s, progress.stats_elapsed_s + away_s, away_s)
    if progress.load_s is not None:
        statistics.end_load(now, progress.load_s)
    if progress.is_over:
        statistics.end(now - away_s)
    elapsed_s = driver.executor.resume(progress.executor, now, run_s=run_s, away_s=away_s, burst_s=burst_s)
    driver.restore(progress.in_force)
    if driver.iterations is not None:
        driver.iterations.restore((name, node, number) for name, node, number in progress.iterations_ended)
    log.annotations[:] = [Annotation(*each) for each in progress.annotations]
    if not any(annotation.kind == AnnotationKind.START for annotation in log.annotations):
        # The journal is first written before the run starts; its outputs have had the annotation.
        text = f"The run {statistics.run_id} starts"
        log.annotations.insert(0, Annotation(statistics.started_wall_s, AnnotationKind.START, text))
    return elapsed_s

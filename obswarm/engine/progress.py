"""Progress: where a run is, as another process needs it to go on with the run; and who keeps it."""

from collections.abc import Mapping
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
    """Where a run was. Times in seconds; `at_wall_s` is when that was so."""

    at_wall_s: float
    elapsed_s: float
    stats_elapsed_s: float
    profile_elapsed_s: float
    """Of the plan's own time, in which those holds do not count in which it stood still."""
    holding: bool
    placed: dict[str, int]
    """Assigned users by class."""
    ramp: list[float] | None
    """(users, rate) when the load was set by hand or scaled."""
    users_max: int
    stopping: list[str] | None
    """(kind, detail) of the reason to stop."""
    annotations: list[list[Any]]
    """(wall time, kind, text)."""
    losses: list[list[Any]] = field(default_factory=list)
    """(worker, detail, seconds, users) of what is known to be lost."""
    load_s: float | None = None
    """The time of the load since the statistics began, once users have been told to end."""
    ramp_classes: list[str] | None = None
    """The user classes that the load was made of then; None: all."""
    is_scaled: bool = False
    in_force: dict[str, str] = field(default_factory=dict)
    """What guards and alerts have told the load: action by who gave it."""
    guards: dict[str, Any] = field(default_factory=dict)
    """The memory of the guards and of the alerts that fire."""
    users_ended: int = 0
    """By themselves, of the assigned users."""
    rates: dict[str, float] = field(default_factory=dict)
    """Assigned iterations per second, of the classes that have such a rate."""

    @property
    def executor(self) -> ExecutorState:
        """Where the executor was."""
        load = None
        if self.ramp is not None:
            users, rate = self.ramp
            classes = None if self.ramp_classes is None else tuple(self.ramp_classes)
            load = SetLoad(int(users), rate, classes, self.is_scaled)
        return ExecutorState(self.profile_elapsed_s, self.holding, self.placed, self.rates, load)


@dataclass(slots=True)
class RunLog:
    """What has become of a run so far."""

    state: RunState = RunState.READY
    reason: StopReason | None = None
    """Why it stops."""
    error: ObswarmError | None = None
    annotations: list[Annotation] = field(default_factory=list)


class EarlierRun(Protocol):
    """What is known of a run that another process began."""

    @property
    def progress(self) -> Progress: ...

    @property
    def table(self) -> StatsTable:
        """Everything that was measured of it."""


class RunJournal(Protocol):
    """Keeps what another process needs to go on with a run. Its methods do not raise: a journal that cannot be written
    does not stop the run."""

    @property
    def is_due(self) -> bool:
        """Whether it is time for `rewrite`."""

    def append(self, delta: StatsTable, progress: Progress, *, reset: bool = False, is_over: bool = False) -> None:
        """Add what was collected since the last record; with `reset`, what was written before does not count any more.
        `is_over`: the generator has ended."""

    def rewrite(self, whole: StatsTable, progress: Progress) -> None:
        """Replace everything by one record."""

    def finish(self) -> None:
        """The result is safe: forget the run."""


def progress_of(
    executor: Executor,
    statistics: RunStatistics,
    *,
    users_ended: int,
    in_force: Mapping[str, str],
    guards: dict[str, Any],
    stopping: list[str] | None,
    annotations: list[Annotation],
) -> Progress:
    """As of now. What only the generator knows is left to whoever keeps it."""
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
    )


def resume(
    earlier: EarlierRun,
    driver: LoadDriver,
    statistics: RunStatistics,
    log: RunLog,
    now: float,
    burst_s: float | None,
) -> float:
    """Bring the parts of a run to where an earlier process left them, and the time since then. Returns the elapsed
    seconds of the plan."""
    progress = earlier.progress
    away_s = max(0.0, clock.wall() - progress.at_wall_s)
    run_s = progress.elapsed_s + away_s
    statistics.restore(earlier.table)
    statistics.begin(now, run_s, progress.stats_elapsed_s + away_s, away_s)
    if progress.load_s is not None:
        statistics.end_load(now, progress.load_s)
    elapsed_s = driver.executor.resume(progress.executor, now, run_s=run_s, away_s=away_s, burst_s=burst_s)
    driver.in_force = dict(progress.in_force)
    log.annotations[:] = [Annotation(*each) for each in progress.annotations]
    if not any(annotation.kind == "start" for annotation in log.annotations):
        # The journal is first written before the run starts; its outputs have had the annotation.
        text = f"The run {statistics.run_id} starts"
        log.annotations.insert(0, Annotation(statistics.started_wall_s, AnnotationKind.START, text))
    return elapsed_s

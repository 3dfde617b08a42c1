"""SnapshotEmitter: passes measurements of a generator to statistics and journal, and snapshots to outputs."""

from collections import Counter
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from obswarm import clock
from obswarm.api import StatsView
from obswarm.engine.control import RunObserver
from obswarm.engine.driver import LoadDriver
from obswarm.engine.generator import LoadGenerator
from obswarm.engine.output import Outputs
from obswarm.engine.progress import Progress, RunJournal, RunLog, progress_of
from obswarm.engine.result import RunResult
from obswarm.engine.statistics import RunStatistics, RunStatus
from obswarm.record import RunState, Snapshot
from obswarm.stats import StatsTable

_LATE_BY_S = 0.002
"""Timers may be early by about this time, in seconds."""

_EARLY_BY_S = 0.1
"""There is no additional snapshot less than this time before the end of an interval, in seconds."""


def next_due(due: float, now: float, interval_s: float) -> float:
    """Return the end of the next interval: a whole number of intervals after `due`, and at least half an interval from
    now. After a delay of the event loop, missed ends are skipped, since their snapshots would be empty."""
    due += interval_s
    return due + max(0, ceil((now - due) / interval_s + 0.5)) * interval_s


class SnapshotEmitter:
    """Moves measurements from the generator to the outputs. `guards_before` is the saved state of an earlier process's
    observer.

    A delta is written to the journal, if there is one, before it is acknowledged to the generator.
    """

    def __init__(
        self,
        log: RunLog,
        statistics: RunStatistics,
        driver: LoadDriver,
        generator: LoadGenerator,
        *,
        outputs: Outputs,
        observer: RunObserver | None,
        journal: RunJournal | None,
        guards_before: Mapping[str, Any],
        view: StatsView,
    ) -> None:
        self.last: Snapshot | None = None
        """The last snapshot that the outputs received."""
        self._log = log
        self._statistics = statistics
        self._driver = driver
        self._generator = generator
        self._outputs = outputs
        self._observer = observer
        self._journal = journal
        self._guards_before = guards_before
        self._view = view

    def due_times(self, interval_s: float) -> Iterator[float]:
        """Generate the monotonic times at which snapshots are due: the end of each interval, and earlier times that the
        observer requests. Take the next time after the snapshot of the last one."""
        due = self._statistics.started_s
        while True:
            due = next_due(due, clock.monotonic(), interval_s)
            early = self._observer.next_due_s() if self._observer is not None else None
            if early is not None and clock.monotonic() < early < due - _EARLY_BY_S:
                # A guard whose condition began to hold in the middle of an interval acts in the middle of one, too.
                yield early + _LATE_BY_S
            yield due

    def collect(self) -> None:
        """Collect measurements of the generator, and acknowledge them once they are stored."""
        delta = self._generator.collect()
        iterations = self._driver.iterations
        if iterations is not None:
            iterations.note(delta.ended)
        journal = self._journal
        if journal is None:
            self._statistics.add(delta)
        else:
            journal.append(delta, self._progress())
            self._statistics.add(delta)
            if journal.is_due:
                journal.rewrite(self._statistics.table, self._progress())
        self._generator.acknowledge()

    def collect_ended(self) -> None:
        """Collect measurements before the end of the interval if the last iteration of a limited number may have ended,
        and that costs little."""
        if self._driver.iterations is not None and self._generator.collects_any_time:
            self.collect()

    def emit(self, longest_s: float) -> None:
        """Emit the snapshot of an interval. The generator may take `longest_s` seconds to report."""
        self._generator.refresh(longest_s)
        self.collect()
        self.give_out()

    def give_out(self, is_observed: bool = True) -> None:
        """Emit a snapshot of the measurements that have been collected already."""
        status, observer = self._status(), self._observer if is_observed else None
        emit = self._statistics.emit
        self.last = emit(status) if observer is None else emit(status, observer.on_snapshot)
        self._view.note(self.last)
        self._outputs.snapshot(self.last)

    def reset(self) -> None:
        """Reset the statistics; while the run goes on, after a last snapshot for outputs that count over the whole
        run."""
        goes_on = self._log.state not in (RunState.READY, RunState.STOPPED)
        self.collect()
        if goes_on:
            self.give_out()
            self.collect()
        self._statistics.reset(clock.monotonic())
        if goes_on:
            self.write_reset()
        self._view.were_reset()

    def emit_restored(self) -> None:
        """Pass the restored statistics of a continued run to the outputs, without an interval."""
        snapshot = self._statistics.snapshot(self._status())
        if self._observer is not None:
            snapshot = self._observer.view(snapshot)
        self._outputs.restored(snapshot, self._log.annotations)

    def latest(self) -> Snapshot:
        """Return a snapshot of the present, without effects on the intervals of outputs, the journal, or
        acknowledgements."""
        if self._generator.collects_any_time:
            self.collect()
        return self._statistics.snapshot(self._status())

    def result(self, forced: bool) -> RunResult:
        """Return the result of the run, which has ended. `forced`: users were stopped without waiting."""
        log, last, statistics = self._log, self.last, self._statistics
        assert log.reason is not None
        totals = self._generator.totals()
        final = statistics.snapshot(self._status())
        if last is not None:
            final = final.with_guards(last.guards, last.alerts, last.refused_alerts)
        return RunResult(
            run_id=statistics.run_id,
            started_s=statistics.started_wall_s,
            ended_s=statistics.ended_wall_s,
            duration_s=final.stats_elapsed_s,
            stop_reason=log.reason,
            error=log.error,
            users_max=final.users_max,
            final=final,
            saturated=any(worker.saturated for worker in final.workers),
            max_loop_lag_s=max((worker.max_loop_lag_s for worker in final.workers), default=0.0),
            max_cpu_ratio=max((worker.max_cpu_ratio for worker in final.workers), default=0.0),
            forced=forced,
            losses=totals.losses,
            annotations=tuple(log.annotations),
            in_flight_peaks=statistics.in_flight_peaks.by_endpoint,
            refused_handshakes=totals.refused_handshakes,
            dropped_frames=totals.dropped_frames,
        )

    def write_reset(self) -> None:
        """Note the reset of the statistics in the journal."""
        if self._journal is not None:
            self._journal.append(self._statistics.table, self._progress(), reset=True)

    def write_end(self) -> None:
        """Note the end of the generator in the journal, so that a later process does not wait for workers."""
        if self._journal is not None:
            self._journal.append(StatsTable(), self._progress(), is_over=True)

    def _status(self) -> RunStatus:
        executor, log = self._driver.executor, self._log
        targets = executor.target if log.reason is None else dict.fromkeys(executor.target, 0)
        kinds = dict(Counter(annotation.kind for annotation in log.annotations))
        rates = self._driver.rates_target if log.reason is None else dict.fromkeys(self._driver.rates_target, 0.0)
        status, limits = self._generator.status(clock.monotonic()), self._driver.iterations
        limited = ({}, {}) if limits is None else (limits.targets, limits.ended)
        return RunStatus(log.state, status, targets, kinds, rates, *limited)

    def _progress(self) -> Progress:
        reason, iterations = self._log.reason, self._driver.iterations
        return progress_of(
            self._driver.executor,
            self._statistics,
            users_ended=self._generator.users_ended(),
            in_force=self._driver.in_force,
            guards=self._observer.saved_state() if self._observer is not None else dict(self._guards_before),
            stopping=None if reason is None else [reason.kind, reason.detail],
            annotations=self._log.annotations,
            iterations_ended=[] if iterations is None else iterations.saved(),
        )

"""SnapshotEmitter: takes what a generator has measured into statistics and journal, and snapshots of it to outputs."""

from collections import Counter
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from obswarm import clock
from obswarm.engine.control import RunObserver
from obswarm.engine.driver import LoadDriver
from obswarm.engine.generator import LoadGenerator
from obswarm.engine.output import Outputs
from obswarm.engine.progress import Progress, RunJournal, RunLog, progress_of
from obswarm.engine.result import RunResult
from obswarm.engine.statistics import RunStatistics, RunStatus
from obswarm.record import Snapshot
from obswarm.stats import StatsTable

_LATE_BY_S = 0.002
"""Timers may be early by about so much."""

_EARLY_BY_S = 0.1
"""What comes less than this before the end of an interval can wait for that."""


def next_due(due: float, now: float, interval_s: float) -> float:
    """The end of the interval after the one that was due then. It lies whole intervals later, and at least half of one
    from now: a loop that was held up skips what it has missed, since nothing is left for the ends of those."""
    due += interval_s
    return due + max(0, ceil((now - due) / interval_s + 0.5)) * interval_s


class SnapshotEmitter:
    """Owns the way from the generator to the outputs. `guards_before` is the memory of an earlier process's observer.

    A delta is written to the journal, if there is one, before the generator is told that it is safe.
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
    ) -> None:
        self.last: Snapshot | None = None
        """That outputs were given."""
        self._log = log
        self._statistics = statistics
        self._driver = driver
        self._generator = generator
        self._outputs = outputs
        self._observer = observer
        self._journal = journal
        self._guards_before = guards_before

    def due_times(self, interval_s: float) -> Iterator[float]:
        """When a snapshot is due, on the monotonic clock: at the end of each interval, and when the observer wants one
        before. Ask for the next one when the one before has been given out."""
        due = self._statistics.started_s
        while True:
            due = next_due(due, clock.monotonic(), interval_s)
            early = self._observer.next_due_s() if self._observer is not None else None
            if early is not None and clock.monotonic() < early < due - _EARLY_BY_S:
                # A guard that has known since the middle of an interval acts in the middle of one.
                yield early + _LATE_BY_S
            yield due

    def collect(self) -> None:
        """Bring the statistics up to date, and tell the generator that they are safe once they are."""
        delta = self._generator.collect()
        journal = self._journal
        if journal is None:
            self._statistics.add(delta)
        else:
            journal.append(delta, self._progress())
            self._statistics.add(delta)
            if journal.is_due:
                journal.rewrite(self._statistics.table, self._progress())
        self._generator.acknowledge()

    def emit(self, longest_s: float) -> None:
        """Give out the snapshot of an interval that is over. The generator may take `longest_s` seconds to report."""
        self._generator.refresh(longest_s)
        self.collect()
        self.give_out()

    def give_out(self, is_observed: bool = True) -> None:
        """As `emit`, of what has been collected so far."""
        status, observer = self._status(), self._observer if is_observed else None
        emit = self._statistics.emit
        self.last = emit(status) if observer is None else emit(status, observer.on_snapshot)
        self._outputs.snapshot(self.last)

    def emit_restored(self) -> None:
        """Tell outputs what there is already of a run that is gone on with, without an interval of it."""
        snapshot = self._statistics.snapshot(self._status())
        if self._observer is not None:
            snapshot = self._observer.view(snapshot)
        self._outputs.restored(snapshot, self._log.annotations)

    def latest(self) -> Snapshot:
        """A snapshot with everything that is known at this moment. However often it is asked for, outputs get the same
        intervals, and nothing is written or acknowledged."""
        if self._generator.collects_any_time:
            self.collect()
        return self._statistics.snapshot(self._status())

    def result(self, forced: bool) -> RunResult:
        """The result of the run, which has ended. `forced`: its users were cut off."""
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
        """Have the journal forget what was measured before the reset of the statistics."""
        if self._journal is not None:
            self._journal.append(self._statistics.table, self._progress(), reset=True)

    def write_end(self) -> None:
        """A process that is killed after the end of the generator has a successor that waits for nobody."""
        if self._journal is not None:
            self._journal.append(StatsTable(), self._progress(), is_over=True)

    def _status(self) -> RunStatus:
        executor, log = self._driver.executor, self._log
        targets = executor.target if log.reason is None else dict.fromkeys(executor.target, 0)
        kinds = dict(Counter(annotation.kind for annotation in log.annotations))
        return RunStatus(log.state, self._generator.status(clock.monotonic()), targets, kinds)

    def _progress(self) -> Progress:
        reason = self._log.reason
        return progress_of(
            self._driver.executor,
            self._statistics,
            users_ended=self._generator.users_ended(),
            in_force=self._driver.in_force,
            guards=self._observer.saved_state() if self._observer is not None else dict(self._guards_before),
            stopping=None if reason is None else [reason.kind, reason.detail],
            annotations=self._log.annotations,
        )

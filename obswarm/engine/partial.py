"""The result of a run whose end was not reported, from the snapshots until then."""

from dataclasses import replace

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.engine.control import StopReason
from obswarm.engine.output import Output
from obswarm.engine.result import RunResult, WorkerLoss
from obswarm.record import Annotation, RunState, Snapshot, StopKind, WorkerStatus


class PartialResult(Output):
    """Output that collects the data for a partial result."""

    required = False

    def __init__(self) -> None:
        self.last: Snapshot | None = None
        self._users_max = 0
        self._saturated = False
        self._max_loop_lag_s = 0.0
        self._max_cpu_ratio = 0.0
        self._annotations: list[Annotation] = []

    def snapshot(self, snapshot: Snapshot) -> None:
        self.last = snapshot
        self._users_max = max(self._users_max, snapshot.users_max, snapshot.user_count)
        for worker in snapshot.workers:
            self._saturated = self._saturated or worker.saturated
            self._max_loop_lag_s = max(self._max_loop_lag_s, worker.max_loop_lag_s)
            self._max_cpu_ratio = max(self._max_cpu_ratio, worker.max_cpu_ratio)

    def annotation(self, annotation: Annotation) -> None:
        self._annotations.append(annotation)

    def result(self, detail: str, error: str | None = None) -> RunResult | None:
        """Return the result as of the last snapshot, with the stop reason "lost"; None without a snapshot."""
        last = self.last
        if last is None:
            return None
        return RunResult(
            run_id=last.run_id,
            started_s=last.started_s,
            ended_s=last.time_s,
            duration_s=last.stats_elapsed_s,
            stop_reason=StopReason(StopKind.LOST, detail),
            error=ObswarmError(error) if error is not None else None,
            users_max=self._users_max,
            final=replace(last, state=RunState.STOPPED),
            saturated=self._saturated,
            max_loop_lag_s=self._max_loop_lag_s,
            max_cpu_ratio=self._max_cpu_ratio,
            forced=False,
            losses=_unreported(last, detail),
            annotations=tuple(self._annotations),
        )


def _unreported(last: Snapshot, detail: str) -> tuple[WorkerLoss, ...]:
    """Return what may be missing since the last snapshot: all measurements of workers that were running then."""
    if last.state is RunState.STOPPED:
        return ()
    since_s = max(0.0, clock.wall() - last.time_s)
    at_work = [worker for worker in last.workers if worker.state not in (WorkerStatus.GONE, WorkerStatus.LOST)]
    if not at_work:
        users = max(sum(last.users.values()), sum(last.users_target.values()))
        return (WorkerLoss("all workers", detail, since_s, users),)
    return tuple(WorkerLoss(each.worker, detail, since_s + each.stats_lag_s, each.users) for each in at_work)

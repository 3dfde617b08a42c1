"""Workers of a registry as records of a journal, and back after a restart of the master; the result of a run that is
not continued."""

from collections.abc import Iterator

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.cluster.master.journal import Recovered, WorkerRecord
from obswarm.cluster.master.registry import WorkerRegistry
from obswarm.cluster.master.worker_state import WorkerState
from obswarm.engine import RunResult, StopReason, WorkerLoss
from obswarm.record import Annotation, RunState, Snapshot, StopKind, WorkerStatus, statistics_of
from obswarm.stats import TOTAL, EndpointStats


def worker_records(registry: WorkerRegistry, is_over: bool = False) -> dict[str, WorkerRecord]:
    """Return the current records by incarnation; `is_over`: all workers have been sent End."""
    now = clock.monotonic()
    return {
        worker.incarnation: WorkerRecord(
            name=worker.name,
            index=worker.index,
            processes=worker.processes,
            acked=worker.merged,
            stats_age_s=now - worker.stats_s,
            cut_off_age_s=None if worker.cut_off_s is None else now - worker.cut_off_s,
            state=str(_state_at_the_end(worker) if is_over else worker.state),
            capacity=worker.capacity,
            cpus=worker.cpus,
            users=worker.users,
            nodes=list(worker.nodes),
            max_cpu_ratio=worker.max_cpu_ratio,
            max_loop_lag_s=worker.max_loop_lag_s,
            was_saturated=worker.was_saturated,
        )
        for worker in registry.workers.values()
    }


def _state_at_the_end(worker: WorkerState) -> WorkerStatus:
    if worker.complete:
        return WorkerStatus.GONE
    return worker.state if worker.is_over else WorkerStatus.LOST


def restored_workers(recovered: Recovered) -> Iterator[WorkerState]:
    """Yield the workers of a run that this master continues. Each counts as heard from now, and becomes missing after
    the same time without contact as any other worker."""
    now = clock.monotonic()
    recorded_s = now - max(0.0, clock.wall() - recovered.progress.at_wall_s)
    for incarnation, record in recovered.workers.items():
        yield WorkerState(
            incarnation=incarnation,
            name=record.name,
            index=record.index,
            processes=record.processes,
            peer=b"",
            capacity=record.capacity,
            cpus=record.cpus,
            nodes=tuple(record.nodes),
            state=WorkerStatus(record.state),
            acked=record.acked,
            merged=record.acked,
            last_sequence=record.acked,
            heard_s=now,
            known_s=now,
            stats_s=recorded_s - record.stats_age_s,
            cut_off_s=None if record.cut_off_age_s is None else recorded_s - record.cut_off_age_s,
            users=record.users,
            max_cpu_ratio=record.max_cpu_ratio,
            max_loop_lag_s=record.max_loop_lag_s,
            was_saturated=record.was_saturated,
        )


def result_of_recovered(recovered: Recovered, detail: str, error: str | None = None) -> RunResult:
    """Return the result of a run that is not continued, from its journal. Its stop reason is "lost", with that
    detail."""
    progress, table = recovered.progress, recovered.table
    annotations = tuple(Annotation(*each) for each in progress.annotations)
    final = Snapshot(
        run_id=recovered.run_id,
        test=recovered.test,
        host=recovered.host,
        time_s=progress.at_wall_s,
        started_s=recovered.started_wall_s,
        stats_since_s=progress.at_wall_s - progress.stats_elapsed_s,
        elapsed_s=progress.elapsed_s,
        stats_elapsed_s=progress.stats_elapsed_s,
        load_s=progress.stats_elapsed_s if progress.load_s is None else progress.load_s,
        planned_s=None,
        state=RunState.STOPPED,
        users={},
        users_target={},
        **statistics_of(table),
        interval_s=1.0,
        interval={},
        interval_total=EndpointStats(TOTAL),
    )
    return RunResult(
        run_id=recovered.run_id,
        started_s=recovered.started_wall_s,
        ended_s=progress.at_wall_s,
        duration_s=progress.stats_elapsed_s,
        stop_reason=StopReason(StopKind.LOST, detail),
        error=ObswarmError(error) if error is not None else None,
        users_max=progress.users_max,
        final=final,
        saturated=any(record.was_saturated for record in recovered.workers.values()),
        max_loop_lag_s=max((record.max_loop_lag_s for record in recovered.workers.values()), default=0.0),
        max_cpu_ratio=max((record.max_cpu_ratio for record in recovered.workers.values()), default=0.0),
        forced=False,
        losses=(*(WorkerLoss(*loss) for loss in progress.losses), *_unreported(recovered, detail)),
        annotations=annotations,
    )


def _unreported(recovered: Recovered, detail: str) -> tuple[WorkerLoss, ...]:
    """Return what may be missing of workers that had not ended when the journal was last written."""
    since_s = max(0.0, clock.wall() - recovered.progress.at_wall_s)
    noted = {loss[0] for loss in recovered.progress.losses}
    return tuple(
        WorkerLoss(record.name, detail, since_s + record.stats_age_s, sum(record.users.values()))
        for record in recovered.workers.values()
        if record.state != WorkerStatus.GONE and record.name not in noted
    )

"""The process of `StoredRunsReader`: reads a question about stored runs from standard input, and writes the answer to
standard output, both as JSON."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from obswarm.analysis.explain import explain, headline, sections
from obswarm.app.question_process import answer_question
from obswarm.engine import RunResult, StopReason
from obswarm.errors import ObswarmError
from obswarm.record import Interval, RunRecord, RunState, Snapshot, StopKind
from obswarm.report import CsvFiles, compare_runs, comparison_document, run_page
from obswarm.stats import EndpointKey, EndpointStats, ErrorKinds, total_of
from obswarm.store import Store, read_run
from obswarm.targets import KINDS, kind_of_table
from obswarm.temporary import TemporaryFolder


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a question: `explain` and `compare` are documents, `report` and the tables of `--csv` are
    texts. Raises ObswarmError."""
    KINDS.add(kind_of_table("", table) for table in question["kinds"])
    with Store(Path(question["store"])) as store:
        records = [read_run(store, store.find(run)) for run in question["runs"]]
    match question["what"]:
        case "explain":
            found = explain(records[0])
            parts = [{"heading": heading, "sentences": list(each)} for heading, each in sections(found)]
            return {"headline": headline(found), "sections": parts}
        case "compare":
            base, run = records
            return comparison_document(compare_runs(base, run, force=True))
        case "report":
            return {"text": run_page(records[0])}
        case table:
            return {"text": csv_table(records[0], table)}


def csv_table(record: RunRecord, table: str) -> str:
    """Return a file of `--csv` of a stored run, by its suffix."""
    with TemporaryFolder("csv") as folder:
        prefix = str(Path(folder.name) / "run")
        files = CsvFiles(prefix)
        last = None
        for last in snapshots_of(record):
            files.snapshot(last)
        if last is None:
            raise ObswarmError(f"The run {record.info.run_id} has no measurements.")
        files.finish(_result_of(record, last))
        files.close()
        return Path(f"{prefix}_{table}.csv").read_bytes().decode("utf-8", "replace")


def snapshots_of(record: RunRecord) -> Iterator[Snapshot]:
    """Yield a snapshot for each interval of a stored run, with the statistics, errors and users of that time."""
    totals: dict[EndpointKey, EndpointStats] = {}
    epoch = None
    for number, interval in enumerate(record.intervals):
        if interval.epoch != epoch:
            epoch, totals = interval.epoch, {}
        for key, stats in interval.endpoints.items():
            totals[key] = totals[key].copy() if key in totals else EndpointStats(key)
            totals[key].merge(stats)
        is_last = number == len(record.intervals) - 1
        yield _snapshot(record, interval, dict(record.endpoints if is_last else totals), is_last)


def _snapshot(
    record: RunRecord, interval: Interval, endpoints: dict[EndpointKey, EndpointStats], is_last: bool
) -> Snapshot:
    info = record.info
    load_s = interval.load_s
    return Snapshot(
        run_id=info.run_id,
        test=info.test,
        host=info.host,
        time_s=interval.time_s,
        started_s=info.started_s,
        stats_since_s=interval.stats_since_s,
        elapsed_s=interval.elapsed_s,
        stats_elapsed_s=interval.elapsed_s - (interval.stats_since_s - info.started_s),
        load_s=record.load_s if is_last else load_s if load_s is not None else interval.elapsed_s,
        planned_s=info.planned_s,
        state=RunState(interval.state),
        users=interval.users,
        users_target=interval.users_target,
        total=total_of(endpoints.values()),
        endpoints=endpoints,
        errors=ErrorKinds(record.errors) if is_last else ErrorKinds(),
        exceptions=record.exceptions if is_last else {},
        interrupted=interval.interrupted,
        iterations=interval.iterations,
        interval_s=interval.interval_s,
        interval=interval.endpoints,
        interval_total=interval.total(),
        custom=record.custom if is_last else {},
    )


def _result_of(record: RunRecord, final: Snapshot) -> RunResult:
    return RunResult(
        run_id=record.info.run_id,
        started_s=record.info.started_s,
        ended_s=final.time_s,
        duration_s=final.stats_elapsed_s,
        stop_reason=StopReason(StopKind.TIME, ""),
        error=None,
        users_max=0,
        final=final,
        saturated=False,
        max_loop_lag_s=0.0,
        max_cpu_ratio=0.0,
        forced=False,
    )


if __name__ == "__main__":
    answer_question(answer)

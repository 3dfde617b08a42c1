"""Stored runs for the page: search, report, tables, explanation, comparison."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from gevent.lock import BoundedSemaphore

from obswarm.api import ObswarmError
from obswarm.app.explaining import ask_process, kinds_of
from obswarm.app.recording import open_store, report_of
from obswarm.config import FileConfig
from obswarm.record import RunInfo
from obswarm.store import FILE, LATEST, Store
from obswarm.web.rest.documents import ExplanationDocument, Reason, StoredRun, StoredRuns
from obswarm.web.rest.service import NotFound, NotPossible, Unavailable

COMMAND = (sys.executable, "-P", "-m", "obswarm.app.stored_process")
_LONGEST_S = 25.0
"""Less than a request may take (obswarm.web.connections)."""
_LAST = "last"

GrafanaUrl = Callable[[float, float | None], str | None]
"""Returns the URL of a dashboard with the time range of a run, from its start and end (wall times); None without."""


class StoredRunsReader:
    """The runs in the store of the folder; `folder` is None if there is none. All methods raise NotFound for a run that
    is not there, NotPossible for one that has not ended where that is needed, and ObswarmError for a damaged store."""

    def __init__(self, folder: Path | None, file: FileConfig, grafana_url: GrafanaUrl) -> None:
        self._folder = folder
        self._kinds = kinds_of(file)
        self._grafana_url = grafana_url
        self._one_at_a_time = BoundedSemaphore(1)

    def _store(self) -> Store:
        if self._folder is None:
            raise NotFound("Runs are not stored (--no-store).")
        try:
            return open_store(str(self._folder))
        except ObswarmError as error:
            raise NotFound(str(error)) from None

    def _find(self, store: Store, run_id: str) -> RunInfo:
        try:
            return store.find(LATEST if run_id == _LAST else run_id)
        except ObswarmError as error:
            raise NotFound(str(error)) from None

    def runs(self, search: str, tag: str, limit: int, before: str) -> StoredRuns:
        """Return the newest runs that fit, older than the run `before` if that is given."""
        try:
            with self._store() as store:
                every = store.runs()
        except NotFound:
            return StoredRuns([], [], None)
        if before:
            ids = [run.run_id for run in every]
            if before not in ids:
                raise NotFound(f"There is no run {before!r}.")
            following = every[ids.index(before) + 1 :]
        else:
            following = every
        words = search.lower().split()
        found = [run for run in following if _fits(run, words) and (not tag or tag in run.tags)]
        tags = sorted({each for run in every for each in run.tags})
        shown = [self._row(run) for run in found[:limit]]
        return StoredRuns(shown, tags, shown[-1].id if len(found) > limit else None)

    def run(self, run_id: str) -> StoredRun:
        with self._store() as store:
            return self._row(self._find(store, run_id))

    def _row(self, run: RunInfo) -> StoredRun:
        result = run.result or {}
        totals, reason = result.get("totals", {}), result.get("stop_reason")
        assert self._folder is not None
        return StoredRun(
            id=run.run_id,
            tag=run.tags[0] if run.tags else None,
            tags=list(run.tags),
            test=run.test,
            host=run.host,
            started_s=run.started_s,
            duration_s=round(run.duration_s, 3),
            state=result.get("state", "running"),
            stop_reason=Reason(reason["kind"], reason["detail"]) if reason else None,
            users_max=result.get("users_max"),
            requests=totals.get("requests"),
            rps=totals.get("rps"),
            error_ratio=totals.get("error_ratio"),
            p95_s=totals.get("p95_s"),
            note=run.note,
            has_report=report_of(self._folder, run).is_file(),
            grafana_url=self._grafana_url(run.started_s, run.ended_s),
        )

    def result(self, run_id: str) -> Mapping[str, Any]:
        with self._store() as store:
            return result_of(self._find(store, run_id))

    def report(self, run_id: str) -> str:
        """Return the report, as it was written at the end of the run, or made now."""
        with self._store() as store:
            run = self._find(store, run_id)
        assert self._folder is not None
        try:
            return report_of(self._folder, run).read_text(encoding="utf-8", errors="replace")
        except OSError:
            if run.last_s is None:
                raise NotPossible(f"The run {run.run_id} has no measurements yet.") from None
            return str(self._ask("report", run.run_id)["text"])

    def csv(self, run_id: str, table: str) -> str:
        with self._store() as store:
            run = self._find(store, run_id)
        return str(self._ask(table, run.run_id)["text"])

    def explain(self, run_id: str) -> ExplanationDocument:
        with self._store() as store:
            run = self._find(store, run_id)
        return msgspec.convert(self._ask("explain", run.run_id), ExplanationDocument)

    def compare(self, before: str, after: str) -> Mapping[str, Any]:
        with self._store() as store:
            runs = [self._find(store, each).run_id for each in (before, after)]
        return self._ask("compare", *runs)

    def _ask(self, what: str, *runs: str) -> Mapping[str, Any]:
        """Have a process do the work: the users of this process must not wait for it."""
        assert self._folder is not None
        question = {"store": str(self._folder / FILE), "what": what, "runs": runs, "kinds": self._kinds, "yields": True}
        with self._one_at_a_time:
            try:
                return ask_process(COMMAND, question, _LONGEST_S)
            except ObswarmError as error:
                raise Unavailable(f"The stored run cannot be evaluated: {error}.") from None


def _fits(run: RunInfo, words: list[str]) -> bool:
    text = " ".join((run.run_id, run.test, run.host or "", *run.tags, run.note)).lower()
    return all(word in text for word in words)


def result_of(run: RunInfo) -> Mapping[str, Any]:
    """Return the document of `--json` of a run. Raises NotPossible without one."""
    if run.result is None:
        raise NotPossible(f"The run {run.run_id} is still running, or did not end properly: it has no result.")
    return run.result

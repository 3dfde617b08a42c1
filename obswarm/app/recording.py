"""Recording of a run in the store, its report at the end, and the removal of old runs."""

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import gevent

from obswarm import __version__, clock, defaults
from obswarm.api import ObswarmError, OptionValues
from obswarm.app.guards_setup import EvaluateRequirements
from obswarm.config import SETTINGS, STORE_FOLDER, FileConfig, RunConfig
from obswarm.engine import Output, RunHandle, RunResult
from obswarm.errors import reason_of
from obswarm.greenlets import Supervisor
from obswarm.private_files import check_writable, make_private_folder, tighten, write_private
from obswarm.record import Annotation, MetricKey, RunInfo, RunMetadata, Snapshot
from obswarm.redact import is_header_name, redact_value
from obswarm.report import result_document
from obswarm.store import FILE, RunWriter, Store, git_revision, read_loadtests
from obswarm.targets import LiveSeries, MetricSource, PastSeries, SourceError, Statements, Target, queries_of
from obswarm.temporary import TemporaryFolder
from obswarm.units import format_not_finite

logger = logging.getLogger(__name__)

_REPORTS = "reports"
_IGNORE_ALL = "# Written by obswarm: stored runs are not for version control.\n*\n"


def report_of(folder: Path, run: RunInfo) -> Path:
    """Return the path of the report that is written at the end of a run."""
    return folder / _REPORTS / f"{run.run_id}.html"


def open_store(folder: str | None, create: bool = False) -> Store:
    """Open the store in the folder of --store. Raises ObswarmError if it does not exist, unless `create` is true."""
    path = Path(folder or STORE_FOLDER) / FILE
    if create:
        _make(path.parent)
    elif not path.exists():
        raise ObswarmError(
            f"There are no runs in {path.parent}: `obswarm run` stores them in {STORE_FOLDER} in the current folder."
            " Use --store for another folder."
        )
    return Store(path)


def _make(folder: Path) -> None:
    with _plainly(folder):
        make_private_folder(folder)
        # Reports of earlier versions were readable by all users. The folder itself may be one that the user created.
        tighten(folder / _REPORTS)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            write_private(ignore, _IGNORE_ALL)


@contextmanager
def _plainly(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ObswarmError(
            f"--store {folder}: the folder cannot be written: {error.strerror}. Use another one, or --no-store."
        ) from None


def configuration_of(config: RunConfig, custom: OptionValues | None) -> dict[str, Any]:
    """Return the settings that were given, by name, without secrets: see obswarm.redact, and `is_secret` of
    `add_argument` for options of the load test."""
    given = {
        name: config.value(name)
        for name, each in SETTINGS.items()
        # `arguments` contain options of the load test; they are in `custom`, by name and without secrets.
        if each.option and not each.secret and config.is_given(name) and config.value(name) not in (None, (), "")
    }
    if config.file.named:
        given["config"] = config.file.path
    if custom is not None:
        left_out = {*given, *custom.secrets}
        given |= {name: value for name, value in vars(custom).items() if name not in left_out}
    return {
        name: redact_value(name if is_header_name(name) else "", _plain(value)) for name, value in sorted(given.items())
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        # JSON has no such number, and null would mean that the setting was not given.
        return format_not_finite(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


class Recording(Output):
    """Writes a run to the store, which is created when the run starts. Raises ObswarmError at once if the store is
    invalid, or cannot be created.

    `reports` are further outputs, from the contents of the store; `tags` are given to the run at its end. `temporary`
    is the folder of the store if nothing is kept but the report.
    """

    name = "The run store"

    def __init__(
        self,
        folder: Path,
        metadata: RunMetadata,
        source: MetricSource | None,
        file: FileConfig,
        reports: Sequence[Output],
        evaluate: EvaluateRequirements,
        tags: Sequence[str] = (),
        temporary: TemporaryFolder | None = None,
    ) -> None:
        self._folder = folder
        self.reports = reports
        self._tags = tags
        self._temporary = temporary
        self._evaluate = evaluate
        self._path = folder / FILE
        self._metadata = metadata
        self._writer: RunWriter | None = None
        if self._path.exists():
            self._open()
        else:
            with _plainly(folder):
                check_writable(self._path)
        self._source = source
        self._file = file
        self._sampler: gevent.Greenlet | None = None
        self._failure: BaseException | None = None

    @property
    def path(self) -> Path:
        """The file of the store."""
        return self._path

    def wait_until_written(self, longest_s: float) -> None:
        """Wait until everything so far is in the store, at most `longest_s` seconds."""
        self._open().wait_until_written(longest_s)

    def _open(self) -> RunWriter:
        if self._writer is None:
            _make(self._folder)
            self._writer = RunWriter(self._path, self._metadata)
        return self._writer

    def start(self, run: RunHandle) -> None:
        self._open()
        if self._source is not None:
            self._sampler = Supervisor(self._sampling_failed).keep(
                "The sampling of the target's metrics", self._sample, self._source
            )

    def _sampling_failed(self, what: str, error: BaseException) -> None:
        self._failure = error

    def snapshot(self, snapshot: Snapshot) -> None:
        self._open().snapshot(snapshot)
        if self._failure is not None:
            raise self._failure

    def annotation(self, annotation: Annotation) -> None:
        self._open().annotation(annotation)

    def finish(self, result: RunResult) -> None:
        if self._sampler is not None:
            self._sampler.kill()
        source: object = self._source
        if isinstance(source, PastSeries):
            self._store_series(source, result)
        document = result_document(result, self._evaluate(result))
        self._open().finish(result.final, result.ended_s, document, result.annotations)
        if self._tags:
            with Store(self._path) as store:
                store.tag(store.find(result.run_id), self._tags)
        try:
            with Store(self._path) as store:
                self._forget(store)
        except (ObswarmError, OSError) as error:
            # This run is stored nevertheless.
            logger.error("Old runs could not be removed from the store: %s.", reason_of(error))

    def _store_series(self, source: PastSeries, result: RunResult) -> None:
        try:
            self._open().past_series(source.series_between(result.started_s, result.ended_s))
        except SourceError as error:
            logger.warning("Only the metrics of the targets' kinds are stored, not their other series: %s.", error)

    def close(self) -> None:
        if self._sampler is not None:
            self._sampler.kill()
        if self._writer is not None:
            self._writer.close()

    def _forget(self, store: Store) -> None:
        file = self._file
        if file.keep_runs is None and file.keep_for is None:
            return
        old = forget_old_runs(store, file.keep_runs, file.keep_for)
        for run in old:
            report_of(self._folder, run).unlink(missing_ok=True)
        if old:
            logger.info("Removed from the store: %s.", ", ".join(run.run_id for run in old))

    def _sample(self, source: MetricSource) -> None:
        targets: list[Target] = []
        queries: list[tuple[MetricKey, str]] = []
        statements = Statements(source)
        due = clock.monotonic()
        while True:
            time_s = clock.wall()
            try:
                # A Prometheus may not have discovered its targets yet.
                targets = targets or source.targets()
                queries = queries or [
                    (MetricKey(target.name, target.kind, metric.name, metric.unit), query)
                    for target, metric, query in queries_of(targets)
                ]
                values = source.metric_values([query for _, query in queries])
            except SourceError:
                # Guards report it; in the store it is a gap.
                values = [None] * len(queries)
            pairs = zip(queries, values, strict=True)
            found = {key: value for (key, _), value in pairs if value is not None}
            self._open().sample(time_s, found | statements.values(targets))
            if isinstance(source, LiveSeries) and (series := source.series_values()):
                self._open().series(time_s, series)
            due = max(due + defaults.SNAPSHOT_INTERVAL_S, clock.monotonic())
            gevent.sleep(due - clock.monotonic())


def recording_of(
    config: RunConfig,
    files: Sequence[Path],
    custom: OptionValues,
    source: MetricSource | None,
    evaluate: EvaluateRequirements,
) -> Recording | None:
    """Set up the recording as configured; None with --no-store, unless there is a report to write from it. `files` are
    the load test, `custom` its own options. Raises ObswarmError."""
    html = _html_file(config)
    if config.store.no_store and html is None:
        return None
    metadata = RunMetadata(
        version=__version__,
        configuration=configuration_of(config, custom),
        loadtests=read_loadtests(files),
        revision=git_revision(files[0].resolve().parent),
    )
    temporary = _temporary_store() if config.store.no_store else None
    folder = Path(temporary.name) if temporary is not None else config.store.folder
    reports: list[Output] = []
    if html is not None or not config.store.no_report:
        # The report's page and templates are not imported for runs without a report, and not only when a run has ended,
        # when there may be no descriptor left to read them.
        from obswarm.app.report_file import ReportFile

        if temporary is None and not config.store.no_report:
            reports.append(ReportFile(folder / FILE, partial(report_of, folder)))
        if html is not None:
            reports.append(ReportFile(folder / FILE, lambda run: html, f"--html {html}"))
    tags = [config.store.profile] if config.store.profile else []
    return Recording(folder, metadata, source, config.file, reports, evaluate, tags, temporary)


def _temporary_store() -> TemporaryFolder:
    try:
        return TemporaryFolder("report")
    except OSError as error:
        raise ObswarmError(f"--html needs a temporary folder, which cannot be written: {reason_of(error)}.") from None


def _html_file(config: RunConfig) -> Path | None:
    """Return the file of --html, None without it. Raises ObswarmError if it cannot be written."""
    name, load = config.outputs.html, config.load
    if not name:
        return None
    # Only here, since it imports obswarm.locust with what locustfiles expect to be imported.
    from obswarm.locust.html import html_file_name

    name = html_file_name(name, load.users, load.spawn_rate, load.run_time)
    try:
        check_writable(name)
    except OSError as error:
        raise ObswarmError(f"--html {name}: the file cannot be written: {error.strerror}.") from None
    return Path(name)


def forget_old_runs(store: Store, keep_runs: int | None, keep_for_s: float | None) -> list[RunInfo]:
    """Remove runs beyond the number `keep_runs`, or older than `keep_for_s` seconds, except those with a tag or a note.
    Returns the removed runs."""
    runs = [run for run in store.runs() if not run.tags and not run.note and run.ended_s is not None]
    old = runs[keep_runs:] if keep_runs is not None else []
    if keep_for_s is not None:
        old += [run for run in runs if run not in old and run.started_s < clock.wall() - keep_for_s]
    if old:
        store.remove(old)
    return old

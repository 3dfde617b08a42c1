"""LiveRun: the output that keeps what the page shows of the present run, and sends it to the listeners."""

import logging
from collections import deque
from collections.abc import Callable, Mapping

from obswarm.engine import Output, RunHandle, RunResult
from obswarm.log_format import record_text
from obswarm.record import Annotation, Snapshot
from obswarm.sanitize import escape_lines
from obswarm.stats import EndpointKey
from obswarm.web.rest import rows
from obswarm.web.rest.custom import CustomSeries
from obswarm.web.rest.documents import LogRow, RequirementRow
from obswarm.web.rest.events import EventStreams
from obswarm.web.rest.series import SecondSeries, point_of

_LOGS_KEPT = 500
_ANNOTATIONS_KEPT = 10_000
_MAX_LOG_LENGTH = 5000


class LiveRun(Output):
    """The last snapshot, the seconds and the annotations of the present run, or of the last one after its end."""

    required = False
    name = "The page"

    def __init__(self, streams: EventStreams, requirements: Callable[[Snapshot], list[RequirementRow]]) -> None:
        """`requirements` evaluates those of the run."""
        self._requirements = requirements
        self._streams = streams
        self.logs: deque[LogRow] = deque(maxlen=_LOGS_KEPT)
        self._handler = _LogHandler(self)
        self._clear("")

    def _clear(self, run_id: str) -> None:
        self.run_id = run_id
        self.snapshot_now: Snapshot | None = None
        """The last snapshot; None before the first one."""
        self.series = SecondSeries()
        self.custom = CustomSeries()
        self.annotations: deque[Annotation] = deque(maxlen=_ANNOTATIONS_KEPT)
        self._seen: Mapping[EndpointKey, tuple[int, int]] = {}
        self._stats_since_s: float | None = None

    def start(self, run: RunHandle) -> None:
        self._clear(run.run_id)
        self._reset()

    def _reset(self) -> None:
        run_id = self.run_id
        self._streams.publish("reset", lambda: {"run_id": run_id})

    def restored(self, snapshot: Snapshot, annotations: object) -> None:
        self.snapshot_now, self._stats_since_s = snapshot, snapshot.stats_since_s
        if isinstance(annotations, (list, tuple)):
            self.annotations.extend(annotations)

    def snapshot(self, snapshot: Snapshot) -> None:
        if self._stats_since_s not in (None, snapshot.stats_since_s):
            self._reset()
        self.snapshot_now, self._stats_since_s = snapshot, snapshot.stats_since_s
        self.series.add(snapshot)
        self.custom.add(snapshot)
        self._streams.publish("snapshot", lambda: self._delta(snapshot))
        if not self._streams.listeners:
            self._seen = {}

    def annotation(self, annotation: Annotation) -> None:
        self.annotations.append(annotation)
        self._streams.publish("annotation", lambda: rows.annotation_row(annotation))

    def finish(self, result: RunResult) -> None:
        self.snapshot_now = result.final

    def _delta(self, snapshot: Snapshot) -> dict[str, object]:
        seen = {
            key: (stats.requests, in_flight.count if (in_flight := snapshot.in_flight.get(key)) is not None else 0)
            for key, stats in snapshot.endpoints.items()
        }
        # Endpoints whose requests have just stopped are sent once more, with a rate of 0.
        changed = [key for key, value in seen.items() if value != self._seen.get(key) or key in self._recent]
        self._seen = seen
        self._recent = frozenset(snapshot.interval)
        return {
            "run_id": snapshot.run_id,
            "point": point_of(snapshot),
            "total": rows.total_row(snapshot),
            "endpoints": rows.endpoint_rows(snapshot, changed),
            "workers": rows.worker_rows(snapshot),
            "guards": rows.guard_rows(snapshot),
            "requirements": self._requirements(snapshot),
            "alerts": rows.alert_rows(snapshot),
        }

    _recent: frozenset[EndpointKey] = frozenset()

    def log(self, row: LogRow) -> None:
        """Keep and send a log message."""
        self.logs.append(row)
        self._streams.publish("log", lambda: row)

    def keep_log(self) -> None:
        """Keep log messages from now on. To be called again after logging was set up anew."""
        root = logging.getLogger()
        if self._handler not in root.handlers:
            root.addHandler(self._handler)


class _LogHandler(logging.Handler):
    """Passes log records to a LiveRun, without their `secret`, which is for the user of the terminal."""

    def __init__(self, live: LiveRun) -> None:
        super().__init__()
        self._live = live

    def emit(self, record: logging.LogRecord) -> None:
        text = escape_lines(record_text(record))[:_MAX_LOG_LENGTH]
        self._live.log(LogRow(record.created, record.levelname, record.name, text))

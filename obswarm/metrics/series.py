"""What a snapshot says, as the contract's metrics: the one place where figures become series. No format, no I/O."""

import math
import platform
import re
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from obswarm import __version__, clock, defaults
from obswarm.engine import Output
from obswarm.metrics import contract
from obswarm.metrics.contract import Kind, Metric
from obswarm.metrics.created import CreatedTimes, Exposition
from obswarm.sanitize import escape_controls
from obswarm.stats import (
    NONE_IN_FLIGHT,
    Annotation,
    EndpointKey,
    EndpointStats,
    Exemplar,
    GuardView,
    Histogram,
    InFlight,
    RefusedAlerts,
    RunState,
    Snapshot,
)
from obswarm.stats.endpoint import NO_STATUS

MODEL_CLOSED = "closed"
_MARKS_KEPT = 100
_TRACE_ID = re.compile("[0-9a-f]{1,64}")
_MAX_LABEL_LENGTH = max(defaults.MAX_NAME_LENGTH, defaults.MAX_ERROR_LENGTH)


class MetricSample(NamedTuple):
    """One series: the values of the metric's labels, in their order, and a number or a histogram."""

    labels: tuple[str, ...]
    value: float = 0.0
    histogram: Histogram | None = None
    exemplars: tuple[Exemplar, ...] = ()
    created_s: float | None = None
    """Wall time at which a counter or histogram was zero; None for gauges."""


MetricFamily = tuple[Metric, Iterator[MetricSample]]


class PushCounts(NamedTuple):
    """What the pusher has to tell about itself."""

    sent: int
    lost: Mapping[str, int]


class SnapshotRegistry(Output):
    """Keeps the newest snapshot, and what a reset of the statistics took away, so that no counter goes down
    while a run goes on."""

    name = "The metrics endpoint"

    def __init__(self) -> None:
        self.newest: Snapshot | None = None
        """Of a run, once there is one."""
        self._before: dict[EndpointKey, EndpointStats] = {}
        self._errors_before: dict[tuple[str, str, str], int] = {}
        self._iterations_before: dict[str, int] = {}
        self._interrupted_before = 0
        self._exceptions_before = 0
        self._since_s = clock.wall()
        self._created = CreatedTimes()
        self._marks: dict[tuple[str, str], float] = {}
        """By kind and time as a text, oldest first."""
        self.push: PushCounts | None = None
        self.waiting: Callable[[], int] | None = None
        """How many workers wait for a first run, where a master does."""
        self.refused_while_idle: Callable[[], Sequence[RefusedAlerts]] = tuple
        """What has been refused of alerts since the last run, which will be in the next one's figures."""

    def snapshot(self, snapshot: Snapshot) -> None:
        last = self.newest
        if last is not None and last.run_id == snapshot.run_id and last.stats_since_s != snapshot.stats_since_s:
            for key, stats in last.endpoints.items():
                kept = self._before.setdefault(key, EndpointStats(key))
                kept.merge(stats)
            for error, seen in last.errors.items():
                self._errors_before[error] = self._errors_before.get(error, 0) + seen.count
            for name, count in last.iterations.items():
                self._iterations_before[name] = self._iterations_before.get(name, 0) + count
            self._interrupted_before += last.interrupted
            self._exceptions_before += _exceptions(last)
        elif last is not None and last.run_id != snapshot.run_id:
            self._before.clear()
            self._errors_before.clear()
            self._iterations_before.clear()
            self._interrupted_before = self._exceptions_before = 0
            self._created.clear()
            # The new run may have some already.
            self._marks = {key: at_s for key, at_s in self._marks.items() if at_s >= snapshot.started_s}
        self.newest = snapshot

    def restored(self, snapshot: Snapshot, annotations: Sequence[Annotation]) -> None:
        """Whatever was counted before has been seen, and what is new from now on was created now."""
        self.snapshot(snapshot)
        self._marks.clear()
        for annotation in annotations:
            self.annotation(annotation)
        for _, points in self.families():
            deque(points, maxlen=0)

    def annotation(self, annotation: Annotation) -> None:
        if annotation.kind in contract.MARKS:
            at = datetime.fromtimestamp(annotation.time_s, UTC).isoformat(timespec="milliseconds")
            self._marks[annotation.kind, at.replace("+00:00", "Z")] = annotation.time_s
            if len(self._marks) > _MARKS_KEPT:
                del self._marks[next(iter(self._marks))]

    def families(self, asked_s: float | None = None) -> Iterator[MetricFamily]:
        """All metrics that have series at the moment. Values of labels are valid UTF-8 of a bounded length.

        `asked_s` is the wall time that the values will have. Counters and histograms that were created since then are
        left out: a sample that is older than its series' beginning, and the beginning after it, would count twice.
        """
        for metric, points in self._families(math.inf if asked_s is None else asked_s):
            yield metric, map(_fit, points)

    def _families(self, asked_s: float) -> Iterator[MetricFamily]:
        yield contract.BUILD_INFO, iter([MetricSample((__version__, platform.python_version()), 1)])
        snapshot = self.newest
        if snapshot is not None:
            exposition = self._created.exposition(snapshot.started_s, snapshot.time_s)
            for family in (self._of_the_run(snapshot), _of_the_generator(snapshot), self._of_the_guards(snapshot)):
                for metric, points in family:
                    yield metric, _begun(metric, points, exposition, asked_s)
            exposition.finish()
        elif self.waiting is not None:
            ready = self.waiting()
            yield (
                contract.RUN_STATE,
                (MetricSample((str(state),), float(state is RunState.READY)) for state in RunState),
            )
            yield (
                contract.WORKERS,
                (MetricSample((state,), ready * (state == "ready")) for state in contract.WORKER_STATES),
            )
            refused = self.refused_while_idle()
            if refused:
                since_s = self._since_s
                points = (MetricSample((each.reason,), each.count, created_s=since_s) for each in refused)
                yield contract.ALERTS_REFUSED, points
        if self.push is not None:
            # They count over all runs of the process.
            sent, lost, since_s = self.push.sent, sorted(self.push.lost.items()), self._since_s
            yield contract.PUSHED, iter([MetricSample((), sent, created_s=since_s)])
            yield contract.PUSH_LOST, (MetricSample((reason,), count, created_s=since_s) for reason, count in lost)

    def _endpoints(self, snapshot: Snapshot) -> Iterator[EndpointStats]:
        if not self._before:
            yield from snapshot.endpoints.values()
            return
        for key in {**self._before, **snapshot.endpoints}:
            now, before = snapshot.endpoints.get(key), self._before.get(key)
            if now is None or before is None:
                yield now or before  # type: ignore[misc]  # one of them is there
            else:
                both = before.copy()
                both.merge(now)
                yield both

    def _under_way(self, snapshot: Snapshot) -> Iterator[tuple[EndpointKey, InFlight]]:
        """Of every endpoint that there was: a series that ended with the last request would show its last value on."""
        for key in {**self._before, **snapshot.endpoints, **snapshot.in_flight}:
            yield key, snapshot.in_flight.get(key, NONE_IN_FLIGHT)

    def _of_the_run(self, snapshot: Snapshot) -> Iterator[MetricFamily]:
        yield contract.REQUESTS, self._requests(snapshot)
        yield contract.DURATION, self._durations(snapshot)
        yield (
            contract.RESPONSE_BYTES,
            (MetricSample(each.key, each.response_bytes) for each in self._endpoints(snapshot)),
        )
        yield contract.ERRORS, self._errors(snapshot)
        yield contract.IN_FLIGHT, (MetricSample(key, each.count) for key, each in self._under_way(snapshot))
        yield contract.OLDEST, (MetricSample(key, each.oldest_s) for key, each in self._under_way(snapshot))
        yield contract.INTERRUPTED, iter([MetricSample((), snapshot.interrupted + self._interrupted_before)])
        names = sorted({**self._iterations_before, **snapshot.iterations})
        iterations = {name: snapshot.iterations.get(name, 0) + self._iterations_before.get(name, 0) for name in names}
        yield contract.ITERATIONS, (MetricSample((name,), count) for name, count in iterations.items())
        yield contract.EXCEPTIONS, iter([MetricSample((), _exceptions(snapshot) + self._exceptions_before)])
        yield contract.USERS, (MetricSample((name,), count) for name, count in sorted(snapshot.users.items()))
        yield (
            contract.USERS_TARGET,
            (MetricSample((name,), count) for name, count in sorted(snapshot.users_target.items())),
        )
        yield contract.RUN_STATE, (MetricSample((str(state),), float(state is snapshot.state)) for state in RunState)
        info = (snapshot.run_id, snapshot.test, snapshot.host or "", MODEL_CLOSED)
        yield contract.RUN_INFO, iter([MetricSample(info, 1)])
        yield contract.RUN_START, iter([MetricSample((), snapshot.started_s)])
        yield contract.ANNOTATIONS, (MetricSample((kind,), snapshot.marks.get(kind, 0)) for kind in contract.MARKS)
        yield contract.MARK_TIMES, (MetricSample(key, at_s) for key, at_s in list(self._marks.items()))

    def _of_the_guards(self, snapshot: Snapshot) -> Iterator[MetricFamily]:
        yield from _of_the_guards(snapshot)
        refused: Counter[str] = Counter()
        for each in (*snapshot.refused_alerts, *self.refused_while_idle()):
            refused[each.reason] += each.count
        if refused:
            yield contract.ALERTS_REFUSED, (MetricSample((reason,), count) for reason, count in refused.items())

    def _requests(self, snapshot: Snapshot) -> Iterator[MetricSample]:
        for stats in self._endpoints(snapshot):
            for outcome, counts in (("success", stats.successes), ("failure", stats.failures_by)):
                for status, count in _by_class(counts).items():
                    yield MetricSample((*stats.key, outcome, status), count)

    def _durations(self, snapshot: Snapshot) -> Iterator[MetricSample]:
        for stats in self._endpoints(snapshot):
            yield MetricSample(stats.key, 0.0, stats.duration, stats.exemplars())

    def _errors(self, snapshot: Snapshot) -> Iterator[MetricSample]:
        before = self._errors_before
        for key, seen in snapshot.errors.items():
            yield MetricSample(key, seen.count + before.get(key, 0))
        for key_before, count in before.items():
            if key_before not in snapshot.errors:
                yield MetricSample(key_before, count)


def _begun(
    metric: Metric, points: Iterator[MetricSample], exposition: Exposition, asked_s: float
) -> Iterator[MetricSample]:
    """Counters and histograms with the times at which they were created, those that were before `asked_s`."""
    if metric.kind not in (Kind.COUNTER, Kind.HISTOGRAM):
        yield from points
        return
    for point in points:
        created_s = exposition.created_s((metric.name, point.labels))
        if created_s < asked_s:
            yield point._replace(created_s=created_s)


def _fit(point: MetricSample) -> MetricSample:
    for text in point.labels:
        if len(text) > _MAX_LABEL_LENGTH or not text.isprintable():
            point = point._replace(labels=tuple(map(_label, point.labels)))
            break
    for exemplar in point.exemplars:
        if _TRACE_ID.fullmatch(exemplar.trace_id) is None:
            fit = tuple(each for each in point.exemplars if _TRACE_ID.fullmatch(each.trace_id))
            return point._replace(exemplars=fit)
    return point


def _label(text: str) -> str:
    """Two texts that are the same up to the limit stay two."""
    fit = escape_controls(text)
    if len(fit) <= _MAX_LABEL_LENGTH:
        return fit
    mark = f"…{zlib.crc32(fit.encode()):08x}"
    return fit[: _MAX_LABEL_LENGTH - len(mark)] + mark


def _by_class(counts: Mapping[str, int]) -> Mapping[str, int]:
    """Counts by the classes of status that are in the contract; what a worker calls otherwise is among the others."""
    if counts.keys() <= contract.STATUSES:
        return counts
    known = {status: count for status, count in counts.items() if status in contract.STATUSES}
    return known | {NO_STATUS: known.get(NO_STATUS, 0) + sum(counts.values()) - sum(known.values())}


def _exceptions(snapshot: Snapshot) -> int:
    return sum(found.count for found in snapshot.exceptions.values())


def _of_the_generator(snapshot: Snapshot) -> Iterator[MetricFamily]:
    workers = snapshot.workers
    states = Counter(worker.state for worker in workers)
    yield contract.WORKERS, (MetricSample((state,), states[state]) for state in contract.WORKER_STATES)
    yield contract.WORKER_USERS, (MetricSample((worker.worker,), worker.users) for worker in workers)
    yield contract.WORKER_CPU, (MetricSample((worker.worker,), worker.cpu_ratio) for worker in workers)
    yield contract.WORKER_MEMORY, (MetricSample((worker.worker,), worker.memory_bytes) for worker in workers)
    yield contract.WORKER_LAG, (MetricSample((worker.worker,), worker.loop_lag_s) for worker in workers)
    yield contract.SATURATED, (MetricSample((worker.worker,), float(worker.saturated)) for worker in workers)
    distributed = [worker for worker in workers if worker.capacity is not None]
    if distributed:
        yield (
            contract.WORKER_CAPACITY,
            (MetricSample((worker.worker,), worker.capacity or 0.0) for worker in distributed),
        )
        yield contract.STATS_MESSAGES, (MetricSample((worker.worker,), worker.stats_messages) for worker in distributed)
        yield contract.STATS_LOST, (MetricSample((worker.worker,), worker.stats_lost) for worker in distributed)
        yield contract.STATS_LAG, (MetricSample((worker.worker,), worker.stats_lag_s) for worker in distributed)


def _of_the_guards(snapshot: Snapshot) -> Iterator[MetricFamily]:
    guards = snapshot.guards
    if guards:
        yield (
            contract.GUARD_STATE,
            (
                MetricSample((guard.name, state), float(guard.state == state))
                for guard in guards
                for state in contract.GUARD_STATES
            ),
        )
        known = [guard for guard in guards if guard.value is not None]
        yield contract.GUARD_VALUE, (MetricSample((guard.name,), guard.value or 0.0) for guard in known)
        seen = [(guard.name, guard.seen_ratio) for guard in guards if guard.seen_ratio is not None]
        yield contract.GUARD_SEEN, (MetricSample((name,), ratio) for name, ratio in seen)
        trips = [(guard, *acted) for guard in guards for acted in _acted(guard).items()]
        yield contract.GUARD_TRIPS, (MetricSample((guard.name, action), count) for guard, action, count in trips)
    if snapshot.alerts:
        yield contract.ALERTS, (MetricSample((a.alertname, a.status, a.source), a.count) for a in snapshot.alerts)


def _acted(guard: GuardView) -> Counter[str]:
    """How often each action was taken; that of a guard that has done nothing is there with 0."""
    acted = Counter(dict(guard.trips) or {guard.action: 0})
    if guard.stopped:
        acted["stop"] += 1
    return acted

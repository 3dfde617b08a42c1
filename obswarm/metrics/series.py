"""Convert snapshots of a run to samples of the contract's metrics. No formats, no I/O."""

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
from obswarm.metrics.custom_families import CustomFamilies
from obswarm.metrics.samples import MetricFamily, MetricSample
from obswarm.record import (
    Annotation,
    GuardAction,
    GuardState,
    GuardView,
    RefusedAlerts,
    RunState,
    Snapshot,
    WorkerStatus,
)
from obswarm.sanitize import escape_controls
from obswarm.stats import NONE_IN_FLIGHT, EndpointKey, EndpointStats, InFlight
from obswarm.stats.keys import NO_STATUS

MODEL_CLOSED, MODEL_OPEN = "closed", "open"
_MAX_ANNOTATIONS = 100
_TRACE_ID = re.compile("[0-9a-f]{1,64}")
_MAX_LABEL_LENGTH = max(defaults.MAX_NAME_LENGTH, defaults.MAX_ERROR_LENGTH)


class PushCounts(NamedTuple):
    """Number of samples sent by remote write, and lost by reason."""

    sent: int
    lost: Mapping[str, int]


SeriesKey = tuple[str, tuple[str, ...]]
"""(metric name, label values)."""


class CreatedTimes:
    """Created timestamps (wall times in seconds) of the series of a run, the same in each exposition.

    The created timestamp of a series is the last time at which its counter is known to have been zero. `increase()`
    needs it (https://prometheus.io/docs/prometheus/latest/feature_flags/#created-timestamps-zero-injection): without
    it, a series starts with the value of its first scrape, and what was counted before is missing. Each series needs
    its own: for an endpoint that first appears after an hour, the start of the run would be wrong, as Prometheus
    ingests no samples that old, and a query over the last minute would not see it.
    """

    def __init__(self) -> None:
        self._known: dict[SeriesKey, float] = {}
        self._absent_until_s = 0.0
        """Time of the newest snapshot whose exposition is complete, so that all of its series are known."""

    def clear(self) -> None:
        """Remove all series: a new run starts."""
        self._known.clear()
        self._absent_until_s = 0.0

    def exposition(self, started_s: float, snapshot_s: float) -> "Exposition":
        """Start an exposition of the snapshot taken at `snapshot_s` in a run started at `started_s`."""
        return Exposition(self, max(started_s, self._absent_until_s), snapshot_s)


class Exposition:
    """One pass over the series of a snapshot. Several may be in progress concurrently."""

    def __init__(self, times: CreatedTimes, absent_until_s: float, snapshot_s: float) -> None:
        self._times = times
        self._absent_until_s = absent_until_s
        self._snapshot_s = snapshot_s

    def created_s(self, key: SeriesKey) -> float:
        """Return the created timestamp of a series of this snapshot."""
        return self._times._known.setdefault(key, self._absent_until_s)

    def finish(self) -> None:
        """Mark the exposition as complete: series that were not in it are newer than its snapshot."""
        self._times._absent_until_s = max(self._times._absent_until_s, self._snapshot_s)


class SnapshotRegistry(Output):
    """Output that holds the newest snapshot for exposition, and the counts from before a reset of the statistics, so
    that no counter decreases during a run."""

    name = "The metrics endpoint"

    def __init__(
        self,
        idle_workers: Callable[[], int] | None = None,
        refused_while_idle: Callable[[], Sequence[RefusedAlerts]] = tuple,
    ) -> None:
        """`idle_workers` returns the number of workers connected to a master service before its first run; None without
        such a service. `refused_while_idle` returns the alerts refused since the last run; the next run's snapshots
        will include them."""
        self.newest: Snapshot | None = None
        """Newest snapshot; None before the first run."""
        self._endpoints_before_reset: dict[EndpointKey, EndpointStats] = {}
        self._errors_before_reset: dict[tuple[str, str, str], int] = {}
        self._iterations_before_reset: Counter[str] = Counter()
        self._dropped_before_reset: Counter[tuple[str, str]] = Counter()
        self._interrupted_before_reset = 0
        self._exceptions_before_reset = 0
        self._custom = CustomFamilies()
        self._since_s = clock.wall()
        self._created = CreatedTimes()
        self._annotations: dict[tuple[str, str], float] = {}
        """(kind, time as text) → wall time, oldest first."""
        self.pushed: PushCounts | None = None
        """Counters of remote write, over all runs of the process."""
        self.idle_workers = idle_workers
        self._refused_while_idle = refused_while_idle

    def count_pushes(self, counts: PushCounts) -> None:
        """Note the counters of remote write."""
        self.pushed = counts

    def end_run(self, refused_while_idle: Callable[[], Sequence[RefusedAlerts]]) -> None:
        """The run has ended: from now on add the alerts that this function returns."""
        self._refused_while_idle = refused_while_idle

    def snapshot(self, snapshot: Snapshot) -> None:
        last = self.newest
        if last is not None and last.run_id == snapshot.run_id and last.stats_since_s != snapshot.stats_since_s:
            for key, stats in last.endpoints.items():
                before_reset = self._endpoints_before_reset.setdefault(key, EndpointStats(key))
                before_reset.merge(stats)
            for error, seen in last.errors.items():
                self._errors_before_reset[error] = self._errors_before_reset.get(error, 0) + seen.count
            self._iterations_before_reset.update(last.iterations)
            self._dropped_before_reset.update(last.dropped)
            self._interrupted_before_reset += last.interrupted
            self._exceptions_before_reset += _exceptions(last)
            self._custom.reset(last)
        elif last is not None and last.run_id != snapshot.run_id:
            self._endpoints_before_reset.clear()
            self._errors_before_reset.clear()
            self._iterations_before_reset.clear()
            self._dropped_before_reset.clear()
            self._interrupted_before_reset = self._exceptions_before_reset = 0
            self._created.clear()
            self._custom.clear()
            # The new run may already have annotations.
            self._annotations = {key: at_s for key, at_s in self._annotations.items() if at_s >= snapshot.started_s}
        self.newest = snapshot

    def restored(self, snapshot: Snapshot, annotations: Sequence[Annotation]) -> None:
        """Treat all series of a restored run as already scraped; series that appear later are created then."""
        self.snapshot(snapshot)
        self._annotations.clear()
        for annotation in annotations:
            self.annotation(annotation)
        for _, samples in self.families():
            deque(samples, maxlen=0)

    def annotation(self, annotation: Annotation) -> None:
        if annotation.kind in contract.ANNOTATION_KINDS:
            at = datetime.fromtimestamp(annotation.time_s, UTC).isoformat(timespec="milliseconds")
            self._annotations[annotation.kind, at.replace("+00:00", "Z")] = annotation.time_s
            if len(self._annotations) > _MAX_ANNOTATIONS:
                del self._annotations[next(iter(self._annotations))]

    def families(self, request_time_s: float | None = None) -> Iterator[MetricFamily]:
        """Yield all metrics that have series now. Label values are valid UTF-8 of bounded length.

        `request_time_s` is the wall time that the samples will have. Counters and histograms created after it are left
        out: Prometheus would count a sample twice that is older than the created time of its series.
        """
        for metric, samples in self._families(math.inf if request_time_s is None else request_time_s):
            yield metric, map(_with_valid_labels, samples)

    def _families(self, request_time_s: float) -> Iterator[MetricFamily]:
        yield contract.BUILD_INFO, iter([MetricSample((__version__, platform.python_version()), 1)])
        snapshot = self.newest
        if snapshot is not None:
            exposition = self._created.exposition(snapshot.started_s, snapshot.time_s)
            for family in (self._run_families(snapshot), _generator_families(snapshot), self._guard_families(snapshot)):
                for metric, samples in family:
                    yield metric, _with_created_times(metric, samples, exposition, request_time_s)
            exposition.finish()
        elif self.idle_workers is not None:
            ready = self.idle_workers()
            yield (
                contract.RUN_STATE,
                (MetricSample((str(state),), float(state is RunState.READY)) for state in RunState),
            )
            yield (
                contract.WORKERS,
                (MetricSample((state,), ready * (state is WorkerStatus.READY)) for state in contract.WORKER_STATES),
            )
            refused = self._refused_while_idle()
            if refused:
                since_s = self._since_s
                samples = (MetricSample((each.reason,), each.count, created_s=since_s) for each in refused)
                yield contract.ALERTS_REFUSED, samples
        if self.pushed is not None:
            sent, lost, since_s = self.pushed.sent, sorted(self.pushed.lost.items()), self._since_s
            yield contract.PUSHED, iter([MetricSample((), sent, created_s=since_s)])
            yield contract.PUSH_LOST, (MetricSample((reason,), count, created_s=since_s) for reason, count in lost)

    def _endpoints(self, snapshot: Snapshot) -> Iterator[EndpointStats]:
        if not self._endpoints_before_reset:
            yield from snapshot.endpoints.values()
            return
        for key in {**self._endpoints_before_reset, **snapshot.endpoints}:
            now, before = snapshot.endpoints.get(key), self._endpoints_before_reset.get(key)
            if now is None or before is None:
                yield now or before  # type: ignore[misc]  # one of them is not None
            else:
                both = before.copy()
                both.merge(now)
                yield both

    def _in_flight(self, snapshot: Snapshot) -> Iterator[tuple[EndpointKey, InFlight]]:
        """Yield every endpoint of the run, with zeros if nothing is in flight: a series that just ends would keep its
        last value."""
        for key in {**self._endpoints_before_reset, **snapshot.endpoints, **snapshot.in_flight}:
            yield key, snapshot.in_flight.get(key, NONE_IN_FLIGHT)

    def _run_families(self, snapshot: Snapshot) -> Iterator[MetricFamily]:
        yield contract.REQUESTS, self._requests(snapshot)
        yield contract.DURATION, self._durations(snapshot)
        before_reset = self._endpoints_before_reset.values()
        if any(each.intended_duration is not None for each in (snapshot.total, *before_reset)):
            yield contract.INTENDED_DURATION, self._intended_durations(snapshot)
        yield (
            contract.RESPONSE_BYTES,
            (MetricSample(each.key.labels, each.response_bytes) for each in self._endpoints(snapshot)),
        )
        yield contract.ERRORS, self._errors(snapshot)
        yield contract.IN_FLIGHT, (MetricSample(key.labels, each.count) for key, each in self._in_flight(snapshot))
        yield contract.OLDEST, (MetricSample(key.labels, each.oldest_s) for key, each in self._in_flight(snapshot))
        yield contract.INTERRUPTED, iter([MetricSample((), snapshot.interrupted + self._interrupted_before_reset)])
        iterations = self._iterations_before_reset + Counter(snapshot.iterations)
        yield contract.ITERATIONS, (MetricSample((name,), count) for name, count in sorted(iterations.items()))
        dropped = self._dropped_before_reset + Counter(snapshot.dropped)
        if dropped:
            yield contract.DROPPED_ITERATIONS, (MetricSample(key, count) for key, count in sorted(dropped.items()))
        if snapshot.is_open:
            rates = sorted(snapshot.rates_target.items())
            yield contract.RATE_TARGET, (MetricSample((name,), rate) for name, rate in rates)
        yield contract.EXCEPTIONS, iter([MetricSample((), _exceptions(snapshot) + self._exceptions_before_reset)])
        yield contract.USERS, (MetricSample((name,), count) for name, count in sorted(snapshot.users.items()))
        targets = sorted(snapshot.users_target.items())
        yield contract.USERS_TARGET, (MetricSample((name,), count) for name, count in targets)
        yield contract.RUN_STATE, (MetricSample((str(state),), float(state is snapshot.state)) for state in RunState)
        info = (snapshot.run_id, snapshot.test, snapshot.host or "", MODEL_OPEN if snapshot.is_open else MODEL_CLOSED)
        yield contract.RUN_INFO, iter([MetricSample(info, 1)])
        yield contract.RUN_START, iter([MetricSample((), snapshot.started_s)])
        yield (
            contract.ANNOTATIONS,
            (MetricSample((kind,), snapshot.annotation_counts.get(kind, 0)) for kind in contract.ANNOTATION_KINDS),
        )
        yield contract.ANNOTATION_TIMES, (MetricSample(key, at_s) for key, at_s in list(self._annotations.items()))
        yield from self._custom.families(snapshot)

    def _guard_families(self, snapshot: Snapshot) -> Iterator[MetricFamily]:
        yield from _guard_families(snapshot)
        refused: Counter[str] = Counter()
        for each in (*snapshot.refused_alerts, *self._refused_while_idle()):
            refused[each.reason] += each.count
        if refused:
            yield contract.ALERTS_REFUSED, (MetricSample((reason,), count) for reason, count in refused.items())

    def _requests(self, snapshot: Snapshot) -> Iterator[MetricSample]:
        for stats in self._endpoints(snapshot):
            for outcome, counts in (("success", stats.successes), ("failure", stats.failures_by)):
                for status, count in _by_class(counts).items():
                    yield MetricSample((*stats.key[:2], outcome, status, *stats.key.labels[2:]), count)

    def _durations(self, snapshot: Snapshot) -> Iterator[MetricSample]:
        for stats in self._endpoints(snapshot):
            yield MetricSample(stats.key.labels, 0.0, stats.duration, stats.exemplars())

    def _intended_durations(self, snapshot: Snapshot) -> Iterator[MetricSample]:
        for stats in self._endpoints(snapshot):
            if stats.intended_duration is not None:
                yield MetricSample(stats.key.labels, 0.0, stats.intended_duration)

    def _errors(self, snapshot: Snapshot) -> Iterator[MetricSample]:
        before = self._errors_before_reset
        for key, seen in snapshot.errors.items():
            yield MetricSample(key, seen.count + before.get(key, 0))
        for key_before, count in before.items():
            if key_before not in snapshot.errors:
                yield MetricSample(key_before, count)


def _with_created_times(
    metric: Metric, samples: Iterator[MetricSample], exposition: Exposition, request_time_s: float
) -> Iterator[MetricSample]:
    """Add created times to counters and histograms, and leave out those created after `request_time_s`."""
    if metric.kind not in (Kind.COUNTER, Kind.HISTOGRAM):
        yield from samples
        return
    for sample in samples:
        created_s = exposition.created_s((metric.name, sample.labels))
        if created_s < request_time_s:
            yield sample._replace(created_s=created_s)


def _with_valid_labels(sample: MetricSample) -> MetricSample:
    for text in sample.labels:
        if len(text) > _MAX_LABEL_LENGTH or not text.isprintable():
            sample = sample._replace(labels=tuple(map(_label, sample.labels)))
            break
    for exemplar in sample.exemplars:
        if _TRACE_ID.fullmatch(exemplar.trace_id) is None:
            valid = tuple(each for each in sample.exemplars if _TRACE_ID.fullmatch(each.trace_id))
            return sample._replace(exemplars=valid)
    return sample


def _label(text: str) -> str:
    """Escape and shorten a label value; shortened values end with a checksum, so that different values stay
    different."""
    valid = escape_controls(text)
    if len(valid) <= _MAX_LABEL_LENGTH:
        return valid
    suffix = f"…{zlib.crc32(valid.encode()):08x}"
    return valid[: _MAX_LABEL_LENGTH - len(suffix)] + suffix


def _by_class(counts: Mapping[str, int]) -> Mapping[str, int]:
    """Return the counts by status class of the contract; unknown classes (of a worker) count as NO_STATUS."""
    if counts.keys() <= contract.STATUSES:
        return counts
    known = {status: count for status, count in counts.items() if status in contract.STATUSES}
    return known | {NO_STATUS: known.get(NO_STATUS, 0) + sum(counts.values()) - sum(known.values())}


def _exceptions(snapshot: Snapshot) -> int:
    return sum(found.count for found in snapshot.exceptions.values())


def _generator_families(snapshot: Snapshot) -> Iterator[MetricFamily]:
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


def _guard_families(snapshot: Snapshot) -> Iterator[MetricFamily]:
    guards = snapshot.guards
    if guards:
        yield (
            contract.GUARD_STATE,
            (
                MetricSample((guard.name, state), float(guard.state == state))
                for guard in guards
                for state in GuardState
            ),
        )
        known = [guard for guard in guards if guard.value is not None]
        yield contract.GUARD_VALUE, (MetricSample((guard.name,), guard.value or 0.0) for guard in known)
        seen = [(guard.name, guard.data_ratio) for guard in guards if guard.data_ratio is not None]
        yield contract.GUARD_SEEN, (MetricSample((name,), ratio) for name, ratio in seen)
        trips = [(guard, *taken) for guard in guards for taken in _actions_taken(guard).items()]
        yield contract.GUARD_TRIPS, (MetricSample((guard.name, action), count) for guard, action, count in trips)
    if snapshot.alerts:
        yield contract.ALERTS, (MetricSample((a.alertname, a.status, a.source), a.count) for a in snapshot.alerts)


def _actions_taken(guard: GuardView) -> Counter[str]:
    """Count the guard's actions; a guard that has not acted has 0 for its own action."""
    taken = Counter(dict(guard.trips) or {guard.action: 0})
    if guard.stopped:
        taken[GuardAction.STOP] += 1
    return taken

"""A run on one time axis: its load, its latencies and errors, and every series of its targets and generator."""

import math
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import gt, lt, ne
from typing import Literal, TypeAlias

from obswarm.record import LOADED_STATES, Interval, MetricKey, RunRecord, SampleSeries
from obswarm.stats import GENERATOR_BEHIND, NO_FREE_USER, EndpointKey, EndpointStats, total_of

MAX_STEPS = 3600
"""Steps of a timeline; those of longer runs are several seconds long."""

Values: TypeAlias = "array[float]"
"""One value for each step, NaN for none."""

LATENCY_WINDOW_S = 5.0
"""Seconds of requests behind a p95 of which it is judged whether users notice something: that of a single second of few
requests varies by chance, and does not show what makes one second in three slow."""

_RISING = 1.1
_RISING_S = 5.0
_RISING_SHARE = 0.25

GENERATOR = "generator"
"""Kind of the load generator's own series."""
LOOP_LAG = MetricKey(GENERATOR, GENERATOR, "loop lag", "seconds")


@dataclass(frozen=True, slots=True)
class Timeline:
    """A run's seconds with load.

    `times_s` is the end of each step in seconds since the start of the run; `step_s` the usual length of one.
    `throughput` is successful requests per second; `errors` failed requests as a share of all; latencies are in
    seconds, and those of a step in which nothing has finished are the age of the oldest request in flight, if known.
    `saturated_workers` has the load generator's workers that were the bottleneck, with the moment of the first interval
    in which they were. `p95_window_s` is that of all requests of the last LATENCY_WINDOW_S. Of the open model, `rates`
    has the iterations per second that are to start, 0 of a closed one; `dropped` the share of them that did not since
    all users were busy, `behind` the share that did not since the load generator was late. `oldest_s` is the age of
    the oldest request in flight at the end of each step, 0 if there is none or nothing is known.
    """

    times_s: Values
    step_s: float
    users: Values
    users_target: Values
    requests: Values
    throughput: Values
    errors: Values
    mean_s: Values
    p95_s: Values
    p95_window_s: Values
    in_flight: Values
    endpoints: Mapping[EndpointKey, "EndpointTimeline"]
    generator: Mapping[MetricKey, Values]
    saturated_workers: Mapping[str, float]
    targets: Mapping[MetricKey, Values]
    rates: Values = field(default_factory=lambda: array("d"))
    dropped: Values = field(default_factory=lambda: array("d"))
    behind: Values = field(default_factory=lambda: array("d"))
    oldest_s: Values = field(default_factory=lambda: array("d"))

    @property
    def model(self) -> Literal["closed", "open", "combined"]:
        if not any(self.rates):
            return "closed"
        return "combined" if any(self.users_target) else "open"

    @property
    def load(self) -> Values:
        """What the load test asks for: users, iterations per second of the open model, and the users of the closed one
        if it has both. Users of the open model become more if the target is slow, so they are no load."""
        return {"closed": self.users, "open": self.rates, "combined": self.users_target}[self.model]

    def __len__(self) -> int:
        return len(self.times_s)

    def is_rising(self, at_s: float) -> bool:
        """Return whether the load was rising at that moment: by 10 % in the quarter of the time before it, 5 s at
        least."""
        begin_s = at_s - max(_RISING_S, _RISING_SHARE * at_s)
        before = [load for time_s, load in zip(self.times_s, self.load, strict=True) if begin_s <= time_s <= at_s]
        return bool(before) and before[-1] >= _RISING * max(before[0], 1.0)


@dataclass(frozen=True, slots=True)
class EndpointTimeline:
    """One endpoint: requests per second, mean and p95 in seconds; in each step its requests, and those that failed."""

    requests: Values
    mean_s: Values
    p95_s: Values
    counts: Values
    failed: Values


def timeline_of(record: RunRecord) -> Timeline:
    """Put a run on one time axis; steps without load are left out."""
    loaded = [interval for interval in record.intervals if interval.state in LOADED_STATES and interval.interval_s > 0]
    size = max(1, -(-len(loaded) // MAX_STEPS))
    steps = [loaded[begin : begin + size] for begin in range(0, len(loaded), size)]
    last = [step[-1] for step in steps]
    totals = [total_of(interval.total() for interval in step) for step in steps]
    spans = [sum(interval.interval_s for interval in step) for step in steps]
    axis = Axis([interval.time_s for interval in last])
    rated = list(zip(totals, spans, strict=True))
    return Timeline(
        times_s=_values(interval.elapsed_s for interval in last),
        step_s=sorted(spans)[len(spans) // 2] if spans else 1.0,
        users=_values(float(sum(interval.users.values())) for interval in last),
        users_target=_values(float(sum(interval.users_target.values())) for interval in last),
        requests=_values(total.requests / span for total, span in rated),
        throughput=_values((total.requests - total.failures) / span for total, span in rated),
        errors=_values(total.error_ratio if total.requests else math.nan for total in totals),
        mean_s=_values(_or_nan(total.duration.mean_s) for total in totals),
        p95_s=_values(_latency(total, interval) for total, interval in zip(totals, last, strict=True)),
        p95_window_s=_p95_of_windows(totals, last, spans),
        in_flight=_values(_or_nan(interval.in_flight) for interval in last),
        endpoints=_endpoints(steps, spans),
        generator=dict(_generator(last)),
        saturated_workers=_saturated(loaded),
        targets={
            **{key: axis.put(points) for key, points in record.samples.items()},
            **dict(_series(record, axis)),
        },
        rates=_values(sum(interval.rates_target.values()) for interval in last),
        dropped=_not_started(steps, NO_FREE_USER),
        behind=_not_started(steps, GENERATOR_BEHIND),
        oldest_s=_values(interval.oldest_s or 0.0 for interval in last),
    )


class Axis:
    """The moments of a timeline's steps, on which metrics are put. Series that share their times are put on it by the
    same positions."""

    def __init__(self, times_s: Sequence[float]) -> None:
        """`times_s` are wall times in seconds, ascending."""
        self.times_s = times_s
        self._last: tuple[array[float], list[int]] = array("d"), []

    def put(self, points: Sequence[tuple[float, float]]) -> Values:
        """Return the value of a metric at each moment. `points` are its changes, (time, value), in ascending order of
        time; NaN before the first one."""
        series = points if isinstance(points, SampleSeries) else SampleSeries.of(points)
        if self._last[0] is not series.times_s:
            self._last = series.times_s, [bisect_right(series.times_s, time_s) - 1 for time_s in self.times_s]
        positions = self._last[1]
        missing = bisect_right(positions, -1)
        values: Values = array("d", [math.nan]) * missing
        values.extend(map(series.values.__getitem__, positions[missing:]))
        return values


def _series(record: RunRecord, axis: Axis) -> Iterator[tuple[MetricKey, Values]]:
    """Yield the further series of the targets: gauges as they are, counters as rates."""
    for key, points in record.series.items():
        values = axis.put(points)
        if _counts(key.name, values):
            yield MetricKey(key.target, key.kind, f"rate of {key.name}", "per_second"), rate_of(values, axis.times_s)
        else:
            yield key, values


def _counts(name: str, values: Values) -> bool:
    """Return whether a series is a counter: by its name, or because it rises often and never falls."""
    if _COUNTER.fullmatch(name):
        return True
    known = [value for value in values if math.isfinite(value)]
    rises = sum(map(lt, known, known[1:]))
    return rises >= max(_MIN_RISES, len(known) * _RISING_SHARE) and not any(map(gt, known, known[1:]))


_COUNTER = re.compile(r"\w+_(total|count|sum|bucket)(\{.*\})?")
_MIN_RISES = 10
_RISING_SHARE = 0.05
_SHORTEST_WINDOW_S = 5.0


def rate_of(values: Values, times_s: Sequence[float]) -> Values:
    """Return the rate of a counter per second, over the last 5 s, or over twice the usual time between its changes if
    that is longer. A counter that falls was reset, and began at 0."""
    grown = array("d", [0.0])
    for before, after in pairwise(values):
        more = after - before if after >= before else after
        grown.append(grown[-1] + (more if math.isfinite(more) and math.isfinite(before) else 0.0))
    changes = sum(map(ne, grown, grown[1:]))
    span_s = times_s[-1] - times_s[0] if len(times_s) else 0.0
    window_s = max(_SHORTEST_WINDOW_S, 2 * span_s / changes) if changes else _SHORTEST_WINDOW_S
    found: Values = array("d")
    first = 0
    for at, time_s in enumerate(times_s):
        while times_s[first] < time_s - window_s:
            first += 1
        over_s = time_s - times_s[first]
        found.append((grown[at] - grown[first]) / over_s if over_s > 0 and math.isfinite(values[at]) else math.nan)
    return found


def _values(values: Iterator[float]) -> Values:
    return array("d", values)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _latency(total: EndpointStats, interval: Interval) -> float:
    found = total.quantile(0.95)
    return _or_nan(found if found is not None else interval.oldest_s or None)


def _p95_of_windows(totals: Sequence[EndpointStats], last: Sequence[Interval], spans: Sequence[float]) -> Values:
    usual_s = sorted(spans)[len(spans) // 2] if spans else 1.0
    steps = max(1, round(LATENCY_WINDOW_S / usual_s))
    return _values(
        _latency(total_of(totals[max(0, end - steps) : end]), last[end - 1]) for end in range(1, len(totals) + 1)
    )


def _endpoints(steps: Sequence[Sequence[Interval]], spans: Sequence[float]) -> dict[EndpointKey, EndpointTimeline]:
    keys = dict.fromkeys(key for step in steps for interval in step for key in interval.endpoints)
    found = {}
    for key in sorted(keys):
        merged = [total_of(interval.endpoints[key] for interval in step if key in interval.endpoints) for step in steps]
        rated = list(zip(merged, spans, strict=True))
        found[key] = EndpointTimeline(
            requests=_values(stats.requests / span for stats, span in rated),
            mean_s=_values(_or_nan(stats.duration.mean_s) for stats in merged),
            p95_s=_values(_or_nan(stats.quantile(0.95)) for stats in merged),
            counts=_values(float(stats.requests) for stats in merged),
            failed=_values(float(stats.failures) for stats in merged),
        )
    return found


def _not_started(steps: Sequence[Sequence[Interval]], reason: str) -> Values:
    """Return the share of the planned iterations of each step that did not start for that reason; NaN if there are
    none."""
    found: Values = array("d")
    before, epoch = 0, None
    for step in steps:
        count = 0
        planned = 0.0
        for interval in step:
            now = sum(number for (_, each), number in interval.dropped.items() if each == reason)
            count += now - (before if interval.epoch == epoch else 0)
            before, epoch = now, interval.epoch
            planned += sum(interval.rates_target.values()) * interval.interval_s
        found.append(min(1.0, count / planned) if planned > 0 else math.nan)
    return found


def _saturated(loaded: Sequence[Interval]) -> dict[str, float]:
    found: dict[str, float] = {}
    for interval in loaded:
        for name, worker in interval.workers.items():
            if worker.saturated:
                found.setdefault(name, interval.elapsed_s)
    return found


def _generator(last: Sequence[Interval]) -> Iterator[tuple[MetricKey, Values]]:
    """Yield the series of the worst worker of each step."""
    measures: tuple[tuple[str, str, Callable[[Interval], float]], ...] = (
        (
            "CPU",
            "ratio",
            lambda interval: max((worker.cpu_ratio for worker in interval.workers.values()), default=math.nan),
        ),
        (
            "loop lag",
            "seconds",
            lambda interval: max((worker.loop_lag_s for worker in interval.workers.values()), default=math.nan),
        ),
    )
    for name, unit, of in measures:
        yield MetricKey(GENERATOR, GENERATOR, name, unit), _values(of(interval) for interval in last)

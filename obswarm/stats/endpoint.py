"""Statistics of one endpoint (method and name); no I/O, no clock."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, fsum, log2

from obswarm.defaults import MAX_DURATION_S
from obswarm.stats.field_functions import copy_function, empty_function, merge_function, subtract_function
from obswarm.stats.fields import (
    DURATIONS,
    EXEMPLARS,
    Exemplar,
    Extreme,
    Field,
    Number,
    OptionalDurations,
    Phases,
    Requests,
    ResultCounts,
    StatusCounts,
)
from obswarm.stats.histogram import (
    BUCKETS_PER_DOUBLING,
    LONGEST_S,
    SHORTEST_S,
    Histogram,
    bucket_index,
    upper_bound,
)
from obswarm.stats.keys import TOTAL, EndpointKey
from obswarm.stats.timings import TimingStats

FIELDS = (
    Field("duration", DURATIONS),
    Field("min_s", Extreme(min)),
    Field("max_s", Extreme(max)),
    Field("response_bytes", Number()),
    Field("successes", StatusCounts()),
    Field("failures_by", StatusCounts()),
    Field("timings", Phases()),
    Field("untimed", Requests()),
    Field("late", ResultCounts()),
    Field("newest_exemplars", EXEMPLARS, is_stored=False),
    Field("intended_duration", OptionalDurations()),
)
"""The fields of EndpointStats. A new one is an entry at the end of this list and an annotation in the class: merging,
workers, journal, store and clients need no other change.

The order is that of the store's rows: never change it.
"""

_empty_fields = empty_function(FIELDS)
_merge_fields = merge_function(FIELDS)
_subtract_fields = subtract_function(FIELDS)
_copy_fields = copy_function(FIELDS)


class EndpointStats:
    """Counts, sizes and durations of one endpoint: an accumulator that can be merged and subtracted.

    `successes` and `failures_by` count requests by status class; every request is in exactly one of them. `untimed`
    counts requests of unknown duration, which no statistics of durations include. `late` counts requests that finished
    after the end of the load, by (failed, status class): all statistics except rates include them. `timings` is None as
    long as no client reports any. `intended_duration` has the response times of requests with an intended start,
    measured from it; None without any.
    """

    __slots__ = ("key", *(field.name for field in FIELDS))

    key: EndpointKey
    duration: Histogram
    min_s: float | None
    max_s: float | None
    response_bytes: int
    successes: dict[str, int]
    failures_by: dict[str, int]
    timings: TimingStats | None
    untimed: int
    late: dict[tuple[bool, str], int]
    newest_exemplars: dict[int, Exemplar] | None
    intended_duration: Histogram | None

    def __init__(self, key: EndpointKey) -> None:
        self.key = key
        _empty_fields(self)

    def add_exemplar(self, exemplar: Exemplar) -> None:
        """Add a traced request, the newest one of its range of durations (half a doubling wide)."""
        self.newest_exemplars = EXEMPLARS.add(self.newest_exemplars, exemplar)

    def exemplars(self) -> tuple[Exemplar, ...]:
        """Return the newest traced request of each range of durations, the shortest first."""
        return tuple(sorted((self.newest_exemplars or {}).values(), key=lambda each: each.seconds))

    def record(self, duration_s: float | None, response_bytes: int, status: str, failed: bool) -> None:
        """Count one request; `duration_s` is None if its duration is unknown. `status` is a class of `status_class`.
        Raises ValueError as Histogram.record does, and counts nothing then."""
        if duration_s is None:
            self.untimed += 1
        else:
            duration = self.duration
            if SHORTEST_S < duration_s < LONGEST_S:
                # Histogram.record, inlined: this runs for every request.
                index = ceil(log2(duration_s) * BUCKETS_PER_DOUBLING)
                try:
                    duration.buckets[index] += 1
                except KeyError:
                    duration.buckets[index] = 1
                duration.count += 1
                duration.sum_ns += int(duration_s * 1e9 + 0.5)
            else:
                duration.record(duration_s)
                duration_s = max(duration_s, 0.0)
            extreme = self.max_s
            if extreme is None or duration_s > extreme:
                self.max_s = duration_s
            extreme = self.min_s
            if extreme is None or duration_s < extreme:
                self.min_s = duration_s
        self.response_bytes += response_bytes
        if failed:
            self.failures_by[status] = self.failures_by.get(status, 0) + 1
        else:
            self.successes[status] = self.successes.get(status, 0) + 1

    def record_responses(
        self, ascending_s: Sequence[float], total_s: float, response_bytes: int, statuses: Mapping[str, int]
    ) -> None:
        """Count successful requests, as `record` does: their durations in ascending order and the sum of those, the
        size of all responses, and the numbers of requests by status class. Durations are 0 or more, and at most
        `defaults.MAX_DURATION_S`.

        Many at once cost a fraction of each by itself, since nearly all is done by functions of C.
        """
        shortest_s, longest_s = ascending_s[0], ascending_s[-1]
        self.duration.record_all(ascending_s, total_s)
        if self.max_s is None or longest_s > self.max_s:
            self.max_s = longest_s
        if self.min_s is None or shortest_s < self.min_s:
            self.min_s = shortest_s
        self.response_bytes += response_bytes
        successes = self.successes
        for status, number in statuses.items():
            successes[status] = successes.get(status, 0) + number

    def record_intended(self, duration_s: float) -> None:
        """Count the response time of a request, measured from its intended start, in addition to `record`."""
        if self.intended_duration is None:
            self.intended_duration = Histogram()
        self.intended_duration.record(min(duration_s, MAX_DURATION_S))

    def record_all_intended(self, durations_s: Sequence[float]) -> None:
        """Count many response times, as `record_intended` does."""
        if self.intended_duration is None:
            self.intended_duration = Histogram()
        ascending_s = sorted(durations_s)
        if ascending_s[-1] > MAX_DURATION_S:
            ascending_s = [min(each, MAX_DURATION_S) for each in ascending_s]
        self.intended_duration.record_all(ascending_s, fsum(ascending_s))

    def merge(self, other: "EndpointStats") -> None:
        """Add the counts of another one; the key stays."""
        _merge_fields(self, other)

    def subtract(self, other: "EndpointStats") -> None:
        """Subtract what was merged before. Raises ValueError if that is impossible.

        Counts and sums are exact afterwards. Exemplars stay. `min_s` and `max_s` become the bounds of the outermost
        remaining buckets, within 2.2 %, and never outside the former extremes.
        """
        _subtract_fields(self, other)
        if not self.duration.count or self.min_s is None or self.max_s is None:
            self.min_s = self.max_s = None
            return
        lowest, highest = min(self.duration.buckets), max(self.duration.buckets)
        if bucket_index(self.min_s) != lowest:
            self.min_s = upper_bound(lowest - 1)
        if bucket_index(self.max_s) != highest:
            self.max_s = upper_bound(highest)

    def copy(self) -> "EndpointStats":
        copied = EndpointStats.__new__(EndpointStats)
        copied.key = self.key
        _copy_fields(copied, self)
        return copied

    @property
    def failures(self) -> int:
        """Requests that failed."""
        return sum(self.failures_by.values())

    @property
    def requests(self) -> int:
        return self.duration.count + self.untimed

    def count_all_as_late(self) -> None:
        """Count all requests as finished after the end of the load."""
        self.late = {(False, status): number for status, number in self.successes.items()}
        self.late |= {(True, status): number for status, number in self.failures_by.items()}

    @property
    def late_requests(self) -> int:
        """Requests that finished after the end of the load."""
        return sum(self.late.values())

    def rate(self, load_s: float, status: str | None = None) -> float:
        """Return the requests (of a status class) that finished before the end of the load, per second of its `load_s`
        seconds; 0 without any."""
        number = self.requests if status is None else self.successes.get(status, 0) + self.failures_by.get(status, 0)
        late = sum(count for (_, kind), count in self.late.items() if status in (None, kind))
        return _per_second(number - late, load_s)

    def failure_rate(self, load_s: float) -> float:
        """Return the rate of failed requests, as `rate` does."""
        return _per_second(self.failures - sum(number for (failed, _), number in self.late.items() if failed), load_s)

    @property
    def error_ratio(self) -> float:
        """Failures as a share of requests, 0 when there are none."""
        return self.failures / self.requests if self.requests else 0.0

    def quantile(self, q: float) -> float | None:
        """Return Histogram.quantile, limited to the measured extremes."""
        values = self.quantiles((q,))
        return values[0] if values else None

    def quantiles(self, qs: tuple[float, ...]) -> tuple[float, ...]:
        low, high = self.min_s, self.max_s
        if low is None or high is None:
            return ()
        return tuple(min(max(value, low), high) for value in self.duration.quantiles(qs))


def _per_second(number: int, seconds: float) -> float:
    return max(0, number) / seconds if seconds > 0 else 0.0


def without_scenarios(endpoints: Mapping[EndpointKey, EndpointStats]) -> Mapping[EndpointKey, EndpointStats]:
    """Return endpoints whose scenarios are summed up; the same object if there are no scenarios."""
    if not any(key.scenario for key in endpoints):
        return endpoints
    sums: dict[EndpointKey, EndpointStats] = {}
    for key, stats in endpoints.items():
        alike = key._replace(scenario="")
        sums.setdefault(alike, EndpointStats(alike)).merge(stats)
    return sums


def scenario_totals(endpoints: Iterable[EndpointStats]) -> dict[str, EndpointStats]:
    """Return the sums by scenario, in the order of their names; without requests outside of scenarios."""
    by_name: dict[str, list[EndpointStats]] = {}
    for stats in endpoints:
        if stats.key.scenario:
            by_name.setdefault(stats.key.scenario, []).append(stats)
    return {name: total_of(every) for name, every in sorted(by_name.items())}


def total_of(every: Iterable[EndpointStats]) -> EndpointStats:
    """Return the sum of all, a new object."""
    total = EndpointStats(TOTAL)
    for stats in every:
        total.merge(stats)
    return total

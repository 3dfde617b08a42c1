"""Select the endpoints and the status of an operand's labels from a snapshot. Pure functions."""

import re
from collections.abc import Mapping

from obswarm import defaults
from obswarm.guards.conditions import EngineOperand
from obswarm.guards.latency import AtLeast, Durations, mean_of_ages, quantile_of_ages
from obswarm.record import Snapshot
from obswarm.stats import TOTAL, EndpointKey, EndpointStats, InFlight, total_in_flight

STATUS = "status"
"""The label that selects by the outcome of a request; all others select endpoints."""
_PERCENTILE = r"p(?!0+(?:\.0+)?$)(\d{1,2}(?:\.\d+)?)"
PERCENTILE = re.compile(_PERCENTILE)
INTENDED_PERCENTILE = re.compile(f"intended_{_PERCENTILE}")
_LONG_INTERVAL_S = 1.5 * defaults.SNAPSHOT_INTERVAL_S


def per_second(count: float, snapshot: Snapshot) -> float:
    """Return a count of the last interval; the count per second if the interval is much longer than one second.

    Such an interval has the requests of the time in which a master was restarted or blocked.
    """
    return count / snapshot.interval_s if snapshot.interval_s > _LONG_INTERVAL_S else count


class Selection:
    """The statistics from which an operand's value is computed. Durations and ages are in seconds."""

    def __init__(self, operand: EngineOperand, snapshot: Snapshot) -> None:
        self.operand = operand
        self.snapshot = snapshot
        self.endpoint_labels = dict(operand.labels)
        self.status = self.endpoint_labels.pop(STATUS, None)
        """The selected status class, None for all."""

    def selects(self, key: EndpointKey) -> bool:
        labels = self.endpoint_labels
        return all(labels.get(label, text) == text for label, text in zip(EndpointKey._fields, key, strict=True))

    @property
    def matches_any(self) -> bool:
        """Whether a selected endpoint has had a request, or has one in flight."""
        return any(self.selects(key) for keys in (self.snapshot.endpoints, self.snapshot.in_flight) for key in keys)

    @property
    def interval(self) -> EndpointStats:
        """Requests that finished in the last interval."""
        return self._merged(self.snapshot.interval) if self.operand.labels else self.snapshot.interval_total

    @property
    def run(self) -> EndpointStats:
        """Requests that finished since the last reset of statistics."""
        return self._merged(self.snapshot.endpoints) if self.operand.labels else self.snapshot.total

    @property
    def in_flight(self) -> InFlight:
        return total_in_flight(each for key, each in self.snapshot.in_flight.items() if self.selects(key))

    def _merged(self, endpoints: Mapping[EndpointKey, EndpointStats]) -> EndpointStats:
        merged = EndpointStats(TOTAL)
        for key, stats in endpoints.items():
            if self.selects(key):
                merged.merge(stats)
        return merged

    def requests(self, stats: EndpointStats) -> int:
        """The number of requests with the selected status."""
        if self.status is None:
            return stats.requests
        return stats.successes.get(self.status, 0) + stats.failures_by.get(self.status, 0)

    def failures(self, stats: EndpointStats) -> float:
        """The number of failed requests with the selected status."""
        return float(stats.failures if self.status is None else stats.failures_by.get(self.status, 0))

    def error_ratio(self, stats: EndpointStats) -> float | None:
        """Failed requests, or those with the selected status, as a share of all; None without requests."""
        if not stats.requests:
            return None
        return (stats.failures if self.status is None else self.requests(stats)) / stats.requests

    def per_second(self, count: float) -> float:
        """A count of the interval; see `per_second`."""
        return per_second(count, self.snapshot)

    @property
    def rps(self) -> float | None:
        interval_s = self.snapshot.interval_s
        return self.requests(self.interval) / interval_s if interval_s > 0 else None

    @property
    def rps_of_run(self) -> float | None:
        return self.run.rate(self.snapshot.load_s, self.status) if self.snapshot.load_s > 0 else None

    @property
    def mean_s(self) -> float | None:
        """The mean duration, with requests in flight taken into account; AtLeast if only their ages are known."""
        stats, in_flight = self.interval, self.in_flight
        if not in_flight.ages.count:
            return stats.duration.mean_s
        if not stats.duration.count:
            return mean_of_ages(in_flight.ages, self._resting_users)
        return _or_more(stats.duration.mean_s, AtLeast(self._estimated(stats, in_flight).mean_s or 0.0))

    @property
    def percentile_s(self) -> float | None:
        """The operand's percentile of durations, with requests in flight taken into account as in `mean_s`."""
        stats, in_flight, q = self.interval, self.in_flight, self._quantile
        if not in_flight.ages.count:
            return stats.quantile(q)
        if not stats.duration.count:
            return quantile_of_ages(in_flight.ages, self._resting_users, q)
        return _or_more(stats.quantile(q), self._estimated(stats, in_flight).quantile(q))

    @property
    def percentile_of_run_s(self) -> float | None:
        return self.run.quantile(self._quantile)

    @property
    def intended_percentile_s(self) -> float | None:
        """The same of durations from the intended start; the age of a request in flight is a lower bound of that, too.
        None without intended starts."""
        finished, in_flight, q = self.interval.intended_duration, self.in_flight, self._quantile
        if self.run.intended_duration is None:
            return None
        if not in_flight.ages.count:
            return None if finished is None else finished.quantile(q)
        if finished is None or not finished.count:
            return quantile_of_ages(in_flight.ages, self._resting_users, q)
        estimated = Durations(finished, in_flight.ages, self.snapshot.interval_s).quantile(q)
        return _or_more(finished.quantile(q), estimated)

    @property
    def intended_percentile_of_run_s(self) -> float | None:
        intended = self.run.intended_duration
        return None if intended is None else intended.quantile(self._quantile)

    @property
    def max_s(self) -> float | None:
        """The longest duration or the oldest age of a request in flight."""
        oldest_s = self.in_flight.oldest_without_response_s
        return _or_more(self.interval.max_s, None if oldest_s is None else AtLeast(oldest_s))

    @property
    def _quantile(self) -> float:
        metric = self.operand.metric
        found = PERCENTILE.fullmatch(metric) or INTENDED_PERCENTILE.fullmatch(metric)
        assert found is not None, self.operand
        return float(found[1]) / 100

    def _estimated(self, stats: EndpointStats, in_flight: InFlight) -> Durations:
        return Durations(stats.duration, in_flight.ages, self.snapshot.interval_s)

    @property
    def _resting_users(self) -> float:
        """The number of users without a request in flight, times the share of selected requests in the run so far."""
        total = sum(stats.duration.count for stats in self.snapshot.endpoints.values())
        if not total:
            return 0.0
        waiting = total_in_flight(self.snapshot.in_flight.values()).ages.count
        return max(0, self.snapshot.user_count - waiting) * self.run.duration.count / total


def _or_more(finished: float | None, estimated: float | None) -> float | None:
    """Return the larger value: requests in flight can only increase the value of the finished ones."""
    if finished is None or estimated is None:
        return estimated if finished is None else finished
    return max(finished, float(estimated))

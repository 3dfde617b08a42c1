"""Steps of a report's time axis: one interval each, or several for long runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from obswarm.record import Interval, RunState
from obswarm.stats import EndpointStats, total_of


@dataclass(frozen=True, slots=True)
class Step:
    """Consecutive intervals of a run: `span_s` seconds, of which `load_s` had load.

    `present` is the interval whose users and workers are shown: the final snapshot of a run, taken after its end, has
    none. A step after missing ones includes their requests, and its rates are over all of them.
    """

    intervals: Sequence[Interval]
    total: EndpointStats
    span_s: float
    load_s: float
    present: Interval
    number: int
    """Index of the step in the run, from 0. Indexes without snapshots (blocked event loop) are missing."""

    @property
    def time_s(self) -> float:
        """Wall time of the last snapshot; at the end of a run, slightly after the end."""
        return self.intervals[-1].time_s

    @property
    def elapsed_s(self) -> float:
        """Seconds from the start of the run to the end of the step."""
        return self.intervals[-1].elapsed_s

    @property
    def users(self) -> float:
        return float(sum(self.present.users.values()))

    @property
    def counted(self) -> list[Interval]:
        """Intervals that may end with requests in flight; excludes the stopped ones if there was load until then."""
        return [interval for interval in self.intervals if interval.state != RunState.STOPPED or not self.has_load]

    @property
    def has_load(self) -> bool:
        """Whether most of the step had load; otherwise it was spent waiting for the last requests."""
        return _has_load(self.load_s, self.span_s)

    @property
    def rate_s(self) -> float:
        """Divisor of rates, in seconds."""
        return self.load_s if self.has_load else self.span_s

    @property
    def requests_rate(self) -> float:
        """Requests per second."""
        return self.total.rate(self.load_s) if self.has_load else self.total.requests / self.span_s

    @property
    def successes_rate(self) -> float:
        """Successful requests per second."""
        if self.has_load:
            return self.requests_rate - self.total.failure_rate(self.load_s)
        return (self.total.requests - self.total.failures) / self.span_s


def steps_of(seconds: Sequence[Interval], length: int) -> list[Step]:
    """Group intervals into steps of `length` seconds. Snapshots in the middle of a second belong to the nearest one. A
    remainder of less than half a step belongs to the last step."""
    groups = [list(group) for _, group in groupby(seconds, lambda interval: _number(interval, length))]
    if len(groups) > 1 and _span_s(groups[-1]) < length / 2:
        groups[-2:] = [[*groups[-2], *groups[-1]]]
    loads = _loads_s(seconds)
    steps: list[Step] = []
    at = 0
    for group in groups:
        span_s, load_s = _span_s(group), sum(loads[at : at + len(group)])
        at += len(group)
        with_users = [interval for interval in group if interval.state != RunState.STOPPED]
        before = steps[-1].present if steps and _has_load(load_s, span_s) else group[-1]
        steps.append(
            Step(
                group,
                total_of(interval.total() for interval in group),
                span_s,
                load_s,
                with_users[-1] if with_users else before,
                _number(group[0], length),
            )
        )
    return steps


def _has_load(load_s: float, span_s: float) -> bool:
    return load_s * 2 > span_s


def _number(interval: Interval, length: int) -> int:
    return max(0, round(interval.elapsed_s) - 1) // length


def length_of(seconds: Sequence[Interval], max_steps: int) -> int:
    """Return the length of a step in seconds, so that there are at most `max_steps` steps."""
    return max(1, -(-round(seconds[-1].elapsed_s) // max_steps)) if seconds else 1


def _span_s(seconds: Sequence[Interval]) -> float:
    return sum(interval.interval_s for interval in seconds)


def _loads_s(seconds: Sequence[Interval]) -> list[float]:
    """Return how many seconds of each interval had load; all of them if unknown."""
    found = []
    before: Interval | None = None
    for interval in seconds:
        if interval.load_s is None:
            found.append(interval.interval_s)
        else:
            until = before.load_s if before is not None and before.epoch == interval.epoch else None
            found.append(min(interval.interval_s, max(0.0, interval.load_s - (until or 0.0))))
        before = interval
    return found

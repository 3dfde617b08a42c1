"""The steps of a page's time axis: a run's seconds, several in one where there are many, and what stands in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from obswarm.stats import EndpointStats, total_of
from obswarm.store import Interval


@dataclass(frozen=True, slots=True)
class Step:
    """Some seconds of a run, `load_s` of whose `span_s` had load. `present` is that one of them, or of those before,
    that says who was there: a run's last snapshot is of the moment after its end, in which nobody is. A step after some
    that are not there has what finished in those, too, and its rates are over all of them."""

    seconds: Sequence[Interval]
    total: EndpointStats
    span_s: float
    load_s: float
    present: Interval
    number: int
    """Which of the run's steps it is, from 0 on. There is none where no snapshot came: the program was held up."""

    @property
    def time_s(self) -> float:
        """Wall time of its last snapshot; at the end of a run, some time after the end."""
        return self.seconds[-1].time_s

    @property
    def elapsed_s(self) -> float:
        """Seconds of the run until its end."""
        return self.seconds[-1].elapsed_s

    @property
    def users(self) -> float:
        return float(sum(self.present.users.values()))

    @property
    def counted(self) -> list[Interval]:
        """Those at whose end requests could be under way; at the end of a run, none of them if there was load until
        then."""
        return [second for second in self.seconds if second.state != "stopped" or not self.has_load]

    @property
    def has_load(self) -> bool:
        """Whether that is what most of it was: else it is the wait for the last requests."""
        return _has_load(self.load_s, self.span_s)

    @property
    def rate_s(self) -> float:
        """The time that its rates are over."""
        return self.load_s if self.has_load else self.span_s

    @property
    def requests_rate(self) -> float:
        """Requests per second."""
        return self.total.rate(self.load_s) if self.has_load else self.total.requests / self.span_s

    @property
    def successes_rate(self) -> float:
        """Of those, the successful ones."""
        if self.has_load:
            return self.requests_rate - self.total.failure_rate(self.load_s)
        return (self.total.requests - self.total.failures) / self.span_s


def steps_of(seconds: Sequence[Interval], length: int) -> list[Step]:
    """That many seconds of the run in each; whatever came in the middle of a second is in the nearest one. What is left
    at the end, and is less than half of that, is in the last one."""
    groups = [list(group) for _, group in groupby(seconds, lambda second: _number(second, length))]
    if len(groups) > 1 and _span_s(groups[-1]) < length / 2:
        groups[-2:] = [[*groups[-2], *groups[-1]]]
    loads = _loads_s(seconds)
    steps: list[Step] = []
    at = 0
    for group in groups:
        span_s, load_s = _span_s(group), sum(loads[at : at + len(group)])
        at += len(group)
        there = [second for second in group if second.state != "stopped"]
        before = steps[-1].present if steps and _has_load(load_s, span_s) else group[-1]
        steps.append(
            Step(
                group,
                total_of(second.total() for second in group),
                span_s,
                load_s,
                there[-1] if there else before,
                _number(group[0], length),
            )
        )
    return steps


def _has_load(load_s: float, span_s: float) -> bool:
    return load_s * 2 > span_s


def _number(second: Interval, length: int) -> int:
    return max(0, round(second.elapsed_s) - 1) // length


def length_of(seconds: Sequence[Interval], most: int) -> int:
    """How many seconds have to be in a step so that there are no more than that many steps."""
    return max(1, -(-round(seconds[-1].elapsed_s) // most)) if seconds else 1


def _span_s(seconds: Sequence[Interval]) -> float:
    return sum(second.interval_s for second in seconds)


def _loads_s(seconds: Sequence[Interval]) -> list[float]:
    """How much of each had load; all of it where that is not known."""
    found = []
    before: Interval | None = None
    for second in seconds:
        if second.load_s is None:
            found.append(second.interval_s)
        else:
            until = before.load_s if before is not None and before.epoch == second.epoch else None
            found.append(min(second.interval_s, max(0.0, second.load_s - (until or 0.0))))
        before = second
    return found

"""The steps of a page's time axis: a run's seconds, several in one where there are many, and what stands in them."""

from collections.abc import Sequence
from dataclasses import dataclass

from obswarm.stats import EndpointStats, total_of
from obswarm.store import Second


@dataclass(frozen=True, slots=True)
class Step:
    """Some seconds of a run, `load_s` of whose `span_s` had load. `present` is that one of them, or of those before,
    that says who was there: a run's last snapshot is of the moment after its end, in which nobody is."""

    seconds: Sequence[Second]
    total: EndpointStats
    span_s: float
    load_s: float
    present: Second

    @property
    def time_s(self) -> float:
        return self.seconds[-1].time_s

    @property
    def users(self) -> float:
        return float(sum(self.present.users.values()))

    @property
    def counted(self) -> list[Second]:
        """Those at whose end requests could be under way; at the end of a run, none of them if there was load until
        then."""
        return [second for second in self.seconds if second.state != "stopped" or not self.has_load]

    @property
    def has_load(self) -> bool:
        """Whether that is what most of it was: else it is the wait for the last requests."""
        return self.load_s * 2 > self.span_s

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


def steps_of(seconds: Sequence[Second], length: int) -> list[Step]:
    """That many seconds in each. What is left at the end, and is less than half of that, is in the last one."""
    groups = [seconds[begin : begin + length] for begin in range(0, len(seconds), length)]
    if len(groups) > 1 and _span_s(groups[-1]) < length / 2:
        groups[-2:] = [[*groups[-2], *groups[-1]]]
    loads = _loads_s(seconds)
    steps: list[Step] = []
    at = 0
    for group in groups:
        load_s = sum(loads[at : at + len(group)])
        at += len(group)
        there = [second for second in group if second.state != "stopped"]
        before = steps[-1].present if steps and load_s * 2 > _span_s(group) else group[-1]
        steps.append(
            Step(
                group,
                total_of(second.total() for second in group),
                _span_s(group),
                load_s,
                there[-1] if there else before,
            )
        )
    return steps


def _span_s(seconds: Sequence[Second]) -> float:
    return sum(second.interval_s for second in seconds)


def _loads_s(seconds: Sequence[Second]) -> list[float]:
    """How much of each had load; all of it where that is not known."""
    found = []
    before: Second | None = None
    for second in seconds:
        if second.load_s is None:
            found.append(second.interval_s)
        else:
            until = before.load_s if before is not None and before.epoch == second.epoch else None
            found.append(min(second.interval_s, max(0.0, second.load_s - (until or 0.0))))
        before = second
    return found

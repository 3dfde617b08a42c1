"""Requests that are under way, and what was cut off before it ended: of each endpoint how many, and how old."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from obswarm.killed import put_off
from obswarm.sanitize import clean_text
from obswarm.stats.histogram import Histogram, middle
from obswarm.stats.keys import OTHER, TOTAL, EndpointKey


class UnderWay(NamedTuple):
    """One request from the moment at which a client begins with it until it is counted.

    `started_s` is of the monotonic clock. `answered`: the head of a streamed answer has come, so its duration is known,
    and only its body is still being read.
    """

    method: str
    name: str
    started_s: float
    answered: bool = False


UnderWayFields = tuple[str, str, float, bool]
"""UnderWay, or a plain tuple of the same: making one of those costs less."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """The requests of an endpoint that are under way: their number, the age of the oldest in seconds, and the ages of
    those that have not been answered."""

    count: int
    oldest_s: float
    ages: Histogram = field(default_factory=Histogram)

    @property
    def oldest_unanswered_s(self) -> float | None:
        """Age of the oldest that has not been answered, at most 1.1 % off; None when there is none."""
        return min(self.oldest_s, middle(max(self.ages.buckets))) if self.ages.buckets else None

    def merged(self, other: "InFlight") -> "InFlight":
        """Both together, made anew."""
        ages = self.ages.copy()
        ages.merge(other.ages)
        return InFlight(self.count + other.count, max(self.oldest_s, other.oldest_s), ages)


NONE_IN_FLIGHT = InFlight(0, 0.0)


def total_in_flight(every: Iterable[InFlight]) -> InFlight:
    """All of them in one."""
    count, oldest_s, ages = 0, 0.0, Histogram()
    for each in every:
        count += each.count
        oldest_s = max(oldest_s, each.oldest_s)
        ages.merge(each.ages)
    return InFlight(count, oldest_s, ages)


class InFlightPeaks:
    """The most that was under way at the end of any second of a run, by endpoint and altogether (TOTAL): the largest
    number, and the age of the oldest, which may be of another second. No ages of the others."""

    def __init__(self) -> None:
        self.by_endpoint: dict[EndpointKey, InFlight] = {}

    def note(self, in_flight: Mapping[EndpointKey, InFlight]) -> None:
        """Take in a second's."""
        if not in_flight:
            return
        for key, each in (*in_flight.items(), (TOTAL, total_in_flight(in_flight.values()))):
            known = self.by_endpoint.get(key, NONE_IN_FLIGHT)
            self.by_endpoint[key] = InFlight(max(known.count, each.count), max(known.oldest_s, each.oldest_s))


def count_in_flight(requests: Iterable[UnderWayFields], now: float, max_endpoints: int) -> dict[EndpointKey, InFlight]:
    """What is under way at a moment of the monotonic clock, by endpoint."""
    started: dict[tuple[str, str], list[tuple[float, bool]]] = {}
    for method, name, started_s, answered in requests:
        try:
            started.setdefault((method, name), []).append((started_s, answered))
        except BaseException as error:
            # Nothing that can be looked up, so no text: whatever it is, it is counted under what it looks like.
            put_off(error)
            started.setdefault((clean_text(method), clean_text(name)), []).append((started_s, answered))
    counted: dict[EndpointKey, InFlight] = {}
    for (method, name), each in started.items():
        ages = Histogram()
        for started_s, answered in each:
            if not answered:
                ages.record(now - started_s)
        oldest_s = max(0.0, now - min(started_s for started_s, _ in each))
        key = _within(counted, EndpointKey(clean_text(method), clean_text(name)), max_endpoints)
        found = counted.get(key, NONE_IN_FLIGHT)
        counted[key] = found.merged(InFlight(len(each), oldest_s, ages))
    return counted


def _within(known: Mapping[EndpointKey, InFlight], key: EndpointKey, max_endpoints: int) -> EndpointKey:
    if key in known or len(known) < max_endpoints - (OTHER not in known):
        return key
    return OTHER


REQUEST, TASK, ON_STOP = "request", "task", "on_stop"
CUT_OFF_KINDS = (REQUEST, TASK, ON_STOP)


class CutOffKey(NamedTuple):
    """What was ended by force before it had ended by itself: `kind` is one of CUT_OFF_KINDS; of a request, `name`
    is the endpoint's, else that of the user class and what it ran."""

    kind: str
    method: str
    name: str

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.method} {self.name}".strip()


OTHER_CUT_OFF = "(other)"
"""The name under which those beyond the limit are counted."""


@dataclass(slots=True)
class CutOff:
    """How many of them, and how long the oldest had lasted, in seconds."""

    count: int
    oldest_s: float

    def merge(self, other: "CutOff") -> None:
        self.count += other.count
        self.oldest_s = max(self.oldest_s, other.oldest_s)

    def copy(self) -> "CutOff":
        return CutOff(self.count, self.oldest_s)

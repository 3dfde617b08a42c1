"""Requests in flight by endpoint, with their ages, and requests and tasks that were interrupted."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from obswarm.killed import put_off
from obswarm.sanitize import clean_text
from obswarm.stats.histogram import Histogram, middle
from obswarm.stats.keys import OTHER, TOTAL, EndpointKey


class PendingRequest(NamedTuple):
    """One request in flight: a client has started and not yet recorded it.

    `started_s` is of the monotonic clock. `has_response`: the head of a streamed response has been received, so its
    duration is known, and its body is being read.
    """

    method: str
    name: str
    started_s: float
    has_response: bool = False
    scenario: str = ""


PendingFields = tuple[str, str, float, bool] | tuple[str, str, float, bool, str]
"""PendingRequest, or a plain tuple with the same values, which is created faster."""


class PendingOfScenarios(dict[object, PendingFields]):
    """Requests in flight of a run with scenarios: each is noted with the one that `scenario` returns."""

    def __init__(self, scenario: Callable[[], str]) -> None:
        super().__init__()
        self._scenario = scenario

    def __setitem__(self, request: object, fields: PendingFields) -> None:
        super().__setitem__(request, (*fields[:4], self._scenario()))


@dataclass(frozen=True, slots=True)
class InFlight:
    """The requests in flight of an endpoint: their number, the age of the oldest in seconds, and the ages of those
    without a response."""

    count: int
    oldest_s: float
    ages: Histogram = field(default_factory=Histogram)

    @property
    def oldest_without_response_s(self) -> float | None:
        """Age in seconds of the oldest request without a response, within 1.1 %; None if there is none."""
        return min(self.oldest_s, middle(max(self.ages.buckets))) if self.ages.buckets else None

    def merged(self, other: "InFlight") -> "InFlight":
        """Return the sum of both, a new object."""
        ages = self.ages.copy()
        ages.merge(other.ages)
        return InFlight(self.count + other.count, max(self.oldest_s, other.oldest_s), ages)


NONE_IN_FLIGHT = InFlight(0, 0.0)


def total_in_flight(every: Iterable[InFlight]) -> InFlight:
    """Return the sum of all."""
    count, oldest_s, ages = 0, 0.0, Histogram()
    for each in every:
        count += each.count
        oldest_s = max(oldest_s, each.oldest_s)
        ages.merge(each.ages)
    return InFlight(count, oldest_s, ages)


class InFlightPeaks:
    """Maxima of requests in flight at the ends of the intervals of a run, by endpoint and in total (TOTAL): the largest
    number, and the largest age, which may be of another interval. `ages` is empty."""

    def __init__(self) -> None:
        self.by_endpoint: dict[EndpointKey, InFlight] = {}

    def note(self, in_flight: Mapping[EndpointKey, InFlight]) -> None:
        """Add the requests in flight at the end of an interval."""
        if not in_flight:
            return
        for key, each in (*in_flight.items(), (TOTAL, total_in_flight(in_flight.values()))):
            known = self.by_endpoint.get(key, NONE_IN_FLIGHT)
            self.by_endpoint[key] = InFlight(max(known.count, each.count), max(known.oldest_s, each.oldest_s))


def count_in_flight(requests: Iterable[PendingFields], now: float, max_endpoints: int) -> dict[EndpointKey, InFlight]:
    """Return the requests in flight by endpoint; `now` is of the monotonic clock."""
    started: dict[tuple[str, str, str], list[tuple[float, bool]]] = {}
    for method, name, started_s, has_response, *more in requests:
        scenario = more[0] if more else ""
        try:
            started.setdefault((method, name, scenario), []).append((started_s, has_response))
        except BaseException as error:
            # Not hashable, so not a text: it counts under its text form.
            put_off(error)
            started.setdefault((clean_text(method), clean_text(name), scenario), []).append((started_s, has_response))
    counted: dict[EndpointKey, InFlight] = {}
    for (method, name, scenario), each in started.items():
        ages = Histogram()
        for started_s, has_response in each:
            if not has_response:
                ages.record(now - started_s)
        oldest_s = max(0.0, now - min(started_s for started_s, _ in each))
        key = _within(counted, EndpointKey(clean_text(method), clean_text(name), scenario), max_endpoints)
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
    """An interrupted request, task or on_stop: `kind` is one of CUT_OFF_KINDS; `name` is that of a request's endpoint,
    or of the user class and its task."""

    kind: str
    method: str
    name: str

    @property
    def label(self) -> str:
        """Method and name as one text for display."""
        return f"{self.method} {self.name}".strip()


OTHER_CUT_OFF = "(other)"
"""The name under which those beyond the limit are counted."""


@dataclass(slots=True)
class CutOff:
    """Number of interruptions, and the longest duration until then, in seconds."""

    count: int
    oldest_s: float

    def merge(self, other: "CutOff") -> None:
        self.count += other.count
        self.oldest_s = max(self.oldest_s, other.oldest_s)

    def copy(self) -> "CutOff":
        return CutOff(self.count, self.oldest_s)

"""Sources of the statistics in `environment.stats`, which also count requests that a load test logs itself."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from obswarm import clock
from obswarm.api.errors import ObswarmError
from obswarm.record import Snapshot
from obswarm.stats import (
    TOTAL,
    EndpointKey,
    EndpointStats,
    ErrorKey,
    ErrorStats,
    Recorder,
    StatsTable,
    total_of,
    without_scenarios,
)

_FRESH_S = 0.05
"""How long figures are cached if no request is counted meanwhile: a table of all endpoints reads them many times."""

_SECONDS_KEPT = 30
"""Number of seconds for which the requests per second of each endpoint are stored."""

_SECONDS_OF_ALL_KEPT = 86_400
"""As `_SECONDS_KEPT`, of all endpoints together."""

PerSecond = dict[int, int]
"""Numbers by second of wall time."""


@dataclass(slots=True)
class Figures:
    """Statistics at the wall time `time_s`, after `load_s` seconds of load."""

    endpoints: Mapping[EndpointKey, EndpointStats]
    errors: Mapping[ErrorKey, ErrorStats]
    load_s: float
    time_s: float
    since_s: float
    """Wall time of the start of the statistics."""
    all_of_them: EndpointStats | None = None
    interval: Mapping[EndpointKey, EndpointStats] = field(default_factory=dict)
    interval_total: EndpointStats | None = None
    interval_s: float = 0.0

    @staticmethod
    def of(snapshot: Snapshot) -> "Figures":
        return Figures(
            without_scenarios(snapshot.endpoints),
            snapshot.errors,
            snapshot.load_s,
            snapshot.time_s,
            snapshot.stats_since_s,
            snapshot.total,
            snapshot.interval,
            snapshot.interval_total,
            snapshot.interval_s,
        )

    def stats(self, key: EndpointKey) -> EndpointStats:
        """Return the statistics of an endpoint, or of all (TOTAL); empty ones without requests."""
        if key == TOTAL:
            if self.all_of_them is None:
                self.all_of_them = total_of(self.endpoints.values())
            return self.all_of_them
        return self.endpoints.get(key) or EndpointStats(key)

    def recent(self, key: EndpointKey) -> EndpointStats | None:
        """Return the statistics of the last interval, None without requests."""
        return self.interval_total if key == TOTAL else self.interval.get(key)


class StatsSource(Protocol):
    """Figures of a run, or of a process."""

    recorder: Recorder
    """Counts what is logged."""

    def figures(self) -> Figures: ...

    def per_second(self, key: EndpointKey) -> tuple[PerSecond, PerSecond]:
        """Return requests and failures by second."""

    def times(self, key: EndpointKey) -> tuple[float, float | None]:
        """Return the wall times of the first and the last request; without one, when the statistics began, and None."""

    def logged(self, key: EndpointKey, requests: int, failures: int) -> None:
        """Note that the load test has logged requests or failures itself."""

    def reset(self) -> None:
        """Set all figures to zero."""

    def reset_endpoint(self, key: EndpointKey) -> None:
        """Set the figures of an endpoint to zero. Raises ObswarmError where only all of them can be reset."""


class PendingSource:
    """Statistics of a recorder that have not been taken from it: in a worker, those since its last report; for
    statistics that a load test creates, all of them."""

    def __init__(self, recorder: Recorder | None = None) -> None:
        self.recorder = recorder or Recorder()
        self._is_own = recorder is None
        self._began_s = clock.wall()
        self._last_s: dict[EndpointKey, float] = {}
        self._per_second: dict[EndpointKey, tuple[PerSecond, PerSecond]] = {}

    def figures(self) -> Figures:
        table = self.recorder.current
        now = clock.wall()
        last_s = self._last_s.get(TOTAL, now)
        return Figures(without_scenarios(table.endpoints), table.errors, last_s - self._began_s, now, self._began_s)

    def per_second(self, key: EndpointKey) -> tuple[PerSecond, PerSecond]:
        requests, failures = self._per_second.get(key, ({}, {}))
        return dict(requests), dict(failures)

    def times(self, key: EndpointKey) -> tuple[float, float | None]:
        if not self.figures().stats(key).requests:
            return self._began_s, None
        return self._began_s, self._last_s.get(key, clock.wall())

    def logged(self, key: EndpointKey, requests: int, failures: int) -> None:
        now = clock.wall()
        for each in (key, TOTAL):
            if requests:
                self._last_s[each] = now
            for numbers, more in zip(self._per_second.setdefault(each, ({}, {})), (requests, failures), strict=True):
                if more:
                    numbers[int(now)] = numbers.get(int(now), 0) + more

    def reset(self) -> None:
        # Unreported statistics of a worker are reset by its master: each request is counted or reported as lost.
        if self._is_own:
            self.recorder.take()
            self._began_s = clock.wall()
            self._last_s.clear()
            self._per_second.clear()

    def reset_endpoint(self, key: EndpointKey) -> None:
        if self._is_own:
            self.recorder.current.endpoints.pop(key, None)
            self._last_s.pop(key, None)
            self._per_second.pop(key, None)


class RunSource:
    """The statistics of the run that this process drives; `reset` resets them."""

    def __init__(self, latest: Callable[[], Snapshot], recorder: Recorder, reset: Callable[[], None]) -> None:
        self.recorder = recorder
        self._latest = latest
        self._reset = reset
        self._figures: Figures | None = None
        self._read_s = 0.0
        self._seconds: deque[tuple[int, dict[EndpointKey, tuple[int, int]]]] = deque(maxlen=_SECONDS_KEPT)
        self._seconds_of_all: deque[tuple[int, dict[EndpointKey, tuple[int, int]]]] = deque(maxlen=_SECONDS_OF_ALL_KEPT)
        self._times: dict[EndpointKey, tuple[float, float]] = {}

    def figures(self) -> Figures:
        now = clock.monotonic()
        if self._figures is None or now - self._read_s > _FRESH_S or not self.recorder.is_empty:
            self._figures = Figures.of(self._latest())
            self._read_s = now
        return self._figures

    def note(self, snapshot: Snapshot) -> None:
        """Note the requests of an interval that has ended."""
        self._figures = None
        began_s = max(snapshot.stats_since_s, snapshot.time_s - snapshot.interval_s)
        numbers = {key: (stats.requests, stats.failures) for key, stats in without_scenarios(snapshot.interval).items()}
        total = snapshot.interval_total
        self._seconds.append((int(began_s), numbers))
        if total.requests:
            self._seconds_of_all.append((int(began_s), {TOTAL: (total.requests, total.failures)}))
        for key in (*numbers, *([TOTAL] if total.requests else [])):
            first_s, _ = self._times.get(key, (began_s, began_s))
            self._times[key] = (first_s, snapshot.time_s)

    def per_second(self, key: EndpointKey) -> tuple[PerSecond, PerSecond]:
        requests: PerSecond = {}
        failures: PerSecond = {}
        figures = self.figures()
        recent = figures.recent(key)
        now = [] if recent is None else [(int(figures.time_s), {key: (recent.requests, recent.failures)})]
        before = self._seconds_of_all if key == TOTAL else self._seconds
        for second, numbers in (*before, *now):
            for found, number in zip((requests, failures), numbers.get(key, (0, 0)), strict=True):
                if number:
                    found[second] = found.get(second, 0) + number
        return requests, failures

    def times(self, key: EndpointKey) -> tuple[float, float | None]:
        figures = self.figures()
        known = self._times.get(key)
        recent = figures.recent(key)
        if recent is not None and recent.requests:
            began_s = max(figures.since_s, figures.time_s - figures.interval_s)
            return known[0] if known is not None else began_s, figures.time_s
        return known if known is not None else (figures.since_s, None)

    def logged(self, key: EndpointKey, requests: int, failures: int) -> None:
        """The recorder's counts become part of the next interval."""

    def reset(self) -> None:
        self._reset()

    def forget(self) -> None:
        """The run's statistics were reset."""
        self._figures = None
        self._seconds.clear()
        self._seconds_of_all.clear()
        self._times.clear()

    def reset_endpoint(self, key: EndpointKey) -> None:
        raise ObswarmError(
            f"The statistics of {key.label} alone cannot be reset during a run; environment.stats.reset_all() resets"
            " those of all endpoints."
        )


def table_of(key: EndpointKey, stats: EndpointStats) -> StatsTable:
    """Return a table with that endpoint alone."""
    table = StatsTable()
    table.endpoint(key).merge(stats)
    return table

"""Count the requests of a process, each exactly once, into the current delta.

All text and numbers of load tests and targets enter the statistics here: the recorder sanitizes and limits names and
messages (obswarm.sanitize), and makes numbers finite.
"""

from collections.abc import Callable
from math import fsum
from typing import Any

from obswarm import clock, defaults
from obswarm.killed import put_off
from obswarm.sanitize import clean_lines, clean_text, to_seconds, to_size
from obswarm.stats.custom import CustomSeries
from obswarm.stats.errors import FAILED, ErrorKey, ErrorStats, error_example, error_text, normalise_error
from obswarm.stats.fields import Exemplar
from obswarm.stats.in_flight import CutOff, CutOffKey, InFlight, PendingFields, PendingOfScenarios, count_in_flight
from obswarm.stats.keys import NO_STATUS, STATUS_CLASSES, EndpointKey, endpoint_key, status_class
from obswarm.stats.table import StatsTable, TaskException
from obswarm.stats.timings import Times, TimingStats

_TRACE_ID_LENGTH = 64
_MOST_ROWS = 500
"""So many requests of an endpoint are counted in a tenth of a millisecond."""

_COLUMNS = 3

_SIZE_BITS = defaults.MAX_RESPONSE_BYTES.bit_length()


class Recorder:
    """Count requests into the current delta. Not thread-safe: it belongs to one event loop and never yields to it."""

    def __init__(
        self,
        max_endpoints: int = defaults.MAX_ENDPOINTS,
        wall_clock: Callable[[], float] = clock.wall,
        detailed_timings: bool = False,
        custom: CustomSeries | None = None,
    ) -> None:
        """With `detailed_timings` phases of requests are kept as histograms, too. `custom` has what is recorded of the
        load test's own metrics, which `take` takes."""
        self._custom = custom
        self._max_endpoints = max_endpoints
        self._detailed_timings = detailed_timings
        self.pending: dict[object, PendingFields] = {}
        """Requests in flight, by an object that is unique for each request (hashed by identity). A client adds a
        request when it starts, and removes it when it records it, without yielding in between."""
        self.scenario: Callable[[], str] | None = None
        """Returns the scenario of the user that makes the request; empty without one. Set in a run with scenarios."""
        self._wall_clock = wall_clock
        self._table = StatsTable(max_endpoints)
        self._rows: dict[tuple[str, ...], list[Any]] = {}
        """Duration in seconds, bytes, status code, and so on, of requests that are not in the table yet, by
        endpoint: _COLUMNS elements for each request."""
        self.start_delay: Callable[[], float | None] | None = None
        """Returns the seconds by which the running iteration has started late, None without an iteration. Set while
        iterations follow a schedule: then all their requests have an intended start."""
        self.on_traced: Callable[[Any, BaseException | None], None] | None = None
        """See `follow_traced`."""
        self._intended: dict[tuple[str, ...], list[float]] = {}
        """Durations in seconds from the intended start, of the requests in `_rows`."""
        self._before_end: StatsTable | None = None
        self._load_has_ended = False

    def follow_traced(self, on_traced: Callable[[Any, BaseException | None], None] | None) -> None:
        """Call `on_traced` with the record of each traced request that has ended, and its error; None: call nothing."""
        self.on_traced = on_traced

    def record(
        self,
        method: str,
        name: str,
        duration_s: float | None,
        response_bytes: int = 0,
        status_code: int | None = None,
        error: BaseException | str | None = None,
        timings: Times | None = None,
        trace_id: str | None = None,
        start_delay_s: float | None = None,
    ) -> None:
        """Count one finished request; it failed when `error` is given.

        `duration_s` is None if the duration is unknown: the request is counted, but not in statistics of durations.
        `status_code` is HTTP's, 0 without a response, None for protocols without one. `timings` are the durations of
        its phases; requests without a response have none. `trace_id` is the W3C trace id of a traced request.
        `start_delay_s` is the time from the intended start of the request to the real one: the response time from the
        intended start, which includes that delay, is recorded as well. None: the delay of the iteration that the
        request is part of, if that follows a schedule; otherwise there is no intended start.

        Arguments of other types do not raise, except for timings and trace id, which come from obswarm's own clients:
        they are converted to text or numbers where possible, and other numbers count as unknown.
        """
        # First convert foreign objects, which may run their code; so no request is counted partially.
        text = None if error is None else error_text(error)
        if type(duration_s) is not float or type(response_bytes) is not int or response_bytes >> _SIZE_BITS:
            duration_s, response_bytes = to_seconds(duration_s), to_size(response_bytes) or 0
        scenario = "" if self.scenario is None else self.scenario()
        table = self._table
        try:
            # A plain tuple equals an EndpointKey, and is created faster.
            stats = table.endpoints.get((method, name, scenario))  # type: ignore[call-overload]
            status = STATUS_CLASSES.get(status_code, NO_STATUS)
        except BaseException as raised:
            # One of them is not hashable.
            put_off(raised)
            stats, status = None, status_class(status_code)
        if stats is None:
            # In the order in which they came, since the first ones of too many are counted by their names.
            self._count_rows()
            key = endpoint_key(method, name, scenario)
            table = self._table
            stats = table.endpoint(key)
        try:
            stats.record(duration_s, response_bytes, status, text is not None)
        except ValueError:
            duration_s = to_seconds(duration_s)
            stats.record(duration_s, response_bytes, status, text is not None)
        if start_delay_s is None and self.start_delay is not None:
            start_delay_s = self.start_delay()
        if start_delay_s is not None and duration_s is not None:
            stats.record_intended(duration_s + (to_seconds(start_delay_s) or 0.0))
        if timings is not None and status_code:
            if stats.timings is None:
                stats.timings = TimingStats()
            stats.timings.record(timings, self._detailed_timings)
        if trace_id is not None and duration_s is not None:
            stats.add_exemplar(Exemplar(clean_text(trace_id, _TRACE_ID_LENGTH), duration_s, self._wall_clock()))
        if text is not None:
            self._count_error(table, stats.key, text)

    def _count_error(self, table: StatsTable, key: EndpointKey, text: str) -> None:
        now = self._wall_clock()
        # The key of the endpoint's statistics, so that errors of endpoints beyond the limit count as (other), too.
        error_key = ErrorKey(key.method, key.name, normalise_error(text) or FAILED)
        example = "" if error_key in table.errors else error_example(text, error_key.message)
        table.count_error(error_key, ErrorStats(1, now, now, example))

    def record_failure(self, method: str, name: str, error: BaseException | str | None) -> bool:
        """Count a successful request of an endpoint as failed. Without one since the last `take`, count a failed
        request of unknown duration. Returns whether that was so."""
        text = error_text("" if error is None else error)
        table = self._current
        stats = table.endpoint(endpoint_key(method, name, "" if self.scenario is None else self.scenario()))
        status = NO_STATUS if NO_STATUS in stats.successes else next(iter(stats.successes), None)
        if status is None:
            self.record(method, name, None, error=text)
            return True
        stats.successes[status] -= 1
        if not stats.successes[status]:
            del stats.successes[status]
        stats.failures_by[status] = stats.failures_by.get(status, 0) + 1
        self._count_error(table, stats.key, text)
        return False

    def merge(self, table: StatsTable) -> None:
        """Add measurements that were recorded elsewhere."""
        self._current.merge(table)

    @property
    def current(self) -> StatsTable:
        """The measurements since the last `take`. They must not be modified by others."""
        return self._current

    @property
    def is_empty(self) -> bool:
        """Whether nothing was recorded since the last `take`."""
        return self._before_end is None and self._current.is_empty()

    def record_response(self, method: str, name: str, duration_s: float, response_bytes: int, status_code: int) -> None:
        """Count one successful request over an open connection whose whole response came with its first byte, after
        `duration_s`, which is at most `defaults.MAX_DURATION_S`.

        For obswarm's own client, and for nearly all of its requests: they are gathered, and counted many at once.
        """
        if type(name) is not str:
            # Whatever a load test has given as a name.
            self.record(method, name, duration_s, response_bytes, status_code, None, (None, None, duration_s, 0.0))
            return
        key = (method, name) if self.scenario is None else (method, name, self.scenario())
        try:
            rows = self._rows[key]
        except KeyError:
            if len(self._rows) >= self._max_endpoints:
                self._count_rows()
            rows = self._rows[key] = []
        rows.extend((duration_s, response_bytes, status_code))
        if self.start_delay is not None:
            delay_s = self.start_delay()
            if delay_s is not None:
                self._intended.setdefault(key, []).append(duration_s + delay_s)
        if len(rows) >= _MOST_ROWS * _COLUMNS:
            self._count_rows()

    @property
    def _current(self) -> StatsTable:
        """The current delta, with all that `record_response` has gathered."""
        self._count_rows()
        return self._table

    def _count_rows(self) -> None:
        if not self._rows:
            return
        gathered, self._rows = self._rows, {}
        for key, rows in gathered.items():
            durations_s, status_codes = rows[::_COLUMNS], rows[2::_COLUMNS]
            durations_s.sort()
            total_s = fsum(durations_s)
            statuses: dict[str, int] = {}
            for status_code in set(status_codes):
                status = STATUS_CLASSES.get(status_code, NO_STATUS)
                statuses[status] = statuses.get(status, 0) + status_codes.count(status_code)
            clean_key = endpoint_key(*key)
            stats = self._table.endpoint(clean_key)
            stats.record_responses(durations_s, total_s, sum(rows[1::_COLUMNS]), statuses)
            if stats.timings is None:
                stats.timings = TimingStats()
            stats.timings.record_first_bytes(durations_s, total_s, self._detailed_timings)
            if self._intended and key in self._intended:
                stats.record_all_intended(self._intended.pop(key))

    def measure_from_intended_starts(self, start_delay: Callable[[], float | None]) -> None:
        """Record response times from the intended start as well, from now on. See `start_delay`."""
        self.start_delay = start_delay

    def tell_scenarios_apart(self, scenario: Callable[[], str]) -> None:
        """Count requests by scenario from now on, before the first one. See `scenario`."""
        self.scenario = scenario
        self.pending = PendingOfScenarios(scenario)

    def record_iteration(self, user_class: str) -> None:
        """Count an iteration of a user of this class, whose task has returned or raised."""
        try:
            self._table.iterations[user_class] += 1
        except KeyError:
            iterations, name = self._table.iterations, clean_text(user_class)
            iterations[name] = iterations.get(name, 0) + 1

    def record_ended(self, limit: str, node: str) -> None:
        """Count an iteration of a limited number that has ended in the process `node`."""
        self._table.count_ended(limit, node, 1)

    def record_dropped(self, user_class: str, reason: str, number: int = 1) -> None:
        """Count iterations of this class that were planned and not started, for one of DROP_REASONS."""
        self._table.count_dropped(clean_text(user_class), reason, number)

    def record_cut_off(self, kind: str, method: str, name: str, lasted_s: float) -> None:
        """Count a request, a task or an on_stop (`kind`) that was interrupted by the end of its user, after
        `lasted_s`."""
        self._table.count_cut_off(CutOffKey(kind, clean_text(method), clean_text(name)), CutOff(1, lasted_s))

    def in_flight(self, now: float) -> dict[EndpointKey, InFlight]:
        """Return the requests in flight by endpoint; `now` is of the monotonic clock."""
        return count_in_flight(self.pending.values(), now, self._max_endpoints)

    def record_exception(self, message: Any, traceback: Any) -> None:
        """Count an exception of the load test's code."""
        found = TaskException(normalise_error(message), clean_lines(traceback))
        self._table.count_exception(found)

    def take(self) -> StatsTable:
        """Return the statistics since the last call, and start a new table."""
        taken = self._current
        self._table = StatsTable(self._max_endpoints)
        if self._custom:
            taken.custom.merge(self._custom.take())
        if not self._load_has_ended:
            return taken
        for stats in taken.endpoints.values():
            stats.count_all_as_late()
        before, self._before_end = self._before_end, None
        if before is None:
            return taken
        before.merge(taken)
        return before

    def end_load(self) -> None:
        """Count all requests from now on as late, since users have been asked to stop."""
        if not self._load_has_ended:
            self._before_end = self.take()
            self._load_has_ended = True

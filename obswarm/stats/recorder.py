"""Count the requests of a process, each exactly once, into the current delta.

All text and numbers of load tests and targets enter the statistics here: the recorder sanitizes and limits names and
messages (obswarm.sanitize), and makes numbers finite.
"""

from collections.abc import Callable
from typing import Any

from obswarm import clock, defaults
from obswarm.killed import put_off
from obswarm.sanitize import clean_lines, clean_text, to_seconds, to_size
from obswarm.stats.errors import FAILED, ErrorKey, ErrorStats, error_example, error_text, normalise_error
from obswarm.stats.fields import Exemplar
from obswarm.stats.in_flight import CutOff, CutOffKey, InFlight, PendingFields, count_in_flight
from obswarm.stats.keys import NO_STATUS, STATUS_CLASSES, EndpointKey, endpoint_key, status_class
from obswarm.stats.table import StatsTable, TaskException
from obswarm.stats.timings import Times, TimingStats

_TRACE_ID_LENGTH = 64
_SIZE_BITS = defaults.MAX_RESPONSE_BYTES.bit_length()


class Recorder:
    """Count requests into the current delta. Not thread-safe: it belongs to one event loop and never yields to it."""

    def __init__(
        self,
        max_endpoints: int = defaults.MAX_ENDPOINTS,
        wall_clock: Callable[[], float] = clock.wall,
        detailed_timings: bool = False,
    ) -> None:
        """With `detailed_timings` phases of requests are kept as histograms, too."""
        self._max_endpoints = max_endpoints
        self._detailed_timings = detailed_timings
        self.pending: dict[object, PendingFields] = {}
        """Requests in flight, by an object that is unique for each request (hashed by identity). A client adds a
        request when it starts, and removes it when it records it, without yielding in between."""
        self._wall_clock = wall_clock
        self._current = StatsTable(max_endpoints)
        self._before_end: StatsTable | None = None
        self._load_has_ended = False

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
        intended start, which includes that delay, is recorded as well. None: there is no intended start.

        Arguments of other types do not raise, except for timings and trace id, which come from obswarm's own clients:
        they are converted to text or numbers where possible, and other numbers count as unknown.
        """
        # First convert foreign objects, which may run their code; so no request is counted partially.
        text = None if error is None else error_text(error)
        if type(duration_s) is not float or type(response_bytes) is not int or response_bytes >> _SIZE_BITS:
            duration_s, response_bytes = to_seconds(duration_s), to_size(response_bytes) or 0
        table = self._current
        try:
            # A plain tuple equals an EndpointKey, and is created faster.
            stats = table.endpoints.get((method, name))  # type: ignore[call-overload]
            status = STATUS_CLASSES.get(status_code, NO_STATUS)
        except BaseException as raised:
            # One of them is not hashable.
            put_off(raised)
            stats, status = None, status_class(status_code)
        if stats is None:
            key = endpoint_key(method, name)
            table = self._current
            stats = table.endpoint(key)
        try:
            stats.record(duration_s, response_bytes, status, text is not None)
        except ValueError:
            duration_s = to_seconds(duration_s)
            stats.record(duration_s, response_bytes, status, text is not None)
        if start_delay_s is not None and duration_s is not None:
            stats.record_intended(duration_s + (to_seconds(start_delay_s) or 0.0))
        if timings is not None and status_code:
            if stats.timings is None:
                stats.timings = TimingStats()
            stats.timings.record(timings, self._detailed_timings)
        if trace_id is not None and duration_s is not None:
            stats.add_exemplar(Exemplar(clean_text(trace_id, _TRACE_ID_LENGTH), duration_s, self._wall_clock()))
        if text is not None:
            now = self._wall_clock()
            # The key of the endpoint's statistics, so that errors of endpoints beyond the limit count as (other), too.
            error_key = ErrorKey(stats.key.method, stats.key.name, normalise_error(text) or FAILED)
            example = "" if error_key in table.errors else error_example(text, error_key.message)
            table.count_error(error_key, ErrorStats(1, now, now, example))

    def record_iteration(self, user_class: str) -> None:
        """Count a finished task of a user of this class."""
        try:
            self._current.iterations[user_class] += 1
        except KeyError:
            iterations, name = self._current.iterations, clean_text(user_class)
            iterations[name] = iterations.get(name, 0) + 1

    def record_cut_off(self, kind: str, method: str, name: str, lasted_s: float) -> None:
        """Count a request, a task or an on_stop (`kind`) that was interrupted by the end of its user, after
        `lasted_s`."""
        self._current.count_cut_off(CutOffKey(kind, clean_text(method), clean_text(name)), CutOff(1, lasted_s))

    def in_flight(self, now: float) -> dict[EndpointKey, InFlight]:
        """Return the requests in flight by endpoint; `now` is of the monotonic clock."""
        return count_in_flight(self.pending.values(), now, self._max_endpoints)

    def record_exception(self, message: Any, traceback: Any) -> None:
        """Count an exception of the load test's code."""
        found = TaskException(normalise_error(message), clean_lines(traceback))
        self._current.count_exception(found)

    def take(self) -> StatsTable:
        """Return the statistics since the last call, and start a new table."""
        taken = self._current
        self._current = StatsTable(self._max_endpoints)
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

"""Where a process's requests are counted, each exactly once, until the next delta is taken.

It is the one door through which text and numbers of load tests and targets enter the statistics: behind it, names and
messages are clean and bounded text (obswarm.sanitize), and numbers can be added up.
"""

from collections.abc import Callable
from typing import Any

from obswarm import clock, defaults
from obswarm.killed import put_off
from obswarm.sanitize import clean_lines, clean_text, to_seconds, to_size
from obswarm.stats.errors import FAILED, ErrorKey, ErrorStats, error_example, error_text, normalise_error
from obswarm.stats.fields import Exemplar
from obswarm.stats.keys import NO_STATUS, STATUS_CLASSES, EndpointKey, endpoint_key, status_class
from obswarm.stats.table import StatsTable, TaskException
from obswarm.stats.timings import Times, TimingStats
from obswarm.stats.under_way import CutOff, CutOffKey, InFlight, UnderWayFields, count_in_flight

_TRACE_ID_LENGTH = 64
_SIZE_BITS = defaults.MAX_RESPONSE_BYTES.bit_length()


class Recorder:
    """Counts requests into the current delta. Not thread-safe: one process, one loop, no switch inside a call."""

    def __init__(
        self,
        max_endpoints: int = defaults.MAX_ENDPOINTS,
        wall_clock: Callable[[], float] = clock.wall,
        detailed_timings: bool = False,
    ) -> None:
        """With `detailed_timings` phases of requests are kept as histograms, too."""
        self._max_endpoints = max_endpoints
        self._detailed_timings = detailed_timings
        self.under_way: dict[object, UnderWayFields] = {}
        """Requests that have begun and are not counted yet, by anything that stands for one of them alone (hashed by
        identity). Whoever makes a request enters it, and takes it out in the same step in which it is counted."""
        self._wall_clock = wall_clock
        self._current = StatsTable(max_endpoints)
        self._of_the_load: StatsTable | None = None
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

        `duration_s` is None when nobody knows how long it took: it counts, but in no figure about durations.
        `status_code` is HTTP's, 0 when no answer came, None for protocols without one. `timings` says where the time
        went; requests without an answer have none. `trace_id` is that of a request that carried one.
        `start_delay_s` is the time from the intended start of a request to its real one: its response time counts once
        more with that added, since a user would have waited for so long. None: it starts when it was meant to.

        Never raises for other values than the types say, but for timings and trace id, which only clients of this
        package give: they are taken as text or as numbers where that is possible, and a number that is none counts as
        not known.
        """
        # What has to be read of others comes first, since it may run their code; nothing is half counted then.
        text = None if error is None else error_text(error)
        if type(duration_s) is not float or type(response_bytes) is not int or response_bytes >> _SIZE_BITS:
            duration_s, response_bytes = to_seconds(duration_s), to_size(response_bytes) or 0
        table = self._current
        try:
            # A plain tuple finds what stands under an EndpointKey, and is made faster.
            stats = table.endpoints.get((method, name))  # type: ignore[call-overload]
            status = STATUS_CLASSES.get(status_code, NO_STATUS)
        except BaseException as raised:
            # One of them is nothing that could stand there.
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
            # The endpoint's own key, so that errors of endpoints beyond the limit are bounded with them.
            error_key = ErrorKey(stats.key.method, stats.key.name, normalise_error(text) or FAILED)
            example = "" if error_key in table.errors else error_example(text, error_key.message)
            table.count_error(error_key, ErrorStats(1, now, now, example))

    def record_iteration(self, user_class: str) -> None:
        """Count a task that a user of that class has finished."""
        try:
            self._current.iterations[user_class] += 1
        except KeyError:
            iterations, name = self._current.iterations, clean_text(user_class)
            iterations[name] = iterations.get(name, 0) + 1

    def record_cut_off(self, kind: str, method: str, name: str, lasted_s: float) -> None:
        """Count a request, a task or an on_stop (`kind`) that was cut off by the end of its user."""
        self._current.count_cut_off(CutOffKey(kind, clean_text(method), clean_text(name)), CutOff(1, lasted_s))

    def in_flight(self, now: float) -> dict[EndpointKey, InFlight]:
        """The requests that are under way at that moment of the monotonic clock, by endpoint."""
        return count_in_flight(self.under_way.values(), now, self._max_endpoints)

    def record_exception(self, message: Any, traceback: Any) -> None:
        """Count an exception of the load-test file's own code."""
        found = TaskException(normalise_error(message), clean_lines(traceback))
        self._current.count_exception(found)

    def take(self) -> StatsTable:
        """What was counted since the last call; counting goes on in a new table."""
        taken = self._current
        self._current = StatsTable(self._max_endpoints)
        if not self._load_has_ended:
            return taken
        for stats in taken.endpoints.values():
            stats.mark_late()
        before, self._of_the_load = self._of_the_load, None
        if before is None:
            return taken
        before.merge(taken)
        return before

    def end_load(self) -> None:
        """Users have been told to end: what is counted from now on is late."""
        if not self._load_has_ended:
            self._of_the_load = self.take()
            self._load_has_ended = True

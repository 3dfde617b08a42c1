"""Endpoints and errors of a process, of an interval or of a whole run, as they are recorded, sent and merged."""

from collections.abc import Mapping
from dataclasses import dataclass

from obswarm import defaults
from obswarm.stats.custom import CustomKey, CustomSeries, CustomStats
from obswarm.stats.endpoint import EndpointStats, total_of
from obswarm.stats.error_kinds import CommonForms, ErrorKinds
from obswarm.stats.errors import OTHER_ERRORS, ErrorKey, ErrorStats
from obswarm.stats.in_flight import OTHER_CUT_OFF, REQUEST, CutOff, CutOffKey
from obswarm.stats.keys import OTHER, TOTAL, EndpointKey


@dataclass(slots=True)
class TaskException:
    """An exception of the load test's code outside of a request: its number, and its first traceback."""

    message: str
    traceback: str
    count: int = 1


_MOST_OVERFLOW_NAMES = 5


class StatsTable:
    """Endpoints, errors and task exceptions by key, of limited number.

    `iterations` counts iterations that have ended, whatever their outcome, by user class, `dropped` iterations that
    were planned and not started, by user class and reason (obswarm.stats.keys.DROP_REASONS). `ended` counts iterations
    of a limited number that have ended, in whatever way, by the name of the limit and the process. `cut_off` counts
    requests, tasks and on_stop that were interrupted when their user was killed. `lost` counts requests that a process
    has recorded and could not send, by its name and the reason. `custom` has the load test's own metrics.
    """

    __slots__ = (
        "_exception_forms",
        "custom",
        "cut_off",
        "dropped",
        "ended",
        "endpoints",
        "errors",
        "exceptions",
        "iterations",
        "lost",
        "max_endpoints",
        "max_errors",
        "overflow_names",
    )

    def __init__(self, max_endpoints: int = defaults.MAX_ENDPOINTS, max_errors: int = defaults.MAX_ERRORS) -> None:
        self.endpoints: dict[EndpointKey, EndpointStats] = {}
        self.errors = ErrorKinds()
        self.exceptions: dict[str, TaskException] = {}
        self._exception_forms: CommonForms | None = None
        self.cut_off: dict[CutOffKey, CutOff] = {}
        self.iterations: dict[str, int] = {}
        self.dropped: dict[tuple[str, str], int] = {}
        self.ended: dict[tuple[str, str], int] = {}
        self.lost: dict[tuple[str, str], int] = {}
        self.custom = CustomSeries()
        self.max_endpoints = max_endpoints
        self.max_errors = max_errors
        self.overflow_names: list[str] = []

    @property
    def interrupted(self) -> int:
        """Number of interrupted requests: the target may have counted them, no other statistics include them."""
        return sum(seen.count for key, seen in self.cut_off.items() if key.kind == REQUEST)

    @property
    def exception_count(self) -> int:
        """Number of exceptions of the load test's code."""
        return sum(found.count for found in self.exceptions.values())

    def is_empty(self) -> bool:
        """Return whether the table has no entries."""
        counted = (self.endpoints, self.errors, self.exceptions, self.cut_off, self.iterations, self.dropped)
        return not any(counted) and not self.lost and not self.custom and not self.ended

    def endpoint(self, key: EndpointKey) -> EndpointStats:
        """Return the statistics of a key, of `(other)` for a new key beyond the limit."""
        found = self.endpoints.get(key)
        if found is not None:
            return found
        # (other) counts, too, so that the result has at most as many endpoints as the limit.
        if key != OTHER and len(self.endpoints) >= self.max_endpoints - (OTHER not in self.endpoints):
            self.note_overflow(key.name)
            return self.endpoint(OTHER)
        fresh = self.endpoints[EndpointKey(*key)] = EndpointStats(EndpointKey(*key))
        return fresh

    def note_overflow(self, name: str) -> None:
        """Note the name of an endpoint that counts as `(other)`, if it is one of the first few."""
        if len(self.overflow_names) < _MOST_OVERFLOW_NAMES and name not in self.overflow_names:
            self.overflow_names.append(name)

    def count_error(self, key: ErrorKey, seen: ErrorStats) -> None:
        """Add occurrences of an error; beyond the limit they count as `(other errors)`."""
        self.errors.count(key, seen, self.max_errors)

    def count_exception(self, exception: TaskException) -> None:
        """Add occurrences of an exception. Many kinds are grouped by their common form, with the first traceback;
        beyond the limit they count as `(other errors)`."""
        regroups = self._exception_forms is not None and self._exception_forms.note(exception.message)
        self._add_exception(exception)
        if self._exception_forms is None and len(self.exceptions) > defaults.MAX_ERROR_KINDS:
            self._exception_forms, regroups = CommonForms(self.exceptions), True
        if regroups:
            every = list(self.exceptions.values())
            self.exceptions.clear()
            for each in every:
                self._add_exception(each)

    def _add_exception(self, exception: TaskException) -> None:
        forms = self._exception_forms
        message = exception.message if forms is None else forms.form_of(exception.message)
        if message not in self.exceptions and len(self.exceptions) >= self.max_errors:
            message = OTHER_ERRORS.message
        found = self.exceptions.get(message)
        if found is None:
            self.exceptions[message] = TaskException(message, exception.traceback, exception.count)
        else:
            found.count += exception.count

    def count_cut_off(self, key: CutOffKey, seen: CutOff) -> None:
        """Add interrupted requests, tasks or on_stop; beyond the limit they count as `(other)` of their kind."""
        if key not in self.cut_off and len(self.cut_off) >= self.max_errors:
            key = CutOffKey(key.kind, "", OTHER_CUT_OFF)
        found = self.cut_off.get(key)
        if found is None:
            self.cut_off[key] = seen.copy()
        else:
            found.merge(seen)

    def count_dropped(self, user_class: str, reason: str, number: int) -> None:
        """Add iterations that were planned and not started."""
        key = (user_class, reason)
        self.dropped[key] = self.dropped.get(key, 0) + number

    def count_ended(self, limit: str, node: str, number: int) -> None:
        """Add iterations of a limited number that a process has ended."""
        key = (limit, node)
        self.ended[key] = self.ended.get(key, 0) + number

    def count_lost(self, worker: str, reason: str, requests: int) -> None:
        """Add requests that a worker has recorded and could not send; beyond the limit they have no reason."""
        key = (worker, reason)
        if key not in self.lost and len(self.lost) >= self.max_errors:
            key = (worker, OTHER_ERRORS.message)
        self.lost[key] = self.lost.get(key, 0) + requests

    def merge(self, other: "StatsTable") -> None:
        """Add another table, within the limits of this one."""
        for key, stats in other.endpoints.items():
            self.endpoint(key).merge(stats)
        for error_key, seen in other.errors.items():
            self.count_error(error_key, seen)
        for exception in other.exceptions.values():
            self.count_exception(exception)
        for cut_off_key, cut_off in other.cut_off.items():
            self.count_cut_off(cut_off_key, cut_off)
        for user_class, number in other.iterations.items():
            self.iterations[user_class] = self.iterations.get(user_class, 0) + number
        for (user_class, reason), number in other.dropped.items():
            self.count_dropped(user_class, reason, number)
        for (limit, node), number in other.ended.items():
            self.count_ended(limit, node, number)
        for name in other.overflow_names:
            self.note_overflow(name)
        for (worker, reason), requests in other.lost.items():
            self.count_lost(worker, reason, requests)
        self.custom.merge(other.custom)

    def total(self) -> EndpointStats:
        """Return the sum of all endpoints, a new object."""
        return total_of(self.endpoints.values())


class Aggregate:
    """The sum of all deltas of a run. It returns copies, which later deltas do not change."""

    def __init__(self, max_endpoints: int = defaults.MAX_ENDPOINTS) -> None:
        self._max_endpoints = max_endpoints
        self.reset()

    def reset(self) -> None:
        """Set all statistics to zero."""
        self.table = StatsTable(self._max_endpoints)
        self._total = EndpointStats(TOTAL)
        self._copies: dict[EndpointKey, EndpointStats] = {}
        self._changed: dict[EndpointKey, None] = {}

    def merge(self, delta: StatsTable) -> EndpointStats:
        """Add a delta, which is not changed. Returns its total."""
        self.table.merge(delta)
        total = delta.total()
        self._total.merge(total)
        for key in delta.endpoints:
            self._changed[self.table.endpoint(key).key] = None
        return total

    def total(self) -> EndpointStats:
        return self._total.copy()

    def endpoints(self) -> Mapping[EndpointKey, EndpointStats]:
        """Return cumulative statistics by endpoint, the same object for one that has not changed since the last
        call."""
        for key in self._changed:
            self._copies[key] = self.table.endpoints[key].copy()
        self._changed.clear()
        return dict(self._copies)

    def errors(self) -> Mapping[ErrorKey, ErrorStats]:
        return {key: seen.copy() for key, seen in self.table.errors.items()}

    def cut_off(self) -> Mapping[CutOffKey, CutOff]:
        return {key: seen.copy() for key, seen in self.table.cut_off.items()}

    def custom(self) -> Mapping[CustomKey, CustomStats]:
        return self.table.custom.copy()

    def exceptions(self) -> Mapping[str, TaskException]:
        return {
            key: TaskException(found.message, found.traceback, found.count)
            for key, found in self.table.exceptions.items()
        }

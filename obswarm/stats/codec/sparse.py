"""Validate the parts of a delta that are not columns, and merge them into a table."""

from array import array
from collections import defaultdict
from typing import Any

from obswarm import defaults
from obswarm.stats.checks import INVALID, Malformed, check, check_buckets, check_natural, check_texts, check_time
from obswarm.stats.codec.bounds import MOST_PROCESSES, TableBounds
from obswarm.stats.codec.layout import BYTES, COLUMNS, KINDS, OK, PARTS, SUCCESSES, SUM_NS, TIMINGS, VALUE_BITS
from obswarm.stats.custom import check_custom, unpack_custom
from obswarm.stats.endpoint import EndpointStats
from obswarm.stats.errors import ErrorKey, ErrorStats
from obswarm.stats.histogram import Histogram
from obswarm.stats.in_flight import CUT_OFF_KINDS, CutOff, CutOffKey
from obswarm.stats.keys import DROP_REASONS, EndpointKey
from obswarm.stats.table import StatsTable, TaskException
from obswarm.stats.timings import PHASES, TimingStats

_MOST_OVERFLOW_NAMES = 16
_CONTAINERS = [dict if index == 8 else list for index in range(4, PARTS)]
"""Expected types of these parts; only the iterations are a map."""

NOT_CONSISTENT = "its requests by endpoint, by status and by duration are not the same number"


class SparseParts:
    """The parts of a delta that are not columns. The constructor validates them. Raises Malformed, OutOfBounds, or, for
    data of another structure, ValueError, TypeError, IndexError or KeyError."""

    def __init__(self, parts: list[Any], count: int, bounds: TableBounds | None, max_requests: float) -> None:
        """`count` is the number of endpoints of the delta, `max_requests` the largest possible number of requests."""
        check(list(map(type, parts[4:])) == _CONTAINERS)
        self._heavy, self._fields, self._errors, self._exceptions, self._iterations = parts[4:9]
        self._cut_off, self._overflow, self._wide, self._lost, self._custom, self._dropped, self._ended = parts[9:]
        self.max_requests = max_requests
        self.from_worker = bounds is not None
        self.in_heavy = self.untimed = self.wide_sum_ns = 0
        self._other: defaultdict[int, int] = defaultdict(int)
        """By endpoint: requests other than successes with 2xx, minus those that are not in light."""
        self._check_requests(count)
        self._check_named()
        if bounds is not None:
            self._check_bounds(bounds)

    def _check_requests(self, count: int) -> None:
        for number, buckets in self._heavy:
            check(check_natural(number) < count)
            check_buckets(buckets, self.max_requests)
            requests = sum(buckets.values())
            self.in_heavy += requests
            self._other[number] -= requests
        for number, name, packed in self._fields:
            kind = KINDS.get(name)
            if kind is None or type(number) is not int or not 0 <= number < count:
                raise Malformed(INVALID)
            kind.check(packed, self.max_requests)
            if name == "failures_by" or name == "successes":
                self._other[number] += sum(packed.values())
            elif name == "untimed":
                self.untimed += packed
                self._other[number] -= packed
        for number, column, high in self._wide:
            check(check_natural(number) < count and check_natural(column) < COLUMNS and check_natural(high) < 2**64)
            if column == SUCCESSES:
                self._other[number] += high << VALUE_BITS
            elif column == SUM_NS:
                self.wide_sum_ns += high << VALUE_BITS

    def _check_named(self) -> None:
        texts: list[Any] = []
        examples: list[Any] = []
        for method, name, message, seen, first_s, last_s, example in self._errors:
            texts += method, name, message
            examples.append(example)
            check_natural(seen, self.max_requests)
            check_time(first_s)
            check_time(last_s)
            check(first_s <= last_s)
        check_texts(texts)
        check_texts(examples, defaults.MAX_EXAMPLE_LENGTH)
        for message, traceback, seen in self._exceptions:
            check_texts([message])
            check(type(traceback) is str)
            check_texts([traceback.replace("\n", "")], defaults.MAX_TRACEBACK_LENGTH)
            check_natural(seen, self.max_requests)
        for kind, method, name, seen, oldest_s in self._cut_off:
            check(kind in CUT_OFF_KINDS)
            check_time(oldest_s)
            check_texts([method, name])
            check_natural(seen, self.max_requests)
        for worker, reason, requests in self._lost:
            check_texts([worker, reason])
            check_natural(requests)
        for number in self._iterations.values():
            check_natural(number, self.max_requests)
        for user_class, reason, number in self._dropped:
            check(reason in DROP_REASONS)
            check_texts([user_class])
            check_natural(number)
        for limit, node, number in self._ended:
            check_texts([limit, node])
            check_natural(number, self.max_requests)
        check_texts([*self._iterations, *self._overflow])
        check_custom(self._custom)

    def _check_bounds(self, bounds: TableBounds) -> None:
        bounds.check_classes(self._iterations)
        bounds.check_classes(user_class for user_class, _, _ in self._dropped)
        # The entry for all errors beyond the limit is one more.
        max_rows = bounds.max_errors + len(CUT_OFF_KINDS)
        kinds = {"errors": self._errors, "exceptions": self._exceptions, "tasks that were cut off": self._cut_off}
        for what, rows in kinds.items():
            check(len(rows) <= max_rows, f"it reports {len(rows):,} different {what}")
        check(len(self._lost) <= bounds.max_errors + MOST_PROCESSES, "it reports too many losses")
        most = MOST_PROCESSES * (1 + len(bounds.user_classes or ()))
        check(len(self._ended) <= most, "it reports too many limits of iterations")
        check(len(self._overflow) <= _MOST_OVERFLOW_NAMES, "it reports too many names beyond the limit")
        most = defaults.MAX_CUSTOM_SERIES + defaults.MAX_CUSTOM_METRICS
        check(len(self._custom) <= most, "it reports too many series of the load test's own metrics")

    def in_light(self, successes: "array[int]") -> list[int]:
        """Return the expected number of requests in light, by endpoint."""
        expected = successes.tolist()
        for number, requests in self._other.items():
            expected[number] += requests
        return expected

    def check_wide(self, requests: int) -> None:
        """Check that no sum is larger than is possible with that many requests."""
        for _, _, high in self._wide:
            check(high << VALUE_BITS <= requests * (defaults.MAX_RESPONSE_BYTES + 1), "its sums are impossibly large")

    def merge_into(self, table: StatsTable, keys: list[EndpointKey]) -> None:
        """Add these parts to a table; `keys` are the endpoints of the delta."""
        for number, buckets in self._heavy:
            table.endpoint(keys[number]).duration.merge(Histogram(buckets))
        for number, name, packed in self._fields:
            stats, kind = table.endpoint(keys[number]), KINDS[name]
            setattr(stats, name, kind.merge(getattr(stats, name), kind.unpack(packed)))
        for number, column, high in self._wide:
            _add_to_column(table.endpoint(keys[number]), column, high << VALUE_BITS)
        for method, name, message, seen, first_s, last_s, example in self._errors:
            table.count_error(ErrorKey(method, name, message), ErrorStats(seen, first_s, last_s, example))
        for message, traceback, seen in self._exceptions:
            table.count_exception(TaskException(message, traceback, seen))
        for user_class, finished in self._iterations.items():
            table.iterations[user_class] = table.iterations.get(user_class, 0) + finished
        for user_class, reason, number in self._dropped:
            table.count_dropped(user_class, reason, number)
        for limit, node, number in self._ended:
            table.count_ended(limit, node, number)
        for kind, method, name, seen, oldest_s in self._cut_off:
            table.count_cut_off(CutOffKey(kind, method, name), CutOff(seen, oldest_s))
        for name in self._overflow:
            table.note_overflow(name)
        for worker, reason, requests in self._lost:
            table.count_lost(worker, reason, requests)
        for custom_key, custom in unpack_custom(self._custom):
            table.custom.series(custom_key).merge(custom)


def _add_to_column(stats: EndpointStats, column: int, value: int) -> None:
    if column == BYTES:
        stats.response_bytes += value
    elif column == SUM_NS:
        stats.duration.sum_ns += value
    elif column == SUCCESSES:
        stats.successes[OK] = stats.successes.get(OK, 0) + value
    else:
        if stats.timings is None:
            stats.timings = TimingStats()
        which, phase = divmod(column - TIMINGS, len(PHASES))
        (stats.timings.counts, stats.timings.sums_ns)[which][phase] += value

"""What is known of one endpoint (method and name), and of one kind of error; no I/O, no clock."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log2
from typing import NamedTuple

from obswarm import defaults
from obswarm.killed import put_off
from obswarm.redact import redact_text
from obswarm.sanitize import clean_text, escape_controls, is_a, to_text, type_name
from obswarm.stats.histogram import (
    BUCKETS_PER_DOUBLING,
    LONGEST_S,
    SHORTEST_S,
    Histogram,
    bucket_index,
    upper_bound,
)
from obswarm.stats.timings import TimingStats

NO_ANSWER = "error"
"""Status of a request that got no answer at all: refused, reset, timed out."""

NO_STATUS = "other"
"""Status of a request of a protocol that has no HTTP status."""

STATUS_CLASSES: dict[int | None, str] = {0: NO_ANSWER, None: NO_STATUS}
STATUS_CLASSES.update((code, f"{code // 100}xx") for code in range(100, 600))
"""By status code; whatever is not in it is NO_STATUS."""


def status_class(status_code: int | None) -> str:
    """`2xx` for 204 and so on; `error` for 0 (no answer), `other` for None and whatever is outside HTTP's range."""
    try:
        return STATUS_CLASSES.get(status_code, NO_STATUS)
    except BaseException as error:
        # It is nothing that can be looked up.
        put_off(error)
        return NO_STATUS


class EndpointKey(NamedTuple):
    method: str
    name: str

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.method} {self.name}".strip()


NO_NAME = "(none)"
"""In place of a method or a name that was not given at all."""


def endpoint_key(method: object, name: object) -> EndpointKey:
    """The key under which a request counts, whatever was given as its method and name: clean, bounded text."""
    return EndpointKey(clean_text(method), clean_text(name))


OTHER = EndpointKey("", "(other)")
"""Where requests go once a run has as many endpoints as it may have."""

TOTAL = EndpointKey("", "Aggregated")


class Exemplar(NamedTuple):
    """A request that stands for others: its W3C trace id, its duration, and when it ended (wall time)."""

    trace_id: str
    seconds: float
    time_s: float


_BUCKETS_PER_BAND = 16


class EndpointStats:
    """Counts, sizes and durations of one endpoint: an accumulator that can be merged and subtracted.

    `successes` and `failures_by` count requests by status class; every request stands in exactly one of them.
    `untimed` counts those of which no duration is known: they are in no figure about durations. `late` counts those of
    all that finished after the load had ended, by (failed, status class): they are in every figure but rates.
    """

    __slots__ = (
        "_exemplars",
        "duration",
        "failures",
        "failures_by",
        "key",
        "late",
        "max_s",
        "min_s",
        "response_bytes",
        "successes",
        "timings",
        "untimed",
    )

    def __init__(self, key: EndpointKey) -> None:
        self.key = key
        self.duration = Histogram()
        self.failures = 0
        self.untimed = 0
        self.min_s: float | None = None
        self.max_s: float | None = None
        self.response_bytes = 0
        self.successes: dict[str, int] = {}
        self.failures_by: dict[str, int] = {}
        self.late: dict[tuple[bool, str], int] = {}
        self.timings: TimingStats | None = None
        """None as long as no client has told any."""
        self._exemplars: dict[int, Exemplar] | None = None

    def add_exemplar(self, exemplar: "Exemplar") -> None:
        """Keep it as the newest one of its range of durations (half a doubling wide)."""
        if self._exemplars is None:
            self._exemplars = {}
        band = bucket_index(exemplar.seconds) // _BUCKETS_PER_BAND
        known = self._exemplars.get(band)
        if known is None or known.time_s <= exemplar.time_s:
            self._exemplars[band] = exemplar

    def exemplars(self) -> "tuple[Exemplar, ...]":
        """Traced requests, the newest of each range of durations, the shortest first."""
        return tuple(sorted(self._exemplars.values(), key=lambda each: each.seconds)) if self._exemplars else ()

    def record(self, duration_s: float | None, response_bytes: int, status: str, failed: bool) -> None:
        """Count one request, of None seconds when nobody knows how long it took. `status` is a status class as of
        `status_class`. Raises ValueError as Histogram.record does, and has counted nothing then."""
        if duration_s is None:
            self.untimed += 1
        else:
            duration = self.duration
            if SHORTEST_S < duration_s < LONGEST_S:
                # Histogram.record without the call: this runs for every request.
                index = ceil(log2(duration_s) * BUCKETS_PER_DOUBLING)
                try:
                    duration.buckets[index] += 1
                except KeyError:
                    duration.buckets[index] = 1
                duration.count += 1
                duration.sum_ns += int(duration_s * 1e9 + 0.5)
            else:
                duration.record(duration_s)
                duration_s = max(duration_s, 0.0)
            extreme = self.max_s
            if extreme is None or duration_s > extreme:
                self.max_s = duration_s
            extreme = self.min_s
            if extreme is None or duration_s < extreme:
                self.min_s = duration_s
        self.response_bytes += response_bytes
        if failed:
            self.failures += 1
            self.failures_by[status] = self.failures_by.get(status, 0) + 1
        else:
            self.successes[status] = self.successes.get(status, 0) + 1

    def merge(self, other: "EndpointStats") -> None:
        """Add what another one has counted; the key stays."""
        self.duration.merge(other.duration)
        self.failures += other.failures
        self.untimed += other.untimed
        self.response_bytes += other.response_bytes
        for mine, theirs in ((self.successes, other.successes), (self.failures_by, other.failures_by)):
            for status, number in theirs.items():
                mine[status] = mine.get(status, 0) + number
        for outcome, number in other.late.items():
            self.late[outcome] = self.late.get(outcome, 0) + number
        for exemplar in other.exemplars():
            self.add_exemplar(exemplar)
        if other.timings is not None:
            if self.timings is None:
                self.timings = TimingStats()
            self.timings.merge(other.timings)
        if other.min_s is not None:
            self.min_s = other.min_s if self.min_s is None else min(self.min_s, other.min_s)
        if other.max_s is not None:
            self.max_s = other.max_s if self.max_s is None else max(self.max_s, other.max_s)

    def subtract(self, other: "EndpointStats") -> None:
        """Take away what was merged before; raises ValueError when that cannot have been the case.

        Every count and the sum come out exact. Exemplars stay. Extremes cannot be taken apart, so `min_s` and `max_s`
        become the borders of the outermost buckets that are left, which is within 2.2 %, and never outside what was
        known.
        """
        self.duration.subtract(other.duration)
        self.failures -= other.failures
        self.untimed -= other.untimed
        self.response_bytes -= other.response_bytes
        for mine, theirs in ((self.successes, other.successes), (self.failures_by, other.failures_by)):
            for status, number in theirs.items():
                rest = mine.get(status, 0) - number
                if rest:
                    mine[status] = rest
                else:
                    mine.pop(status, None)
        for outcome, number in other.late.items():
            self.late[outcome] = self.late.get(outcome, 0) - number
        if other.timings is not None and self.timings is not None:
            self.timings.subtract(other.timings)
        if not self.duration.count or self.min_s is None or self.max_s is None:
            self.min_s = self.max_s = None
            return
        lowest, highest = min(self.duration.buckets), max(self.duration.buckets)
        if bucket_index(self.min_s) != lowest:
            self.min_s = upper_bound(lowest - 1)
        if bucket_index(self.max_s) != highest:
            self.max_s = upper_bound(highest)

    def copy(self) -> "EndpointStats":
        twin = EndpointStats(self.key)
        twin.duration = self.duration.copy()
        twin.failures = self.failures
        twin.untimed = self.untimed
        twin.min_s, twin.max_s = self.min_s, self.max_s
        twin.response_bytes = self.response_bytes
        twin.successes = self.successes.copy()
        twin.failures_by = self.failures_by.copy()
        twin.late = self.late.copy()
        if self.timings is not None:
            twin.timings = self.timings.copy()
        if self._exemplars is not None:
            twin._exemplars = self._exemplars.copy()
        return twin

    @property
    def requests(self) -> int:
        return self.duration.count + self.untimed

    def mark_late(self) -> None:
        """All of them have finished after the load had ended."""
        self.late = {(False, status): number for status, number in self.successes.items()}
        self.late |= {(True, status): number for status, number in self.failures_by.items()}

    @property
    def late_requests(self) -> int:
        """Those that finished after the load had ended."""
        return sum(self.late.values())

    def rate(self, load_s: float, status: str | None = None) -> float:
        """Requests (with a status class) that finished while there was load, per second of its `load_s` seconds; 0
        without any."""
        whole = self.requests if status is None else self.successes.get(status, 0) + self.failures_by.get(status, 0)
        late = sum(number for (_, kind), number in self.late.items() if status in (None, kind))
        return _per_second(whole - late, load_s)

    def failure_rate(self, load_s: float) -> float:
        """As `rate`, of requests that failed."""
        return _per_second(self.failures - sum(number for (failed, _), number in self.late.items() if failed), load_s)

    @property
    def error_ratio(self) -> float:
        """Failures as a share of requests, 0 when there are none."""
        return self.failures / self.requests if self.requests else 0.0

    def quantile(self, q: float) -> float | None:
        """As Histogram.quantile, and never outside the extremes that were measured."""
        values = self.quantiles((q,))
        return values[0] if values else None

    def quantiles(self, qs: tuple[float, ...]) -> tuple[float, ...]:
        low, high = self.min_s, self.max_s
        if low is None or high is None:
            return ()
        return tuple(min(max(value, low), high) for value in self.duration.quantiles(qs))


def _per_second(number: int, seconds: float) -> float:
    return max(0, number) / seconds if seconds > 0 else 0.0


def total_of(every: Iterable[EndpointStats]) -> EndpointStats:
    """All of them in one, made anew."""
    total = EndpointStats(TOTAL)
    for stats in every:
        total.merge(stats)
    return total


class ErrorKey(NamedTuple):
    method: str
    name: str
    message: str

    @property
    def endpoint(self) -> EndpointKey:
        return EndpointKey(self.method, self.name)


OTHER_ERRORS = ErrorKey("", "(other)", "(other errors)")


@dataclass(slots=True)
class ErrorStats:
    """How often an error was seen, and between when (wall time, seconds). `example` is a whole text of a kind whose
    message is only what several have in common; else it is empty."""

    count: int
    first_seen_s: float
    last_seen_s: float
    example: str = ""

    def merge(self, other: "ErrorStats") -> None:
        if other.example and (not self.example or self._is_later(other)):
            self.example = other.example
        self.count += other.count
        self.first_seen_s = min(self.first_seen_s, other.first_seen_s)
        self.last_seen_s = max(self.last_seen_s, other.last_seen_s)

    def copy(self) -> "ErrorStats":
        return ErrorStats(self.count, self.first_seen_s, self.last_seen_s, self.example)

    def _is_later(self, other: "ErrorStats") -> bool:
        return (self.first_seen_s, self.example) > (other.first_seen_s, other.example)


_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}\b")
_UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
_LONG_HEX = re.compile(r"\b(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{16,}\b")
_LONG_NUMBER = re.compile(r"\b\d{6,}\b")


CUT = "… [cut]"


def normalise_error(message: object) -> str:
    """One text for errors that differ only in what is different each time: addresses, ids, long numbers.

    White space is folded, what is unfit to be shown escaped, and the length bounded, so that a target that answers with
    pages cannot fill the memory.
    """
    text = message if type(message) is str else to_text(message)
    limit = defaults.MAX_ERROR_LENGTH * 4
    return _normalised(text[:limit], len(text) > limit)


_TAKEN_OUT = re.compile("0x…|<(?:uuid|number|hex)>")


def error_example(text: str, message: str) -> str:
    """The whole text of an error that counts under the message without its ids, clean and bounded; nothing if the
    message has all of it."""
    if not _TAKEN_OUT.search(message):
        return ""
    example = redact_text(" ".join(text[: defaults.MAX_ERROR_LENGTH * 4].split()))
    example = escape_controls(example)
    if len(example) > defaults.MAX_EXAMPLE_LENGTH:
        example = example[: defaults.MAX_EXAMPLE_LENGTH - len(CUT)] + CUT
    # A text that is longer than an example may be cannot always be told from one of another kind.
    return example if example != message and normalise_error(example) == message else ""


@lru_cache(maxsize=256)
def _normalised(text: str, is_cut: bool) -> str:
    """Most failures of a run have the same few texts."""
    text = redact_text(" ".join(text.split()))
    text = _ADDRESS.sub("0x…", text)
    text = _UUID.sub("<uuid>", text)
    text = _LONG_NUMBER.sub("<number>", text)
    text = _LONG_HEX.sub("<hex>", text)
    text = escape_controls(text)
    if len(text) > defaults.MAX_ERROR_LENGTH or is_cut:
        # Without its length: texts that differ in no more than that are one error.
        text = text[: defaults.MAX_ERROR_LENGTH - len(CUT)] + CUT
    return text


def describe_error(error: object) -> str:
    """The message under which an error is counted: what `error_text` gives, by `normalise_error`. Never raises."""
    return normalise_error(error_text(error)) or FAILED


FAILED = "failed"
"""Of an error without a text."""


def error_text(error: object) -> str:
    """What is said of an error: its text, or its type's name (with the text where there is one).

    Never raises, whatever is given.
    """
    if error is None:
        return FAILED
    if not is_a(error, BaseException):
        return to_text(error)
    text = to_text(error)
    if text and _speaks_for_itself(error):
        return text
    name = type_name(error)
    return f"{name}: {text}" if text else name


def _speaks_for_itself(error: object) -> bool:
    try:
        return bool(getattr(error, "speaks_for_itself", False))
    except BaseException as raised:
        put_off(raised)
        return False

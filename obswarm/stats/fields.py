"""Kinds of fields of an endpoint's statistics: how values are merged, subtracted, packed and validated.

`obswarm.stats.endpoint.FIELDS` lists the fields. Everything that merges, copies, sends or stores an endpoint uses that
list: EndpointStats itself, deltas (obswarm.stats.codec) and rows of the store.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Generic, NamedTuple, TypeVar

from obswarm import defaults
from obswarm.stats.checks import (
    TOO_MANY,
    Malformed,
    check,
    check_natural,
    check_texts,
    check_time,
    check_wide,
    unpack_wide,
)
from obswarm.stats.histogram import FIRST_BUCKET, LAST_BUCKET, Histogram, bucket_index
from obswarm.stats.keys import ALL_STATUS_CLASSES
from obswarm.stats.timings import PHASES, TimingStats

Value = TypeVar("Value")
Key = TypeVar("Key", str, tuple[bool, str])
Part = TypeVar("Part", Histogram, TimingStats)


class Kind(ABC, Generic[Value]):
    """A kind of field. `pack` and `unpack` convert a value to lists, maps with text keys, texts and numbers, and back.

    Integers in packed values may have more than 64 bits.
    """

    @abstractmethod
    def empty(self) -> Value:
        """Return the value of an endpoint without requests."""

    def is_empty(self, value: Value) -> bool:
        """Return whether the value equals `empty()`."""
        return not value

    @abstractmethod
    def merge(self, mine: Value, theirs: Value) -> Value:
        """Return the sum: `mine`, changed, or a new value. `theirs` is not changed; an empty one adds nothing."""

    @abstractmethod
    def subtract(self, mine: Value, theirs: Value) -> Value:
        """Undo `merge`. Raises ValueError if that is impossible."""

    @abstractmethod
    def copy(self, value: Value) -> Value:
        """Return an independent copy."""

    @abstractmethod
    def pack(self, value: Value) -> Any:
        """Return the value as plain data."""

    @abstractmethod
    def unpack(self, packed: Any) -> Value:
        """Return the value of plain data, which is validated or trusted."""

    @abstractmethod
    def check(self, packed: Any, max_requests: float) -> None:
        """Validate plain data of a peer, which has at most `max_requests` requests. Raises Malformed, or, for data of
        another structure, ValueError, TypeError, IndexError or KeyError."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of EndpointStats: the attribute's name, its kind, and whether the run store has it."""

    name: str
    kind: Kind[Any]
    is_stored: bool = True


class Plain(Kind[Value]):
    """A kind whose values are immutable plain data."""

    def copy(self, value: Value) -> Value:
        return value

    def pack(self, value: Value) -> Any:
        return value


class Number(Plain[int]):
    """A count or a sum."""

    def empty(self) -> int:
        return 0

    def merge(self, mine: int, theirs: int) -> int:
        return mine + theirs

    def subtract(self, mine: int, theirs: int) -> int:
        return mine - theirs

    def unpack(self, packed: Any) -> int:
        return unpack_wide(packed)

    def check(self, packed: Any, max_requests: float) -> None:
        check_wide(packed)


class Requests(Number):
    """A number of requests."""

    def check(self, packed: Any, max_requests: float) -> None:
        check_natural(packed, max_requests)


class Extreme(Plain[float | None]):
    """The shortest or the longest duration in seconds, None without any. `subtract` does not change it."""

    def __init__(self, choose: Callable[[float, float], float]) -> None:
        self._choose = choose

    def empty(self) -> float | None:
        return None

    def is_empty(self, value: float | None) -> bool:
        return value is None

    def merge(self, mine: float | None, theirs: float | None) -> float | None:
        if theirs is None:
            return mine
        return theirs if mine is None else self._choose(mine, theirs)

    def subtract(self, mine: float | None, theirs: float | None) -> float | None:
        return mine

    def unpack(self, packed: Any) -> float | None:
        return None if packed is None else float(packed)

    def check(self, packed: Any, max_requests: float) -> None:
        if packed is not None:
            check_time(packed, defaults.MAX_DURATION_S)


class Durations(Kind[Histogram]):
    """A histogram, packed as [sum in ns, gap, count, gap, count …]. The first gap is the index of the first bucket;
    gaps are small numbers, which take one byte."""

    def empty(self) -> Histogram:
        return Histogram()

    def is_empty(self, value: Histogram) -> bool:
        return not value.count and not value.sum_ns

    def merge(self, mine: Histogram, theirs: Histogram) -> Histogram:
        mine.merge(theirs)
        return mine

    def subtract(self, mine: Histogram, theirs: Histogram) -> Histogram:
        mine.subtract(theirs)
        return mine

    def copy(self, value: Histogram) -> Histogram:
        return value.copy()

    def pack(self, value: Histogram) -> Any:
        packed, before = [value.sum_ns], 0
        for index, count in value:
            packed.append(index - before)
            packed.append(count)
            before = index
        return packed

    def unpack(self, packed: Any) -> Histogram:
        return Histogram(dict(zip(accumulate(packed[1::2]), packed[2::2], strict=True)), unpack_wide(packed[0]))

    def check(self, packed: Any, max_requests: float) -> None:
        check(type(packed) is list)
        check_wide(packed[0])
        gaps, counts = packed[1::2], packed[2::2]
        check(set(map(type, packed[1:])) <= {int} and len(gaps) == len(counts))
        if counts:
            # Indexes ascend, so that all are between the first and the last one.
            check(min(gaps[1:], default=1) > 0 and gaps[0] >= FIRST_BUCKET and sum(gaps) <= LAST_BUCKET)
            check(min(counts) > 0)
            check(max(counts) <= max_requests, TOO_MANY)


class OptionalKind(Kind[Part | None]):
    """A kind whose values are None until there is something to count."""

    def empty(self) -> Part | None:
        return None

    def merge(self, mine: Part | None, theirs: Part | None) -> Part | None:
        if theirs is None:
            return mine
        if mine is None:
            return theirs.copy()
        mine.merge(theirs)
        return mine

    def copy(self, value: Part | None) -> Part | None:
        return None if value is None else value.copy()


class OptionalDurations(OptionalKind[Histogram]):
    """A histogram, packed as `Durations` does; None as long as no request has such a duration."""

    def subtract(self, mine: Histogram | None, theirs: Histogram | None) -> Histogram | None:
        if theirs is None:
            return mine
        rest = Histogram() if mine is None else mine
        rest.subtract(theirs)
        return None if DURATIONS.is_empty(rest) else rest

    def pack(self, value: Histogram | None) -> Any:
        return None if value is None else DURATIONS.pack(value)

    def unpack(self, packed: Any) -> Histogram | None:
        return None if packed is None or packed == [0] else DURATIONS.unpack(packed)

    def check(self, packed: Any, max_requests: float) -> None:
        DURATIONS.check(packed, max_requests)


class Counts(Kind[dict[Key, int]]):
    """Numbers of requests by key."""

    def empty(self) -> dict[Key, int]:
        return {}

    def merge(self, mine: dict[Key, int], theirs: dict[Key, int]) -> dict[Key, int]:
        for key, number in theirs.items():
            mine[key] = mine.get(key, 0) + number
        return mine

    def subtract(self, mine: dict[Key, int], theirs: dict[Key, int]) -> dict[Key, int]:
        for key, number in theirs.items():
            rest = mine.get(key, 0) - number
            if rest:
                mine[key] = rest
            else:
                mine.pop(key, None)
        return mine

    def copy(self, value: dict[Key, int]) -> dict[Key, int]:
        return value.copy()


class StatusCounts(Counts[str]):
    """Numbers of requests by status class."""

    def pack(self, value: dict[str, int]) -> Any:
        return value

    def unpack(self, packed: Any) -> dict[str, int]:
        counts: dict[str, int] = packed
        return counts

    def check(self, packed: Any, max_requests: float) -> None:
        check(type(packed) is dict)
        for status, requests in packed.items():
            if status not in ALL_STATUS_CLASSES:
                raise Malformed("it reports an unknown status class")
            check_natural(requests, max_requests)


class ResultCounts(Counts[tuple[bool, str]]):
    """Numbers of requests by (failed, status class)."""

    def pack(self, value: dict[tuple[bool, str], int]) -> Any:
        return [[failed, status, number] for (failed, status), number in value.items()]

    def unpack(self, packed: Any) -> dict[tuple[bool, str], int]:
        return {(failed, status): number for failed, status, number in packed}

    def check(self, packed: Any, max_requests: float) -> None:
        check(type(packed) is list)
        for failed, status, requests in packed:
            check(type(failed) is bool and status in ALL_STATUS_CLASSES)
            check_natural(requests, max_requests)


class Phases(OptionalKind[TimingStats]):
    """Durations of the phases of requests, None as long as no client reports any. Packed as [counts, sums in ns,
    {phase: histogram}]."""

    def subtract(self, mine: TimingStats | None, theirs: TimingStats | None) -> TimingStats | None:
        if mine is not None and theirs is not None:
            mine.subtract(theirs)
        return mine

    def pack(self, value: TimingStats | None) -> Any:
        if value is None:
            return None
        histograms = {phase: DURATIONS.pack(histogram) for phase, histogram in value.histograms.items()}
        return [value.counts, value.sums_ns, histograms]

    def unpack(self, packed: Any) -> TimingStats | None:
        if packed is None:
            return None
        timings = TimingStats()
        counts, sums_ns, histograms = packed
        timings.counts, timings.sums_ns = list(counts), list(map(unpack_wide, sums_ns))
        timings.histograms = {phase: DURATIONS.unpack(histogram) for phase, histogram in histograms.items()}
        return timings

    def check(self, packed: Any, max_requests: float) -> None:
        counts, sums_ns, histograms = packed
        check(type(counts) is list and type(sums_ns) is list and type(histograms) is dict)
        check(len(counts) == len(sums_ns) == len(PHASES) and histograms.keys() <= set(PHASES))
        check(set(map(type, counts)) == {int} and min(counts) >= 0)
        check(max(counts) <= max_requests, TOO_MANY)
        for number in sums_ns:
            check_wide(number)
        for histogram in histograms.values():
            DURATIONS.check(histogram, max_requests)


class Exemplar(NamedTuple):
    """A traced request: its W3C trace id, its duration in seconds, and the wall time of its end."""

    trace_id: str
    seconds: float
    time_s: float


_BUCKETS_PER_RANGE = 16


class Exemplars(Kind[dict[int, Exemplar] | None]):
    """The newest traced request of each range of durations (half a doubling wide), by range; None without any."""

    def empty(self) -> dict[int, Exemplar] | None:
        return None

    def add(self, mine: dict[int, Exemplar] | None, exemplar: Exemplar) -> dict[int, Exemplar]:
        """Return `mine` with one more request, as `merge` does."""
        if mine is None:
            mine = {}
        number = bucket_index(exemplar.seconds) // _BUCKETS_PER_RANGE
        known = mine.get(number)
        if known is None or known.time_s <= exemplar.time_s:
            mine[number] = exemplar
        return mine

    def merge(self, mine: dict[int, Exemplar] | None, theirs: dict[int, Exemplar] | None) -> dict[int, Exemplar] | None:
        if mine is None or theirs is None:
            return self.copy(theirs) if mine is None else mine
        for number, exemplar in theirs.items():
            known = mine.get(number)
            if known is None or known.time_s <= exemplar.time_s:
                mine[number] = exemplar
        return mine

    def subtract(
        self, mine: dict[int, Exemplar] | None, theirs: dict[int, Exemplar] | None
    ) -> dict[int, Exemplar] | None:
        return mine

    def copy(self, value: dict[int, Exemplar] | None) -> dict[int, Exemplar] | None:
        return None if value is None else value.copy()

    def pack(self, value: dict[int, Exemplar] | None) -> Any:
        return [list(exemplar) for exemplar in value.values()] if value else []

    def unpack(self, packed: Any) -> dict[int, Exemplar] | None:
        found = None
        for values in packed:
            found = self.add(found, Exemplar(*values))
        return found

    def check(self, packed: Any, max_requests: float) -> None:
        check(type(packed) is list)
        check_texts([trace_id for trace_id, _, _ in packed])
        for _, seconds, time_s in packed:
            check_time(seconds, defaults.MAX_DURATION_S)
            check_time(time_s)


DURATIONS = Durations()
EXEMPLARS = Exemplars()

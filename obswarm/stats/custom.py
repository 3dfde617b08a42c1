"""Statistics of a load test's own metrics: counters, gauges and histograms with a name, a unit and labels.

Histograms have the buckets of obswarm.stats.histogram over a wider range. Counts and sums are integers (the sum in
units of 10^-9), so that merging is exact in any order.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from math import ceil, log2
from typing import Any, NamedTuple

from obswarm import defaults
from obswarm.stats.checks import (
    LATEST_S,
    check,
    check_natural,
    check_texts,
    check_time,
    check_wide,
    unpack_wide,
)
from obswarm.stats.histogram import BUCKETS_PER_DOUBLING, Histogram, middle

SMALLEST = 1e-9
"""Smaller values of a histogram are in its lowest bucket, which stands for 0."""
LARGEST = 1e12
"""Largest value of a counter or a histogram; a gauge may have any finite one."""
_UNIT = 1e9

OTHER_LABEL = "(other)"
"""Value of all labels of the series that has what was recorded beyond the limit of series."""


_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SUFFIXES = ("_total", "_count", "_sum", "_bucket", "_created", "_info")
"""Suffixes that Prometheus' formats add; a name with one could be that of another metric's series."""


def is_custom_name(name: object) -> bool:
    """Return whether a text may be the name of a metric or a label in every output."""
    return isinstance(name, str) and len(name) <= defaults.MAX_METRIC_NAME_LENGTH and _NAME.fullmatch(name) is not None


def reserved_suffix(name: str) -> str | None:
    """Return the suffix that the name of a metric must not have, None if it has none of them."""
    return next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), None)


class CustomKind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class CustomKey(NamedTuple):
    """Identifies a series of a load test's own metric. `labels` are (name, value) in the order of declaration."""

    name: str
    kind: CustomKind
    unit: str = ""
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """The name with its labels, for display: `orders{tier="gold"}`."""
        pairs = ", ".join(f'{name}="{value}"' for name, value in self.labels)
        return f"{self.name}{{{pairs}}}" if pairs else self.name

    @property
    def beyond_limit(self) -> "CustomKey":
        """The series of the same metric for all that is beyond the limit of series."""
        return self._replace(labels=tuple((name, OTHER_LABEL) for name, _ in self.labels))


def custom_bucket(value: float) -> int:
    """Return the index of a value's bucket; values outside of `SMALLEST` to `LARGEST` are in the first or the last."""
    if value <= SMALLEST:
        return FIRST_BUCKET
    return LAST_BUCKET if value >= LARGEST else ceil(log2(value) * BUCKETS_PER_DOUBLING)


FIRST_BUCKET: int = ceil(log2(SMALLEST) * BUCKETS_PER_DOUBLING)
LAST_BUCKET: int = ceil(log2(LARGEST) * BUCKETS_PER_DOUBLING)


class CustomStats:
    """What was recorded of one series: an accumulator that can be merged.

    `count` is the number of recordings; `low` and `high` are their extremes, None without any. Counters and histograms
    have a sum, histograms buckets. Gauges have the value that was set last, by the wall clocks of the processes.
    """

    __slots__ = ("buckets", "count", "high", "last", "last_s", "low", "sum_n")

    def __init__(self) -> None:
        self.count = 0
        self.sum_n = 0
        """Sum of the values, in units of 10^-9."""
        self.low: float | None = None
        self.high: float | None = None
        self.last: float | None = None
        self.last_s = 0.0
        self.buckets: dict[int, int] = {}

    def add(self, amount: float) -> None:
        """Add to a counter."""
        self._note(amount)
        self.sum_n += round(amount * _UNIT)

    def set(self, value: float, time_s: float) -> None:
        """Set a gauge at a wall time."""
        self._note(value)
        # Within a process the order counts, also after its clock was set back.
        self.last, self.last_s = value, max(time_s, self.last_s)

    def record(self, value: float) -> None:
        """Record a value of a histogram."""
        self.add(value)
        index = custom_bucket(value)
        self.buckets[index] = self.buckets.get(index, 0) + 1

    def _note(self, value: float) -> None:
        self.count += 1
        if self.low is None or value < self.low:
            self.low = value
        if self.high is None or value > self.high:
            self.high = value

    def merge(self, other: "CustomStats") -> None:
        """Add another one, which is not changed. Of gauges set at the same time, the larger value is the last one."""
        self.count += other.count
        self.sum_n += other.sum_n
        if other.low is not None:
            self.low = other.low if self.low is None else min(self.low, other.low)
        if other.high is not None:
            self.high = other.high if self.high is None else max(self.high, other.high)
        if other.last is not None and (self.last is None or (other.last_s, other.last) > (self.last_s, self.last)):
            self.last, self.last_s = other.last, other.last_s
        for index, number in other.buckets.items():
            self.buckets[index] = self.buckets.get(index, 0) + number

    def __eq__(self, other: object) -> bool:
        return self.pack() == other.pack() if isinstance(other, CustomStats) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # mutable, and compared by value

    def copy(self) -> "CustomStats":
        copied = CustomStats()
        copied.merge(self)
        return copied

    @property
    def sum(self) -> float:
        return self.sum_n / _UNIT

    @property
    def mean(self) -> float | None:
        """Mean of a counter's or a histogram's values, None without any."""
        return self.sum_n / self.count / _UNIT if self.count else None

    def histogram(self) -> Histogram:
        """Return buckets and sum of a histogram, in its unit instead of seconds."""
        return Histogram(self.buckets, self.sum_n)

    def quantile(self, q: float) -> float | None:
        """Return a histogram's value at rank ceil(q · count), within 1.1 %; None without any.

        Raises ValueError for a q outside 0 to 1.
        """
        values = self.histogram().quantiles((q,))
        if not values or self.low is None or self.high is None:
            return None
        return min(max(0.0 if values[0] <= middle(FIRST_BUCKET) else values[0], self.low), self.high)

    def pack(self) -> list[Any]:
        """Return the values as plain data. Integers may have more than 64 bits."""
        buckets = [number for pair in sorted(self.buckets.items()) for number in pair]
        return [self.count, self.sum_n, self.low, self.high, self.last, self.last_s, buckets]

    @classmethod
    def unpack(cls, packed: Any) -> "CustomStats":
        """Return the statistics of plain data, which is validated or trusted."""
        stats = cls()
        stats.count, sum_n, stats.low, stats.high, stats.last, stats.last_s, buckets = packed
        stats.sum_n = unpack_wide(sum_n)
        stats.buckets = dict(zip(buckets[::2], buckets[1::2], strict=True))
        return stats


def pack_custom(series: Mapping[CustomKey, CustomStats]) -> list[Any]:
    """Return series as plain data: [name, kind, unit, [label, value, label, value …], values] each."""
    return [
        [key.name, str(key.kind), key.unit, [text for pair in key.labels for text in pair], stats.pack()]
        for key, stats in series.items()
    ]


def unpack_custom(rows: Iterable[Any]) -> Iterator[tuple[CustomKey, CustomStats]]:
    """Yield the series of plain data, which is validated or trusted."""
    for name, kind, unit, labels, packed in rows:
        pairs = tuple(zip(labels[::2], labels[1::2], strict=True))
        yield CustomKey(name, CustomKind(kind), unit, pairs), CustomStats.unpack(packed)


def check_custom(rows: Any) -> None:
    """Validate series of a peer. Raises Malformed, or, for data of another structure, ValueError or TypeError."""
    for name, kind, unit, labels, packed in rows:
        check(type(labels) is list and len(labels) % 2 == 0)
        check_texts([name, kind, unit, *labels])
        check(is_custom_name(name) and reserved_suffix(name) is None and all(map(is_custom_name, labels[::2])))
        counter, gauge = CustomKind(kind) is CustomKind.COUNTER, CustomKind(kind) is CustomKind.GAUGE
        count, sum_n, low, high, last, last_s, buckets = packed
        check(check_natural(count) > 0)
        check_wide(sum_n)
        check_time(last_s, LATEST_S)
        for value in (low, high, *([last] if gauge else [])):
            check(type(value) is float and math.isfinite(value) and (gauge or 0 <= value <= LARGEST))
        check(low <= high and (gauge or last is None))
        check(unpack_wide(sum_n) <= count * (LARGEST * _UNIT + 1) and (not gauge or not unpack_wide(sum_n)))
        check(type(buckets) is list and set(map(type, buckets)) <= {int} and len(buckets) % 2 == 0)
        indexes, counts = buckets[::2], buckets[1::2]
        check(indexes == sorted(set(indexes)) and min(counts, default=1) > 0)
        check(min(indexes, default=FIRST_BUCKET) >= FIRST_BUCKET and max(indexes, default=LAST_BUCKET) <= LAST_BUCKET)
        check(sum(counts) == (0 if counter or gauge else count))


class CustomSeries(dict[CustomKey, CustomStats]):
    """Series of a process, of an interval or of a whole run, of limited number."""

    def series(self, key: CustomKey) -> CustomStats:
        """Return the statistics of a series; beyond the limit, those of `key.beyond_limit`."""
        found = self.get(key)
        if found is None:
            if len(self) >= defaults.MAX_CUSTOM_SERIES and key.labels:
                key = key.beyond_limit
            found = self.get(key)
            if found is None:
                found = self[key] = CustomStats()
        return found

    def merge(self, other: Mapping[CustomKey, CustomStats]) -> None:
        """Add other series, which are not changed."""
        for key, stats in other.items():
            self.series(key).merge(stats)

    def copy(self) -> "CustomSeries":
        return CustomSeries((key, stats.copy()) for key, stats in self.items())

    def take(self) -> "CustomSeries":
        """Return everything, and start anew."""
        taken = CustomSeries(self)
        self.clear()
        return taken


def summed(found: Iterable[CustomStats]) -> CustomStats:
    """Return the sum of several series, a new object."""
    total = CustomStats()
    for stats in found:
        total.merge(stats)
    return total


RECORDED = CustomSeries()
"""What the load test in this process has recorded since the recorder of its run took it last. Load-test files declare
metrics when they are imported, before there is a run."""

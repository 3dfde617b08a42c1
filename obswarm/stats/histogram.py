"""Histogram of durations: sparse, base-2 exponential buckets as in Prometheus native histograms, schema 5.

Bucket i holds durations in (2^((i-1)/32), 2^(i/32)] seconds, so neighbouring bounds differ by 2^(1/32) = 2.19 %, and
the geometric middle of a bucket is within 2^(1/64) - 1 = 1.09 % of every duration in it. Layout and schema numbers are
those of the Prometheus native histogram specification (schema n has 2^n buckets per doubling).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from math import ceil, inf, log2, nextafter

from obswarm.defaults import MAX_DURATION_S

SCHEMA = 5
BUCKETS_PER_DOUBLING: int = 2**SCHEMA
SHORTEST_S = 1e-6
LONGEST_S = 3600.0


def bucket_index(seconds: float) -> int:
    """Return the index of a duration's bucket; durations outside 1 µs to 1 h are in the first or the last bucket."""
    if seconds <= SHORTEST_S:
        return FIRST_BUCKET
    if seconds >= LONGEST_S:
        return LAST_BUCKET
    return ceil(log2(seconds) * BUCKETS_PER_DOUBLING)


FIRST_BUCKET: int = ceil(log2(SHORTEST_S) * BUCKETS_PER_DOUBLING)
LAST_BUCKET: int = ceil(log2(LONGEST_S) * BUCKETS_PER_DOUBLING)


def upper_bound(index: int) -> float:
    """Return the largest duration of a bucket, in seconds."""
    return float(2.0 ** (index / BUCKETS_PER_DOUBLING))


def middle(index: int) -> float:
    """Return the geometric middle of a bucket in seconds: the estimate with the smallest maximum relative error."""
    return float(2.0 ** ((index - 0.5) / BUCKETS_PER_DOUBLING))


@cache
def _bounds() -> list[float]:
    """Return the largest duration of each bucket but the last one. They may differ from `upper_bound` in the last
    digit, so that exactly these are what `bucket_index` says."""
    bounds = []
    for index in range(FIRST_BUCKET, LAST_BUCKET):
        bound = upper_bound(index)
        while bucket_index(bound) > index:
            bound = nextafter(bound, 0.0)
        while bucket_index(nextafter(bound, inf)) <= index:
            bound = nextafter(bound, inf)
        bounds.append(bound)
    return bounds


class Histogram:
    """Counts of durations by bucket, with their exact number and sum.

    All values are integers (the sum in nanoseconds), so that merging and subtracting are exact in any order.
    """

    __slots__ = ("buckets", "count", "sum_ns")

    def __init__(self, buckets: Mapping[int, int] | None = None, sum_ns: int = 0) -> None:
        self.buckets: dict[int, int] = dict(buckets) if buckets else {}
        self.count = sum(self.buckets.values())
        self.sum_ns = sum_ns

    def record(self, seconds: float) -> None:
        """Count one duration. A negative one (a client of a load test with a clock that was set back) counts as zero.

        Raises ValueError for NaN and for more than `defaults.MAX_DURATION_S`, and counts nothing then.
        """
        if SHORTEST_S < seconds < LONGEST_S:
            # bucket_index, inlined.
            index = ceil(log2(seconds) * BUCKETS_PER_DOUBLING)
        else:
            if not seconds <= MAX_DURATION_S:
                raise ValueError(f"not the duration of a request in seconds: {seconds!r}")
            seconds = max(seconds, 0.0)
            index = bucket_index(seconds)
        buckets = self.buckets
        try:
            buckets[index] += 1
        except KeyError:
            buckets[index] = 1
        self.count += 1
        self.sum_ns += int(seconds * 1e9 + 0.5)

    def record_all(self, ascending_s: Sequence[float], total_s: float) -> None:
        """Count many durations of 0 to `defaults.MAX_DURATION_S` seconds, in ascending order, and with that sum."""
        # Two searches for each bucket that occurs cost less than a logarithm for each duration.
        bounds, buckets = _bounds(), self.buckets
        counted, number = 0, len(ascending_s)
        while counted < number:
            place = bisect_left(bounds, ascending_s[counted])
            end = bisect_right(ascending_s, bounds[place], counted) if place < len(bounds) else number
            index = FIRST_BUCKET + place
            buckets[index] = buckets.get(index, 0) + end - counted
            counted = end
        self.count += number
        self.sum_ns += int(total_s * 1e9 + 0.5)

    def merge(self, other: "Histogram") -> None:
        """Add the counts of another one."""
        mine = self.buckets
        for index, number in other.buckets.items():
            mine[index] = mine.get(index, 0) + number
        self.count += other.count
        self.sum_ns += other.sum_ns

    def subtract(self, other: "Histogram") -> None:
        """Subtract a histogram that was merged before. Raises ValueError if it cannot have been."""
        left = dict(self.buckets)
        for index, number in other.buckets.items():
            rest = left.get(index, 0) - number
            if rest < 0:
                raise ValueError(f"bucket {index} holds {left.get(index, 0)}, fewer than the {number} to subtract")
            if rest:
                left[index] = rest
            else:
                left.pop(index, None)
        self.buckets = left
        self.count -= other.count
        self.sum_ns -= other.sum_ns

    def copy(self) -> "Histogram":
        copied = Histogram()
        copied.buckets = self.buckets.copy()
        copied.count = self.count
        copied.sum_ns = self.sum_ns
        return copied

    @property
    def sum_s(self) -> float:
        return self.sum_ns / 1e9

    @property
    def mean_s(self) -> float | None:
        """Exact mean in seconds, None if empty."""
        return self.sum_ns / self.count / 1e9 if self.count else None

    def quantile(self, q: float) -> float | None:
        """Return the duration in seconds at rank ceil(q · count), within 1.1 %; None if empty.

        Raises ValueError for a q outside 0 to 1.
        """
        values = self.quantiles((q,))
        return values[0] if values else None

    def quantiles(self, qs: tuple[float, ...]) -> tuple[float, ...]:
        """Return several quantiles, in the order of `qs`, in one pass; an empty tuple if the histogram is empty."""
        if any(not 0 <= q <= 1 for q in qs):
            raise ValueError(f"quantiles must be between 0 and 1, got {qs}")
        if not self.count or not qs:
            return ()
        ranks = sorted({self._rank(q) for q in qs})
        found: dict[int, float] = {}
        seen = 0
        pending = iter(ranks)
        rank = next(pending)
        for index, number in sorted(self.buckets.items()):
            seen += number
            while seen >= rank:
                found[rank] = middle(index)
                following = next(pending, None)
                if following is None:
                    return tuple(found[self._rank(q)] for q in qs)
                rank = following
        raise AssertionError("a rank beyond the count")

    def _rank(self, q: float) -> int:
        return max(1, ceil(q * self.count))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Iterate over (index, count) in ascending order of duration."""
        return iter(sorted(self.buckets.items()))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self.buckets == other.buckets and self.sum_ns == other.sum_ns

    __hash__ = None  # type: ignore[assignment]  # mutable, and compared by value

    def __repr__(self) -> str:
        return f"Histogram({dict(self)!r}, sum_ns={self.sum_ns})"

"""Estimate response times in an interval with requests in flight taken into account. Pure functions of histograms.

Durations of finished requests do not show that a target has stopped responding: its requests are still in flight. Their
ages are lower bounds of their durations. Using an age as a duration would be wrong in the other direction, since one
slow request is in flight in many intervals but finishes in one. Therefore the share of requests that take longer than d
is estimated with the Kaplan-Meier estimator with late entry (in demography: a period life table):

    S(d) = product over all durations x <= d of finished requests of (1 - finished at x / reached x in the interval)

A request has reached x if it was x old at some time of the interval, finished or not. If all requests finish within the
interval, S(d) is the share of requests that took longer than d.

If no request finishes in an interval, the ages are lower bounds of the durations. Each user without a request in flight
then counts as one fast request: with 30 users between two requests, one long poll is 1 of 31, not the only request.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from obswarm.stats import Histogram, bucket_index
from obswarm.stats.histogram import FIRST_BUCKET, middle


class AtLeast(float):
    """A lower bound: the true value is this or more."""

    __slots__ = ()


def quantile_of_ages(ages: Histogram, resting: float, q: float) -> AtLeast | None:
    """Return a lower bound of the quantile of durations if no request has finished.

    It is the quantile of the ages (seconds) of requests in flight and of `resting` durations that are shorter than all
    of them; None if it is among the latter.
    """
    rank = q * (ages.count + resting) - resting
    return AtLeast(ages.quantile(rank / ages.count) or 0.0) if rank > 1e-9 else None


def mean_of_ages(ages: Histogram, resting: float) -> AtLeast:
    """Return a lower bound of the mean duration if no request has finished; `resting` durations count as 0."""
    sum_s = sum(middle(index) * count for index, count in ages)
    return AtLeast(sum_s / (ages.count + resting))


class Durations:
    """The estimated distribution of durations: seconds in ascending order, each with its share.

    `known` is the sum of the shares of finished requests; the others are those of ages, which are lower bounds.
    """

    def __init__(self, finished: Histogram, ages: Histogram, interval_s: float) -> None:
        self._seconds: list[float] = []
        self._shares: list[float] = []
        left = 1.0
        ended, waiting = _Counts(finished), _Counts(ages)
        for index, count in finished:
            last = bucket_index(middle(index) + interval_s)
            reached = ended.within(index, last) + waiting.within(index, last)
            share = left * count / reached
            self._seconds.append(middle(index))
            self._shares.append(share)
            left -= share
        self.known = 1.0 - left if finished.count else 0.0
        # Requests younger than the longest duration are in the estimate already.
        longest = max(finished.buckets, default=FIRST_BUCKET)
        older = [(index, count) for index, count in ages if index >= longest]
        whole = sum(count for _, count in older)
        if left > 1e-9 and whole:
            self._seconds.extend(middle(index) for index, _ in older)
            self._shares.extend(left * count / whole for _, count in older)

    def quantile(self, q: float) -> float | None:
        """None if there are neither finished requests nor ages."""
        if not self._seconds:
            return None
        sums = list(accumulate(self._shares))
        position = min(bisect_left(sums, q * sums[-1] - 1e-9), len(sums) - 1)
        return self._seconds[position] if sums[position] <= self.known + 1e-9 else AtLeast(self._seconds[position])

    @property
    def mean_s(self) -> float | None:
        """None if there are neither finished requests nor ages."""
        if not self._seconds:
            return None
        mean_s = sum(seconds * share for seconds, share in zip(self._seconds, self._shares, strict=True))
        return mean_s / sum(self._shares)


class _Counts:
    """Counts of a histogram in ranges of buckets."""

    def __init__(self, histogram: Histogram) -> None:
        rows = list(histogram)
        self._indexes: Sequence[int] = [index for index, _ in rows]
        self._sums = [0, *accumulate(count for _, count in rows)]

    def within(self, first: int, last: int) -> int:
        return self._sums[bisect_right(self._indexes, last)] - self._sums[bisect_left(self._indexes, first)]

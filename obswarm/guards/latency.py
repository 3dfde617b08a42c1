"""How long requests take in an interval, with those in view that are still under way: pure functions of histograms.

Durations of finished requests alone say nothing of a target that does not answer: the requests that would show it have
no duration yet. They have an age, and will take at least that long. Taking an age for a duration would be wrong in the
other direction, since one slow request is under way in many intervals but finishes in one. So the share of requests
that take longer than d is estimated as demographers estimate survival from one year's deaths (a period life table; the
Kaplan-Meier estimator with late entry):

    S(d) = product over all durations x <= d of finished requests of (1 - finished at x / reached x in the interval)

A request has reached x in the interval when it was x old at some moment of it, whether it has finished since or is
still under way. When everything finishes within the interval, S is the plain share of what took longer than d.

When nothing finishes in an interval, the ages are all that there is to go by, and durations are at least those. Then a
user who waits for no answer counts as one whose request was quick: with 30 users between two requests, one long poll
is one of 31 and not the whole.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from obswarm.stats import Histogram, bucket_index
from obswarm.stats.histogram import FIRST_BUCKET, middle


class AtLeast(float):
    """A value that is known from below only: the true one is this, or more."""

    __slots__ = ()


def quantile_of_ages(ages: Histogram, resting: float, q: float) -> AtLeast | None:
    """The quantile of durations when nothing has finished, from below: that of the ages (seconds) of requests under way
    with `resting` durations that are shorter than all of them. None where it falls among those."""
    rank = q * (ages.count + resting) - resting
    return AtLeast(ages.quantile(rank / ages.count) or 0.0) if rank > 1e-9 else None


def mean_of_ages(ages: Histogram, resting: float) -> AtLeast:
    """The mean of durations when nothing has finished, from below: `resting` of them may be next to nothing."""
    sum_s = sum(middle(index) * count for index, count in ages)
    return AtLeast(sum_s / (ages.count + resting))


class Durations:
    """The distribution of durations: seconds in ascending order, each with its share. `known` is the sum of the shares
    that finished requests stand for; those of the rest are of ages, from below."""

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
        # Those younger than the longest duration are accounted for: they may still end like the finished ones.
        longest = max(finished.buckets, default=FIRST_BUCKET)
        older = [(index, count) for index, count in ages if index >= longest]
        whole = sum(count for _, count in older)
        if left > 1e-9 and whole:
            self._seconds.extend(middle(index) for index, _ in older)
            self._shares.extend(left * count / whole for _, count in older)

    def quantile(self, q: float) -> float | None:
        """None when nothing is known at all."""
        if not self._seconds:
            return None
        sums = list(accumulate(self._shares))
        position = min(bisect_left(sums, q * sums[-1] - 1e-9), len(sums) - 1)
        return self._seconds[position] if sums[position] <= self.known + 1e-9 else AtLeast(self._seconds[position])

    @property
    def mean_s(self) -> float | None:
        """None when nothing is known at all."""
        if not self._seconds:
            return None
        mean_s = sum(seconds * share for seconds, share in zip(self._seconds, self._shares, strict=True))
        return mean_s / sum(self._shares)


class _Counts:
    """How many there are in a range of buckets."""

    def __init__(self, histogram: Histogram) -> None:
        rows = list(histogram)
        self._indexes: Sequence[int] = [index for index, _ in rows]
        self._sums = [0, *accumulate(count for _, count in rows)]

    def within(self, first: int, last: int) -> int:
        return self._sums[bisect_right(self._indexes, last)] - self._sums[bisect_left(self._indexes, first)]

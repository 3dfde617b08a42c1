"""Samples of a metric as columns: runs may have thousands of metrics for hours."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload


class SampleSeries(Sequence[tuple[float, float]]):
    """(time, value) of a metric, in ascending order of time; wall times in seconds.

    There is a sample for each change, and there may be more. `times_s` and `values` are its columns; series of metrics
    that were sampled at the same moments share one array of times.
    """

    __slots__ = ("times_s", "values")

    def __init__(self, times_s: "array[float]", values: "array[float]") -> None:
        self.times_s = times_s
        self.values = values

    @classmethod
    def of(cls, points: Iterable[tuple[float, float]]) -> "SampleSeries":
        """Return the series of (time, value)."""
        every = list(points)
        return cls(array("d", [time_s for time_s, _ in every]), array("d", [value for _, value in every]))

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, at: int) -> tuple[float, float]: ...

    @overload
    def __getitem__(self, at: slice) -> "SampleSeries": ...

    def __getitem__(self, at: int | slice) -> "tuple[float, float] | SampleSeries":
        if isinstance(at, slice):
            return SampleSeries(self.times_s[at], self.values[at])
        return self.times_s[at], self.values[at]

    def __iter__(self) -> Iterator[tuple[float, float]]:
        return zip(self.times_s, self.values, strict=True)

    def __repr__(self) -> str:
        return f"SampleSeries.of({list(self)!r})"

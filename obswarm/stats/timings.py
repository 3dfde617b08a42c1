"""Durations of the phases of requests: connect, TLS handshake, first byte, download; as sums, and as histograms on
request."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from obswarm.stats.histogram import Histogram

PHASES = ("connect", "tls", "first_byte", "download")


class PhaseTimes(NamedTuple):
    """The phases of one request, in seconds. None for a phase that it did not have, as on an open connection."""

    connect_s: float | None
    tls_s: float | None
    first_byte_s: float
    download_s: float


Times = tuple[float | None, float | None, float, float]
"""PhaseTimes, or a plain tuple with the same values."""


class TimingStats:
    """Number and total duration (nanoseconds) of each phase, in the order of `PHASES`.

    `histograms` is empty unless the recorder has `detailed_timings`.
    """

    __slots__ = ("counts", "histograms", "sums_ns")

    def __init__(self) -> None:
        self.counts = [0, 0, 0, 0]
        self.sums_ns = [0, 0, 0, 0]
        self.histograms: dict[str, Histogram] = {}

    def record(self, times: Times, detailed: bool) -> None:
        counts, sums = self.counts, self.sums_ns
        connect_s, tls_s, first_byte_s, download_s = times
        if connect_s is not None:
            counts[0] += 1
            sums[0] += int(connect_s * 1e9)
            if tls_s is not None:
                counts[1] += 1
                sums[1] += int(tls_s * 1e9)
        counts[2] += 1
        # A response may begin before the request has been sent completely.
        sums[2] += int(first_byte_s * 1e9) if first_byte_s > 0 else 0
        counts[3] += 1
        sums[3] += int(download_s * 1e9)
        if detailed:
            for phase, seconds in zip(PHASES, times, strict=True):
                if seconds is not None:
                    self._histogram(phase).record(seconds if seconds > 0 else 0.0)

    def record_first_bytes(self, ascending_s: Sequence[float], total_s: float, detailed: bool) -> None:
        """Count requests on open connections whose whole response came with its first byte, after so many seconds: in
        ascending order, and with that sum."""
        number = len(ascending_s)
        self.counts[2] += number
        self.counts[3] += number
        self.sums_ns[2] += int(total_s * 1e9)
        if detailed:
            self._histogram(PHASES[2]).record_all(ascending_s, total_s)
            self._histogram(PHASES[3]).record_all((0.0,) * number, 0.0)

    def _histogram(self, phase: str) -> Histogram:
        found = self.histograms.get(phase)
        if found is None:
            found = self.histograms[phase] = Histogram()
        return found

    def merge(self, other: "TimingStats") -> None:
        for number in range(len(PHASES)):
            self.counts[number] += other.counts[number]
            self.sums_ns[number] += other.sums_ns[number]
        for phase, histogram in other.histograms.items():
            self._histogram(phase).merge(histogram)

    def subtract(self, other: "TimingStats") -> None:
        for number in range(len(PHASES)):
            self.counts[number] -= other.counts[number]
            self.sums_ns[number] -= other.sums_ns[number]
        for phase, histogram in other.histograms.items():
            self._histogram(phase).subtract(histogram)

    def copy(self) -> "TimingStats":
        copied = TimingStats()
        copied.counts = self.counts.copy()
        copied.sums_ns = self.sums_ns.copy()
        copied.histograms = {phase: histogram.copy() for phase, histogram in self.histograms.items()}
        return copied

    def means_s(self) -> Mapping[str, float]:
        """Return the mean duration in seconds of each phase that any request had."""
        return {
            phase: total / count / 1e9
            for phase, count, total in zip(PHASES, self.counts, self.sums_ns, strict=True)
            if count
        }

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TimingStats):
            return NotImplemented
        mine = {phase: histogram for phase, histogram in self.histograms.items() if histogram.count}
        theirs = {phase: histogram for phase, histogram in other.histograms.items() if histogram.count}
        return (self.counts, self.sums_ns, mine) == (other.counts, other.sums_ns, theirs)

    __hash__ = None  # type: ignore[assignment]  # mutable, and compared by value

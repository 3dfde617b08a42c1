"""When each series of a run was created: the last moment at which its counter is known to have been zero.

`increase()` needs it (https://prometheus.io/docs/prometheus/latest/feature_flags/#created-timestamps-zero-injection): a
series begins with the value that its first scrape found, so that Prometheus takes everything before that for old. It
has to be a series' own time. The start of the run is too long ago for an endpoint that is new after an hour: Prometheus
takes no samples that are so old, and a query of the last minute would not see it.
"""

SeriesKey = tuple[str, tuple[str, ...]]
"""A metric's name, and the values of its labels."""


class CreatedTimes:
    """Remembers, over the expositions of a run, which series there have been.

    Times are wall times in seconds.
    """

    def __init__(self) -> None:
        self._known: dict[SeriesKey, float] = {}
        self._absent_until_s = 0.0
        """Time of the newest snapshot of which all series are known."""

    def clear(self) -> None:
        """Another run begins."""
        self._known.clear()
        self._absent_until_s = 0.0

    def exposition(self, started_s: float, snapshot_s: float) -> "Exposition":
        """Begin an exposition of the snapshot of that time, of a run that started then."""
        return Exposition(self, max(started_s, self._absent_until_s), snapshot_s)


class Exposition:
    """One pass over a snapshot's series. Several may be under way."""

    def __init__(self, times: CreatedTimes, absent_until_s: float, snapshot_s: float) -> None:
        self._times = times
        self._absent_until_s = absent_until_s
        self._snapshot_s = snapshot_s

    def created_s(self, key: SeriesKey) -> float:
        """Of a series of this snapshot: when it was created, at the latest."""
        return self._times._known.setdefault(key, self._absent_until_s)

    def finish(self) -> None:
        """All series of the snapshot have been asked for: others are newer than it is."""
        self._times._absent_until_s = max(self._times._absent_until_s, self._snapshot_s)

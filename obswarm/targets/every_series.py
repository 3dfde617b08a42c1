"""Every series of a target whose metrics obswarm does not know: which ones are recorded, and their names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from obswarm.record import MetricKey, SampleSeries
from obswarm.sanitize import clean_text
from obswarm.targets.source import Target

MAX_SERIES = 1000
"""Series of a target that are recorded."""
_LONGEST_NAME = 200


@runtime_checkable
class LiveSeries(Protocol):
    """A source that has the values of every series of some targets during the run."""

    def series_values(self) -> Mapping[MetricKey, float]:
        """Return the values of the last scrape. Does not block."""


@runtime_checkable
class PastSeries(Protocol):
    """A source that has every series of the targets after the run."""

    def series_between(self, start_s: float, end_s: float) -> Mapping[MetricKey, SampleSeries]:
        """Return the series between two wall times. May switch greenlets. Raises SourceError."""


def names_within(counts: Mapping[str, int], most: int = MAX_SERIES) -> list[str]:
    """Return the metrics that are recorded, of those with these numbers of series: as many as fit into `most` series,
    those with the fewest series first, since buckets and other details have the most."""
    chosen = []
    for name, count in sorted(counts.items(), key=lambda each: (each[1], each[0])):
        most -= count
        if most < 0:
            break
        chosen.append(name)
    return chosen


def series_key(target: Target, series: str) -> MetricKey:
    """Return the key of a series by its text, as `jobs_waiting{queue="mail"}`."""
    return MetricKey(target.name, target.kind, clean_text(series, _LONGEST_NAME), "number")


@dataclass(slots=True)
class EverySeries:
    """The series of a target from page to page."""

    target: Target
    most: int = MAX_SERIES
    values: dict[MetricKey, float] = field(default_factory=dict)
    """Those of the last page, empty if it could not be scraped."""
    left_out: int = 0
    """Series of the last page that are beyond the limit."""
    _names: set[str] = field(default_factory=set)
    _keys: dict[str, MetricKey] = field(default_factory=dict)

    def page(self, samples: Iterable[tuple[str, str, float]]) -> None:
        """Take the samples of a page: (name of the metric, text of the series, value). Metrics that were recorded once
        have precedence."""
        every = list(samples)
        counts: dict[str, int] = {}
        for name, _, _ in every:
            counts[name] = counts.get(name, 0) + 1
        known = {name: count for name, count in counts.items() if name in self._names}
        self._names.update(names_within(known, self.most))
        room = self.most - sum(known.values())
        self._names.update(names_within({name: count for name, count in counts.items() if name not in known}, room))
        self.values = {}
        for name, series, value in every:
            if name in self._names and len(self.values) < self.most:
                key = self._keys.get(series) or series_key(self.target, series)
                self.values[key] = value
        self._keys = {key.name: key for key in self.values}
        self.left_out = len(every) - len(self.values)

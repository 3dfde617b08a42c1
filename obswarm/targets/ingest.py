"""Ingest scraped pages as Prometheus does: target labels, duplicates, staleness, and the series about the scrape itself
(`up` …). No I/O; the time is an argument.

https://prometheus.io/docs/concepts/jobs_instances/,
https://prometheus.io/docs/prometheus/latest/querying/basics/#staleness
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from obswarm.targets.every_series import EverySeries
from obswarm.targets.exposition import Entry, LabelPairs, LabelsError, labels_of
from obswarm.targets.series import Labels, SeriesStore
from obswarm.targets.source import Target

UP = "up"
_LONGEST_AHEAD_S = 600.0
_MAX_UNUSED = 1000
_NEVER: float = math.inf


@dataclass(slots=True)
class _KnownSeries:
    """A series, by its text in the page. `labels` is None if the store does not keep samples of the metric."""

    name: str
    labels: Labels | None
    of_kind: bool
    scrape: int


@dataclass(frozen=True, slots=True)
class PageCount:
    """Counts for a page: samples including duplicates, samples with valid labels, new series, samples of metrics of the
    target's kind."""

    samples: int = 0
    taken: int = 0
    new_series: int = 0
    of_kind: int = 0


class TargetSeries:
    """The series of one target from scrape to scrape. `wanted` are the metric names of its kind, None for all of them:
    `every` has their values then."""

    def __init__(self, store: SeriesStore, target: Target, wanted: Collection[str] | None) -> None:
        self._store = store
        self._wanted = wanted
        self.every = EverySeries(target) if wanted is None else None
        # Without a port if the configured address has none.
        self._own = {"job": target.name, "instance": urlsplit(target.url).netloc.rpartition("@")[2]}
        self._known: dict[str, _KnownSeries] = {}
        self._scrape = 0
        self._last_read: float = _NEVER
        self._readable = 0
        self._present: dict[tuple[str, Labels], None] = {}
        self.count = PageCount()
        """Counts for the page of the current scrape, as far as it could be parsed."""

    def begin(self) -> None:
        """Start a scrape."""
        self._scrape += 1
        self.count = PageCount()

    def ingest(self, page: str, media_type: str, found: Iterable[Entry], time_s: float, wall_s: float) -> None:
        """Store the samples of a page, all or none; of duplicates the first. Series that are absent become stale.

        `time_s` is the start of the scrape on the store's clock, `wall_s` the same as wall time. Raises ParseError,
        also from iterating over `found`.
        """
        taken = refused = new = of_kind = 0
        stored: list[tuple[str, Labels, float, float]] = []
        present: dict[tuple[str, Labels], None] = {}
        values: list[tuple[str, str, float]] = []
        try:
            for entry in found:
                known = self._known.get(entry.series)
                if known is None:
                    known = self._known[entry.series] = self._first_seen(page, entry, media_type)
                    new += 1
                taken += 1
                known.scrape = self._scrape
                of_kind += known.of_kind
                if self.every is not None:
                    values.append((known.name, entry.series, entry.value))
                if known.labels is None:
                    continue
                if entry.timestamp_s is None:
                    present[known.name, known.labels] = None
                    stored.append((known.name, known.labels, time_s, entry.value))
                elif entry.timestamp_s <= wall_s + _LONGEST_AHEAD_S:
                    stored.append((known.name, known.labels, time_s + entry.timestamp_s - wall_s, entry.value))
        except LabelsError:
            refused = 1
            raise
        finally:
            self.count = PageCount(taken + refused, taken, new, of_kind)
        if self.every is not None:
            self.every.page(values)
        for sample in stored:
            self._store.append(*sample)
        self._drop_absent(present, time_s)
        self._last_read = self._scrape
        self._readable = taken
        self._forget_unused(taken)

    def metric_names(self, of_last_page: bool) -> set[str]:
        """Return the metric names of the last page (none if its scrape failed), or of all known series."""
        return {known.name for known in self._known.values() if known.scrape >= self._last_read or not of_last_page}

    def _first_seen(self, page: str, entry: Entry, media_type: str) -> _KnownSeries:
        name, pairs = labels_of(page, entry, media_type)
        labels = self._labels(pairs) if self._store.keeps(name) else None
        return _KnownSeries(name, labels, self._wanted is None or name in self._wanted, 0)

    def _labels(self, pairs: LabelPairs) -> Labels:
        """Add the target's labels; a label of the page with the same name becomes exported_… (`honor_labels:
        false`)."""
        labels = dict(pairs)
        taken = sorted((name for name in self._own if name in labels), key=len)
        values = {name: labels[name] for name in taken}
        labels |= self._own
        for name in taken:
            free = f"exported_{name}"
            while free in labels:
                free = f"exported_{free}"
            labels[free] = values[name]
        return tuple(sorted(labels.items()))

    def _drop_absent(self, present: dict[tuple[str, Labels], None], time_s: float) -> None:
        for key in self._present:
            if key not in present:
                self._store.append(*key, time_s, None)
        self._present = present

    def _forget_unused(self, max_known: int) -> None:
        if len(self._known) > max_known:
            self._known = {text: known for text, known in self._known.items() if known.scrape == self._scrape}

    def mark_stale(self, time_s: float) -> None:
        """Mark all series as stale, after a failed scrape."""
        if self.every is not None:
            self.every.values = {}
        self._drop_absent({}, time_s)
        self._last_read = _NEVER
        # Limited, since a target whose pages can never be parsed may have new series in each of them.
        self._forget_unused(2 * self._readable + _MAX_UNUSED)

    def add_scrape_series(self, up: bool, time_s: float, duration_s: float) -> None:
        """Store the series about the scrape itself (`up`, `scrape_duration_seconds` …)."""
        labels = tuple(sorted(self._own.items()))
        for name, value in (
            (UP, float(up)),
            ("scrape_duration_seconds", duration_s),
            ("scrape_samples_scraped", float(self.count.samples)),
            ("scrape_samples_post_metric_relabeling", float(self.count.taken)),
            ("scrape_series_added", float(self.count.new_series)),
        ):
            self._store.append(name, labels, time_s, value)
        self._store.forget(time_s)

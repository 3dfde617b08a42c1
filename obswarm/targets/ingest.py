"""What is kept of a target's pages, as Prometheus has it: labels, duplicates, staleness, and the series about the
scrape itself. No I/O; time is an argument.

https://prometheus.io/docs/concepts/jobs_instances/, https://prometheus.io/docs/prometheus/latest/querying/basics/#staleness
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from obswarm.targets.exposition import Entry, LabelPairs, LabelsError, labels_of
from obswarm.targets.series import Labels, SeriesStore
from obswarm.targets.source import Target

UP = "up"
_LONGEST_AHEAD_S = 600.0
_MOST_UNUSED = 1000
_NEVER: float = math.inf


@dataclass(slots=True)
class _Known:
    """A series by the text that a page has for it. `labels` is None where the store does not want the metric."""

    name: str
    labels: Labels | None
    of_kind: bool
    scrape: int


@dataclass(frozen=True, slots=True)
class PageCount:
    """Samples of a page, duplicates among them; those of them whose labels are right; new series; samples of metrics of
    the target's kind."""

    samples: int = 0
    taken: int = 0
    new_series: int = 0
    of_kind: int = 0


class TargetSeries:
    """The series of one target, from scrape to scrape. `wanted` are the metrics of its kind."""

    def __init__(self, store: SeriesStore, target: Target, wanted: Collection[str]) -> None:
        self._store = store
        self._wanted = wanted
        # Of the address as it is given: without a port where that gives none.
        self._own = {"job": target.name, "instance": urlsplit(target.url).netloc.rpartition("@")[2]}
        self._known: dict[str, _Known] = {}
        self._scrape = 0
        self._last_read: float = _NEVER
        self._readable = 0
        self._present: dict[tuple[str, Labels], None] = {}
        self.count = PageCount()
        """Of this scrape's page, as far as it could be read."""

    def begin(self) -> None:
        """Before each scrape."""
        self._scrape += 1
        self.count = PageCount()

    def ingest(self, page: str, media_type: str, found: Iterable[Entry], time_s: float, wall_s: float) -> None:
        """Keep the samples of a page, all or none, and the first of duplicates; what is no longer there is stale.
        `time_s` is when it was asked for, on the store's clock, `wall_s` the same as a wall time. Raises ParseError,
        also out of `found`."""
        taken = refused = new = of_kind = 0
        kept: list[tuple[str, Labels, float, float]] = []
        present: dict[tuple[str, Labels], None] = {}
        try:
            for entry in found:
                known = self._known.get(entry.series)
                if known is None:
                    known = self._known[entry.series] = self._first_seen(page, entry, media_type)
                    new += 1
                taken += 1
                known.scrape = self._scrape
                of_kind += known.of_kind
                if known.labels is None:
                    continue
                if entry.timestamp_s is None:
                    present[known.name, known.labels] = None
                    kept.append((known.name, known.labels, time_s, entry.value))
                elif entry.timestamp_s <= wall_s + _LONGEST_AHEAD_S:
                    kept.append((known.name, known.labels, time_s + entry.timestamp_s - wall_s, entry.value))
        except LabelsError:
            refused = 1
            raise
        finally:
            self.count = PageCount(taken + refused, taken, new, of_kind)
        for sample in kept:
            self._store.append(*sample)
        self._drop_absent(present, time_s)
        self._last_read = self._scrape
        self._readable = taken
        self._forget_unused(taken)

    def metric_names(self, of_last_page: bool) -> set[str]:
        """Of the page that was read last, none where that could not be read; or of earlier ones as well, as far as they
        are remembered."""
        return {known.name for known in self._known.values() if known.scrape >= self._last_read or not of_last_page}

    def _first_seen(self, page: str, entry: Entry, media_type: str) -> _Known:
        name, pairs = labels_of(page, entry, media_type)
        labels = self._labels(pairs) if self._store.keeps(name) else None
        return _Known(name, labels, name in self._wanted, 0)

    def _labels(self, pairs: LabelPairs) -> Labels:
        """With the target's own: a page's label of such a name becomes exported_…, as with `honor_labels: false`."""
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

    def _forget_unused(self, most: int) -> None:
        if len(self._known) > most:
            self._known = {text: known for text, known in self._known.items() if known.scrape == self._scrape}

    def lose(self, time_s: float) -> None:
        """After a scrape that failed: all series are stale."""
        self._drop_absent({}, time_s)
        self._last_read = _NEVER
        # A target whose pages never can be read would have this grow.
        self._forget_unused(2 * self._readable + _MOST_UNUSED)

    def report(self, up: bool, time_s: float, duration_s: float) -> None:
        """Keep the series about the scrape itself."""
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

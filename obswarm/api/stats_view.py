"""Statistics under Locust's names and in its units (milliseconds), for listeners that judge a run."""

from collections.abc import Callable
from typing import Any

from obswarm.api.stats_entry import EntryView, log_error, log_request
from obswarm.api.stats_error import StatsError
from obswarm.api.stats_source import PendingSource, RunSource, StatsSource
from obswarm.record import Snapshot
from obswarm.stats import TOTAL, Recorder, StatsTable, endpoint_key


class Entries(dict[tuple[str, str], EntryView]):
    """Endpoints by (name, method), in Locust's order of the two; one without requests has an empty entry."""

    def __init__(self, entry_of: Callable[[str, str], EntryView]) -> None:
        super().__init__()
        self._entry_of = entry_of

    def __missing__(self, key: tuple[str, str]) -> EntryView:
        return self._entry_of(*key)


class StatsView:
    """`environment.stats`: `total`, `get(name, method)`, `entries`, `errors`.

    With workers they are those of the last report, at most an interval old; in one process those of the moment. In a
    worker process, they are what it has not reported yet. A StatsView that a load test makes itself has what is logged
    to it.
    """

    def __init__(self, use_response_times_cache: bool = True) -> None:
        self.use_response_times_cache = use_response_times_cache
        """As Locust has it; without an effect."""
        self.history: list[dict[str, Any]] = []
        """Rows that the load test adds; see obswarm.locust.stats.stats_history."""
        self._source: StatsSource = PendingSource()
        self._kept: dict[tuple[str, str], None] = {}
        """Entries that were there before `reset_all`, by name and method."""

    def attach(self, latest: Callable[[], Snapshot], recorder: Recorder, reset: Callable[[], None]) -> None:
        """Show the run of which `latest` returns a snapshot. What is logged is counted by the recorder, which is the
        run's; `reset` resets its statistics."""
        self._source = RunSource(latest, recorder, reset)
        self._forget()

    def attach_recorder(self, recorder: Recorder) -> None:
        """Show what a worker's recorder has counted since its last report."""
        self.show(PendingSource(recorder))

    def show(self, source: PendingSource) -> None:
        """Show what has been counted there."""
        self._source = source

    def note(self, snapshot: Snapshot) -> None:
        """Note the requests of an interval of the run."""
        if isinstance(self._source, RunSource):
            self._source.note(snapshot)

    def were_reset(self) -> None:
        """The statistics of the run have been set to zero."""
        if isinstance(self._source, RunSource):
            self._source.forget()
        self.history = []

    def _forget(self) -> None:
        self._kept = {}
        self.history = []

    def _entry(self, name: str, method: str) -> EntryView:
        return EntryView(self, name, method, self.use_response_times_cache, source=self._source)

    @property
    def total(self) -> EntryView:
        return self._entry(TOTAL.name, TOTAL.method)

    @property
    def entries(self) -> Entries:
        found = Entries(self._entry)
        found.update((name, self._entry(*name)) for name in self._kept)
        for key in self._source.figures().endpoints:
            found[key.name, key.method] = self._entry(key.name, key.method)
        return found

    def get(self, name: str, method: str) -> EntryView:
        """Return one endpoint; an empty one when nothing was requested under that name."""
        return self._entry(name, method)

    @property
    def errors(self) -> dict[str, StatsError]:
        """Errors by a key of method, name and text."""
        found = (
            StatsError(*key, seen.count, seen.first_seen_s, seen.last_seen_s)
            for key, seen in self._source.figures().errors.items()
        )
        return {error.key: error for error in found}

    @property
    def num_requests(self) -> int:
        return self.total.num_requests

    @property
    def num_none_requests(self) -> int:
        return self.total.num_none_requests

    @property
    def num_failures(self) -> int:
        return self.total.num_failures

    @property
    def start_time(self) -> float:
        return self.total.start_time

    @property
    def last_request_timestamp(self) -> float | None:
        return self.total.last_request_timestamp

    # What changes them.
    def log_request(self, method: str, name: str, response_time: float | None, content_length: int) -> None:
        """Count a request: milliseconds, None if unknown, and bytes. In a run it is one of the run's."""
        log_request(self._source, endpoint_key(method, name), response_time, content_length)

    def log_error(self, method: str, name: str, error: Exception | str | None) -> None:
        """Count a request that was logged before as failed. Without one, it is a request of unknown duration."""
        log_error(self._source, endpoint_key(method, name), error)

    def reset_all(self) -> None:
        """Set all figures to zero, and go on counting; entries stay, without requests. In a run these are the run's
        statistics, in all outputs; in a worker this has no effect, as its master resets them."""
        kept = dict.fromkeys(self.entries)
        self._source.reset()
        self._kept = kept
        self.history = []

    def clear_all(self) -> None:
        """As `reset_all`, without entries afterwards."""
        self._source.reset()
        self._forget()

    def serialize_stats(self) -> list[dict[str, Any]]:
        """Return the figures of all endpoints with requests as plain values."""
        return [entry.serialize() for entry in self.entries.values() if entry.num_requests]

    def serialize_errors(self) -> dict[str, dict[str, Any]]:
        """Return the errors as plain values."""
        return {key: error.serialize() for key, error in self.errors.items()}


def serialized(table: StatsTable) -> dict[str, Any]:
    """Return a process's measurements as the data of `report_to_master` has them: stats, stats_total, errors."""
    source = PendingSource(Recorder(table.max_endpoints))
    source.recorder.merge(table)
    for key, found in table.endpoints.items():
        source.logged(key, found.requests, found.failures)
    view = StatsView()
    view.show(source)
    return {
        "stats": view.serialize_stats(),
        "stats_total": view.total.serialize(),
        "errors": view.serialize_errors(),
    }

"""Statistics under Locust's names and in its units (milliseconds), for listeners that judge a run."""

from collections.abc import Callable
from html import escape
from typing import Any

from obswarm.record import Snapshot
from obswarm.stats import TOTAL, EndpointKey, EndpointStats, ErrorKey, ErrorStats, middle

_FIGURES = (
    "num_requests",
    "num_failures",
    "min_response_time",
    "max_response_time",
    "current_rps",
    "current_fail_per_sec",
    "avg_response_time",
    "median_response_time",
    "total_rps",
    "total_fail_per_sec",
)


class EntryView:
    """One endpoint, or all of them together. Times are in milliseconds."""

    def __init__(self, stats: EndpointStats, load_s: float, recent: EndpointStats | None, recent_s: float) -> None:
        self._stats = stats
        self._load_s = load_s
        self._recent = recent
        self._recent_s = recent_s
        self.method, self.name = stats.key
        self.num_requests = stats.requests
        self.num_failures = stats.failures
        self.num_none_requests = stats.untimed
        """Requests without a known duration."""
        self.fail_ratio = stats.error_ratio
        self.min_response_time = (stats.min_s or 0) * 1000
        self.max_response_time = (stats.max_s or 0) * 1000
        self.total_response_time = stats.duration.sum_s * 1000
        self.avg_response_time = (stats.duration.mean_s or 0) * 1000
        self.total_content_length = stats.response_bytes
        self.avg_content_length = stats.response_bytes / stats.requests if stats.requests else 0

    @property
    def median_response_time(self) -> float:
        return self.get_response_time_percentile(0.5)

    @property
    def response_times(self) -> dict[int, int]:
        """Number of requests by response time, in whole milliseconds: the middles of the histogram's buckets."""
        found: dict[int, int] = {}
        for index, count in self._stats.duration:
            milliseconds = round(middle(index) * 1000)
            found[milliseconds] = found.get(milliseconds, 0) + count
        return found

    def get_response_time_percentile(self, percent: float) -> float:
        """Return the response time in milliseconds below which that share (0 to 1) of requests lies; 0 without
        requests."""
        return (self._stats.quantile(percent) or 0) * 1000

    @property
    def total_rps(self) -> float:
        """Requests per second over the time in which users were running."""
        return self._stats.rate(self._load_s)

    @property
    def total_fail_per_sec(self) -> float:
        return self._stats.failure_rate(self._load_s)

    @property
    def current_rps(self) -> float:
        """Requests per second in the last interval."""
        return self._recent.requests / self._recent_s if self._recent and self._recent_s else 0.0

    @property
    def current_fail_per_sec(self) -> float:
        return self._recent.failures / self._recent_s if self._recent and self._recent_s else 0.0

    def get_current_response_time_percentile(self, percent: float) -> float | None:
        """As `get_response_time_percentile`, of the last interval; None without requests in it."""
        value = self._recent.quantile(percent) if self._recent else None
        return None if value is None else value * 1000

    def to_dict(self, escape_string_values: bool = False) -> dict[str, Any]:
        """Return the figures by name; with `escape_string_values` method and name are escaped for HTML."""
        shown = escape if escape_string_values else str
        return {
            "method": shown(self.method),
            "name": shown(self.name),
            **{name: getattr(self, name) for name in _FIGURES},
            **{f"response_time_percentile_{share}": self.get_response_time_percentile(share) for share in (0.95, 0.99)},
            "avg_content_length": self.avg_content_length,
        }


class StatsView:
    """`environment.stats`: `total`, `get(name, method)`, `entries`, `errors`. Reading them changes nothing.

    With workers they are those of the last report, at most an interval old; in one process those of the moment. A
    worker process has none: it reports what it counts, and keeps nothing.
    """

    def __init__(self) -> None:
        self._latest: Callable[[], Snapshot] | None = None
        self.history: list[dict[str, Any]] = []
        """Rows that the load test adds; see obswarm.locust.stats.stats_history."""

    def attach(self, latest: Callable[[], Snapshot]) -> None:
        """Read from what this function returns, at each use."""
        self._latest = latest

    def _snapshot(self) -> Snapshot | None:
        return self._latest() if self._latest is not None else None

    @property
    def total(self) -> EntryView:
        snapshot = self._snapshot()
        if snapshot is None:
            return EntryView(EndpointStats(TOTAL), 0, None, 0)
        return EntryView(snapshot.total, snapshot.load_s, snapshot.interval_total, snapshot.interval_s)

    @property
    def entries(self) -> dict[tuple[str, str], EntryView]:
        """Endpoints by (name, method), in Locust's order of the two."""
        snapshot = self._snapshot()
        if snapshot is None:
            return {}
        return {
            (key.name, key.method): EntryView(stats, snapshot.load_s, snapshot.interval.get(key), snapshot.interval_s)
            for key, stats in snapshot.endpoints.items()
        }

    def get(self, name: str, method: str) -> EntryView:
        """Return one endpoint; an empty one when nothing was requested under that name."""
        found = self.entries.get((name, method))
        return found or EntryView(EndpointStats(EndpointKey(method, name)), 0, None, 0)

    @property
    def errors(self) -> dict[ErrorKey, ErrorStats]:
        snapshot = self._snapshot()
        return dict(snapshot.errors) if snapshot is not None else {}

    @property
    def num_requests(self) -> int:
        return self.total.num_requests

    @property
    def num_failures(self) -> int:
        return self.total.num_failures

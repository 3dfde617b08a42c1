"""EntryView: the statistics of an endpoint under Locust's names and in its units (milliseconds)."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from obswarm.api.stats_source import PendingSource, PerSecond, StatsSource, table_of
from obswarm.sanitize import to_number
from obswarm.stats import NO_STATUS, TOTAL, EndpointKey, EndpointStats, Histogram, bucket_index, endpoint_key, middle

TYPE_WIDTH = 8
NAME_WIDTH = 60
PERCENTILES = (0.50, 0.66, 0.75, 0.80, 0.90, 0.95, 0.98, 0.99, 0.999, 0.9999, 1.0)

_FIGURES = (
    "num_requests",
    "num_failures",
    "max_response_time",
    "current_rps",
    "current_fail_per_sec",
    "avg_response_time",
    "median_response_time",
    "total_rps",
    "total_fail_per_sec",
)
_SERIALIZED = (
    "name",
    "method",
    "last_request_timestamp",
    "start_time",
    "num_requests",
    "num_none_requests",
    "num_failures",
    "total_response_time",
    "max_response_time",
    "min_response_time",
    "total_content_length",
    "response_times",
    "num_reqs_per_sec",
    "num_fail_per_sec",
)


class EntryView:
    """One endpoint, or all of them together (`total`). Times are in milliseconds; they are those of the moment at which
    they are read.

    The entries of `environment.stats` show the run. An entry that a load test makes itself counts what is logged to it.
    """

    def __init__(
        self,
        stats: Any,
        name: str,
        method: str,
        use_response_times_cache: bool = False,
        *,
        source: StatsSource | None = None,
    ) -> None:
        """`stats` is the StatsView that the entry is related to, `source` where its figures are: its own by default."""
        self.stats = stats
        self.name = name
        self.method = method
        self.use_response_times_cache = use_response_times_cache
        self._source: StatsSource = source or PendingSource()
        self._is_total = (method, name) == TOTAL[:2] and source is not None
        self._key = TOTAL if self._is_total else endpoint_key(method, name)

    @property
    def _stats(self) -> EndpointStats:
        return self._source.figures().stats(self._key)

    @property
    def _recent(self) -> tuple[EndpointStats, float] | None:
        """Of the last interval, with its seconds."""
        figures = self._source.figures()
        recent = figures.recent(self._key)
        return None if recent is None or not figures.interval_s else (recent, figures.interval_s)

    @property
    def num_requests(self) -> int:
        return self._stats.requests

    @property
    def num_none_requests(self) -> int:
        """Requests without a known duration."""
        return self._stats.untimed

    @property
    def num_failures(self) -> int:
        return self._stats.failures

    @property
    def fail_ratio(self) -> float:
        return self._stats.error_ratio

    @property
    def min_response_time(self) -> float | None:
        """None without requests."""
        low_s = self._stats.min_s
        return None if low_s is None else low_s * 1000

    @property
    def max_response_time(self) -> float:
        return (self._stats.max_s or 0) * 1000

    @property
    def total_response_time(self) -> float:
        return self._stats.duration.sum_s * 1000

    @property
    def avg_response_time(self) -> float:
        return (self._stats.duration.mean_s or 0) * 1000

    @property
    def median_response_time(self) -> float:
        return self.get_response_time_percentile(0.5)

    @property
    def total_content_length(self) -> int:
        return self._stats.response_bytes

    @property
    def avg_content_length(self) -> float:
        stats = self._stats
        return stats.response_bytes / stats.requests if stats.requests else 0

    @property
    def response_times(self) -> dict[int, int]:
        """Number of requests by response time, in whole milliseconds: the middles of the histogram's buckets."""
        found: dict[int, int] = {}
        for index, count in self._stats.duration:
            milliseconds = round(middle(index) * 1000)
            found[milliseconds] = found.get(milliseconds, 0) + count
        return found

    @property
    def num_reqs_per_sec(self) -> PerSecond:
        """Number of requests by second of wall time; of one endpoint, those of the last 30 seconds."""
        return self._source.per_second(self._key)[0]

    @property
    def num_fail_per_sec(self) -> PerSecond:
        """As `num_reqs_per_sec`, of failures."""
        return self._source.per_second(self._key)[1]

    @property
    def start_time(self) -> float:
        """Wall time of the first request, within an interval; of `total`, of the start of the statistics."""
        figures = self._source.figures()
        return figures.since_s if self._is_total else self._source.times(self._key)[0]

    @property
    def last_request_timestamp(self) -> float | None:
        """Wall time of the last request, within an interval; None without requests."""
        return self._source.times(self._key)[1]

    def get_response_time_percentile(self, percent: float) -> float:
        """Return the response time in milliseconds below which that share (0 to 1) of requests lies; 0 without
        requests."""
        return (self._stats.quantile(percent) or 0) * 1000

    @property
    def total_rps(self) -> float:
        """Requests per second over the time in which users were running."""
        figures = self._source.figures()
        return figures.stats(self._key).rate(figures.load_s)

    @property
    def total_fail_per_sec(self) -> float:
        figures = self._source.figures()
        return figures.stats(self._key).failure_rate(figures.load_s)

    @property
    def current_rps(self) -> float:
        """Requests per second in the last interval."""
        recent = self._recent
        return 0.0 if recent is None else recent[0].requests / recent[1]

    @property
    def current_fail_per_sec(self) -> float:
        recent = self._recent
        return 0.0 if recent is None else recent[0].failures / recent[1]

    def get_current_response_time_percentile(self, percent: float) -> float | None:
        """As `get_response_time_percentile`, of the last interval; None without requests in it."""
        recent = self._recent
        value = None if recent is None else recent[0].quantile(percent)
        return None if value is None else value * 1000

    # What changes it.
    def log(self, response_time: float | None, content_length: int) -> None:
        """Count a request: milliseconds, None if unknown, and bytes. In the statistics of a run it is one of the run's.

        `total` is the sum of all entries: log to one of them.
        """
        if not self._is_total:
            log_request(self._source, self._key, response_time, content_length)

    def log_error(self, error: Exception | str | None) -> None:
        """Count a request that was logged before as failed. Without one, it is a request of unknown duration."""
        if not self._is_total:
            log_error(self._source, self._key, error)

    def extend(self, other: "EntryView") -> None:
        """Add the requests of another entry; their number is the same afterwards in `total`."""
        if not self._is_total:
            theirs = other._stats
            self._source.recorder.merge(table_of(self._key, theirs))
            self._source.logged(self._key, theirs.requests, theirs.failures)

    def reset(self) -> None:
        """Set the figures to zero; `total` with all entries. Raises ObswarmError for one endpoint of a run."""
        if self._is_total:
            self._source.reset()
        else:
            self._source.reset_endpoint(self._key)

    # Other forms of it.
    def serialize(self) -> dict[str, Any]:
        """Return the figures as plain values, as `report_to_master` has them."""
        return {name: getattr(self, name) for name in _SERIALIZED}

    def get_stripped_report(self) -> dict[str, Any]:
        """As `serialize`. An entry of the load test's own is reset."""
        report = self.serialize()
        if isinstance(self._source, PendingSource):
            self.reset()
        return report

    @classmethod
    def unserialize(cls, data: Mapping[str, Any], stats: Any) -> Self:
        """Return an entry of its own with the figures that `serialize` has returned."""
        entry = cls(stats, data["name"], data["method"])
        entry._source.recorder.merge(table_of(entry._key, _stats_of(entry._key, data)))
        entry._source.logged(entry._key, data.get("num_requests", 0), data.get("num_failures", 0))
        return entry

    def to_dict(self, escape_string_values: bool = False) -> dict[str, Any]:
        """Return the figures by name; with `escape_string_values` method and name are escaped for HTML."""
        from html import escape  # every process of a run imports this module, and tables of HTML's names with it

        shown = escape if escape_string_values else str
        return {
            "method": shown(self.method),
            "name": shown(self.name),
            "min_response_time": self.min_response_time or 0,
            **{name: getattr(self, name) for name in _FIGURES},
            **{f"response_time_percentile_{share}": self.get_response_time_percentile(share) for share in (0.95, 0.99)},
            "avg_content_length": self.avg_content_length,
        }

    def to_string(self, current: bool = True, name_width: int = NAME_WIDTH, type_width: int = TYPE_WIDTH) -> str:
        """Return a row of a table; `current`: rates of the last interval, else of the whole run."""
        rps = self.current_rps if current else self.total_rps
        fail_per_sec = self.current_fail_per_sec if current else self.total_fail_per_sec
        fails = f"{self.num_failures}({self.fail_ratio:.2%})"
        return (
            f"{self.method:<{type_width}} {self.name:<{name_width}} {self.num_requests:>9} {fails:>14} |"
            f" {self.avg_response_time:>7.0f} {self.min_response_time or 0:>7.0f} {self.max_response_time:>7.0f}"
            f" {self.median_response_time:>7.0f} | {rps:>9.2f} {fail_per_sec:>11.2f}"
        )

    def percentile(
        self, shares: Sequence[float] = PERCENTILES, name_width: int = NAME_WIDTH, type_width: int = TYPE_WIDTH
    ) -> str:
        """Return a row of a table of percentiles."""
        values = "".join(f"{self.get_response_time_percentile(share):>8.0f}" for share in shares)
        return f"{self.method:<{type_width}} {self.name:<{name_width}}{values} {self.num_requests:>9}"

    def __str__(self) -> str:
        return self.to_string()


def log_request(source: StatsSource, key: EndpointKey, response_time: Any, content_length: Any) -> None:
    """Count a request in a source; `response_time` is in milliseconds."""
    milliseconds = to_number(response_time)
    source.recorder.record(key.method, key.name, None if milliseconds is None else milliseconds / 1000, content_length)
    source.logged(key, 1, 0)


def log_error(source: StatsSource, key: EndpointKey, error: Exception | str | None) -> None:
    """Count a request of a source as failed."""
    has_made_one = source.recorder.record_failure(key.method, key.name, error)
    source.logged(key, int(has_made_one), 1)


def _stats_of(key: EndpointKey, data: Mapping[str, Any]) -> EndpointStats:
    stats = EndpointStats(key)
    buckets: dict[int, int] = {}
    for milliseconds, count in data.get("response_times", {}).items():
        index = bucket_index(float(milliseconds) / 1000)
        buckets[index] = buckets.get(index, 0) + count
    stats.duration = Histogram(buckets, round(data.get("total_response_time", 0) * 1e6))
    stats.untimed = data.get("num_none_requests", 0)
    if buckets:
        low, high = data.get("min_response_time"), data.get("max_response_time")
        stats.min_s = None if low is None else low / 1000
        stats.max_s = None if high is None else high / 1000
    stats.response_bytes = data.get("total_content_length", 0)
    failures = min(data.get("num_failures", 0), stats.requests)
    stats.failures_by = {NO_STATUS: failures} if failures else {}
    stats.successes = {NO_STATUS: stats.requests - failures} if stats.requests > failures else {}
    return stats

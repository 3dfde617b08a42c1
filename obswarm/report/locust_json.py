"""Statistics of a run in the format of Locust's --json: a list of endpoints. Times are in milliseconds, moments in
seconds since 1970."""

from typing import Any

from obswarm.record import Snapshot
from obswarm.stats import EndpointKey, EndpointStats, middle, without_scenarios


class LocustStatistics:
    """Adds up snapshots to figures of each second, which the format has beside the totals."""

    def __init__(self) -> None:
        self._since_s = 0.0
        self._requests: dict[EndpointKey, dict[int, int]] = {}
        self._failures: dict[EndpointKey, dict[int, int]] = {}
        self._spans: dict[EndpointKey, tuple[float, float]] = {}
        """Begin of the first and end of the last interval with requests."""

    def add(self, snapshot: Snapshot) -> None:
        """Add the last interval of a snapshot."""
        if snapshot.stats_since_s != self._since_s:
            self._since_s = snapshot.stats_since_s
            for each in (self._requests, self._failures, self._spans):
                each.clear()
        begin_s = max(snapshot.time_s - snapshot.interval_s, snapshot.stats_since_s)
        # An interval ends a little after the second that it covers.
        second = int((begin_s + snapshot.time_s) / 2)
        for key, stats in without_scenarios(snapshot.interval).items():
            if not stats.requests:
                continue
            for counts, count in ((self._requests, stats.requests), (self._failures, stats.failures)):
                if count:
                    own = counts.setdefault(key, {})
                    own[second] = own.get(second, 0) + count
            self._spans[key] = (self._spans.get(key, (begin_s, 0))[0], snapshot.time_s)

    def document(self, final: Snapshot) -> list[dict[str, Any]]:
        """Return the endpoints with their figures, those of the last snapshot."""
        return [self._endpoint(final, stats) for stats in without_scenarios(final.endpoints).values() if stats.requests]

    def _endpoint(self, final: Snapshot, stats: EndpointStats) -> dict[str, Any]:
        key = stats.key
        begin_s, end_s = self._spans.get(key, (final.stats_since_s, final.time_s))
        times: dict[int, int] = {}
        for index, count in stats.duration:
            milliseconds = _rounded(middle(index) * 1000)
            times[milliseconds] = times.get(milliseconds, 0) + count
        return {
            "name": key.name,
            "method": key.method,
            "last_request_timestamp": end_s,
            "start_time": begin_s,
            "num_requests": stats.requests,
            "num_none_requests": stats.untimed,
            "num_failures": stats.failures,
            "total_response_time": stats.duration.sum_s * 1000,
            "max_response_time": (stats.max_s or 0) * 1000,
            "min_response_time": (stats.min_s or 0) * 1000,
            "total_content_length": stats.response_bytes,
            "response_times": times,
            "num_reqs_per_sec": dict(self._requests.get(key, {})),
            "num_fail_per_sec": dict(self._failures.get(key, {})),
        }


def _rounded(milliseconds: float) -> int:
    """Round as Locust groups response times: to two digits from 100 on, to thousands from 10,000 on."""
    return int(round(milliseconds, -min(3, max(0, len(str(int(milliseconds))) - 2))))

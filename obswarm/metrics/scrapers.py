"""Detect scrapers and their scrape intervals, so that the end of a run can wait for a final scrape by each of them."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

_MISSED_SCRAPES = 2.5
"""Number of scrape intervals to wait for a final scrape."""

_MAX_SCRAPES = 32
_MAX_CLIENTS = 64
_TOLERANCE_S = 0.05
_TOLERANCE_RATIO = 0.25
"""Gaps between scrapes are equal if they differ by less than _TOLERANCE_S, or by less than this share of the interval:
a busy process responds late."""

_REGULAR_RATIO = 0.75
"""Share of the gaps that have to be equal for a regular pattern: some scrapes are late, or fail."""

_SCRAPERS_HEADER = "HTTP_X_PROMETHEUS_SCRAPE_TIMEOUT_SECONDS"


class Client(NamedTuple):
    """The client of a request by its headers. Two scrapers on one machine or behind one proxy may be equal."""

    address: str
    forwarded_for: str
    agent: str
    timeout: str
    """Scrape timeout in seconds, as sent by the client; only periodic scrapers send it. Empty if not sent."""

    @property
    def shortest_interval_s(self) -> float:
        """Lower bound of the scrape interval: the timeout, which cannot exceed the interval."""
        try:
            return float(self.timeout)
        except ValueError:
            return 0.0


def client_of(environ: Mapping[str, Any]) -> tuple[Client, str]:
    """Return (client, remote port of the connection) of a WSGI request."""
    fields = ("REMOTE_ADDR", "HTTP_X_FORWARDED_FOR", "HTTP_USER_AGENT", _SCRAPERS_HEADER)
    return Client(*(str(environ.get(field, "")) for field in fields)), str(environ.get("REMOTE_PORT", ""))


class _Scrape(NamedTuple):
    at_s: float
    port: str


@dataclass(slots=True)
class _ScraperGroup:
    """Scrapes over one connection, or (port None) over all of a client's connections that were used once."""

    port: str | None
    times: list[float]
    missing: int = 0
    """Number of scrapes still expected."""
    until_s: float = 0.0


class Scrapers:
    """The recent scrapes of each client. Times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._scrapes: dict[Client, deque[_Scrape]] = {}

    def note(self, client: Client, port: str, at_s: float) -> None:
        """Note a completed scrape that started at `at_s`."""
        scrapes = self._scrapes.pop(client, None) or deque(maxlen=_MAX_SCRAPES)
        scrapes.append(_Scrape(at_s, port))
        # Most recently used last, so that the least recent client is dropped first.
        self._scrapes[client] = scrapes
        if len(self._scrapes) > _MAX_CLIENTS:
            del self._scrapes[next(iter(self._scrapes))]

    def wait_until_s(self, ended_s: float, longest_s: float) -> float | None:
        """Return until when to wait for scrapers that have not scraped since the run ended at `ended_s`, at most
        `longest_s` after that; None if there are none."""
        waiting: list[float] = []
        for client, scrapes in self._scrapes.items():
            before = [scrape for scrape in scrapes if scrape.at_s <= ended_s]
            groups = _groups(before)
            for group in groups:
                _expect(group, client, ended_s, longest_s)
            for scrape in scrapes:
                if scrape.at_s > ended_s:
                    _count_scrape(scrape, groups)
            waiting += [group.until_s for group in groups if group.missing > 0]
        return max(waiting, default=None)


def _groups(scrapes: Sequence[_Scrape]) -> list[_ScraperGroup]:
    """Group scrapes by connection, as far as connections are used more than once."""
    used = Counter(scrape.port for scrape in scrapes)
    groups: dict[str | None, _ScraperGroup] = {}
    for at_s, port in scrapes:
        if used[port] > 1:
            groups.setdefault(port, _ScraperGroup(port, [])).times.append(at_s)
            continue
        replaced = next((group for group in groups.values() if group.port is not None and _is_due(group, at_s)), None)
        if replaced is not None:
            replaced.port = port
            replaced.times.append(at_s)
        else:
            groups.setdefault(None, _ScraperGroup(None, [])).times.append(at_s)
    return list(groups.values())


def _is_due(group: _ScraperGroup, at_s: float) -> bool:
    """Return whether the group's next scrape is due at `at_s`, i.e. whether a new connection may have replaced it."""
    if len(group.times) < 2:
        return False
    interval_s = group.times[-1] - group.times[-2]
    return abs(at_s - group.times[-1] - interval_s) <= interval_s * _TOLERANCE_RATIO


def _expect(group: _ScraperGroup, client: Client, ended_s: float, longest_s: float) -> None:
    if len(group.times) >= 2:
        number, interval_s = _scrape_pattern(group.times, client.shortest_interval_s)
        patience_s = longest_s if interval_s is None else interval_s * _MISSED_SCRAPES
        if ended_s - group.times[-1] > patience_s:
            return
        group.missing, group.until_s = number, ended_s + min(longest_s, patience_s)
    elif client.timeout:
        # The interval is not known yet.
        group.missing, group.until_s = 1, ended_s + longest_s


def _count_scrape(scrape: _Scrape, groups: Iterable[_ScraperGroup]) -> None:
    """Count a scrape after the end for its group; one over a new connection counts for a group that still waits."""
    same = [group for group in groups if group.port == scrape.port]
    others = sorted((group for group in groups if group.missing > 0), key=lambda group: group.port is not None)
    for group in (same or others)[:1]:
        group.missing -= 1


def _scrape_pattern(times: Sequence[float], shortest_s: float) -> tuple[int, float | None]:
    """Return (number of scrapes in one common interval of all scrapers, that interval in seconds).

    For one scraper with an interval of 1 s and another with 5 s it is (6, 5.0). Without a regular pattern the number is
    that of the scrapes within the last `shortest_s`, at least one; the interval is None if none has scraped twice.
    """
    gaps = [later - earlier for earlier, later in pairwise(times)]
    for number in range(1, len(gaps) // 2 + 1):
        interval_s = _median(sum(gaps[first : first + number]) for first in range(len(gaps) - number + 1))
        if interval_s < shortest_s * (1 - _TOLERANCE_RATIO / 2):
            continue
        near_s = max(_TOLERANCE_S, _TOLERANCE_RATIO * interval_s / number)
        # The pattern repeats after `number` gaps.
        same = [abs(gap - earlier) <= near_s for earlier, gap in zip(gaps, gaps[number:], strict=False)]
        if sum(same) >= _REGULAR_RATIO * len(same):
            return number, max(interval_s, gaps[-1])
    number = max(1, sum(at_s > times[-1] - shortest_s * (1 - _TOLERANCE_RATIO / 2) for at_s in times))
    return number, times[-1] - times[-1 - number] if number < len(times) else None


def _median(values: Iterable[float]) -> float:
    """As statistics.median, whose module takes 0.5 MB of the process that shows a run."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2

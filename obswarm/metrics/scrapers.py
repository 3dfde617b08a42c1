"""Who scrapes, and how often: so that at the end of a run each of several scrapers can be waited for."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

_MISSED_SCRAPES = 2.5
"""How many scrape intervals to wait for a last scrape."""

_SCRAPES_KEPT = 32
_CLIENTS_KEPT = 64
_SAME_S = 0.05
_SAME_RATIO = 0.25
"""Gaps that differ by less than either, the second as a share of the interval, are the same: a busy process answers
late."""

_REGULAR_RATIO = 0.75
"""How many of the gaps have to be the same: some scrapes are late, or fail."""

_SCRAPERS_HEADER = "HTTP_X_PROMETHEUS_SCRAPE_TIMEOUT_SECONDS"


class Client(NamedTuple):
    """What a request says of who sent it. Two scrapers of one machine, or behind one proxy, may say the same."""

    address: str
    forwarded_for: str
    agent: str
    timeout: str
    """Seconds that it waits for a response: only programs that scrape regularly say so."""

    @property
    def shortest_interval_s(self) -> float:
        """No scraper waits for longer than its interval."""
        try:
            return float(self.timeout)
        except ValueError:
            return 0.0


def client_of(environ: Mapping[str, Any]) -> tuple[Client, str]:
    """Of a WSGI request: the client, and the port that its connection comes from."""
    fields = ("REMOTE_ADDR", "HTTP_X_FORWARDED_FOR", "HTTP_USER_AGENT", _SCRAPERS_HEADER)
    return Client(*(str(environ.get(field, "")) for field in fields)), str(environ.get("REMOTE_PORT", ""))


class _Scrape(NamedTuple):
    at_s: float
    port: str


@dataclass(slots=True)
class _Group:
    """Scrapes of one connection, or (port None) of all connections of a client that were used once."""

    port: str | None
    times: list[float]
    missing: int = 0
    """How many scrapes are still expected of it."""
    until_s: float = 0.0


class Scrapers:
    """Remembers the last scrapes of each client. Times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._scrapes: dict[Client, deque[_Scrape]] = {}

    def note(self, client: Client, port: str, at_s: float) -> None:
        """A scrape that began then was answered."""
        scrapes = self._scrapes.pop(client, None) or deque(maxlen=_SCRAPES_KEPT)
        scrapes.append(_Scrape(at_s, port))
        # The client that was here last is the last one.
        self._scrapes[client] = scrapes
        if len(self._scrapes) > _CLIENTS_KEPT:
            del self._scrapes[next(iter(self._scrapes))]

    def waiting_until_s(self, ended_s: float, longest_s: float) -> float | None:
        """How long to wait for those that have not seen yet how the run was when it ended, `longest_s` after that at
        most; None: for nobody."""
        waiting: list[float] = []
        for client, scrapes in self._scrapes.items():
            before = [scrape for scrape in scrapes if scrape.at_s <= ended_s]
            groups = _groups(before)
            for group in groups:
                _expect(group, client, ended_s, longest_s)
            for scrape in scrapes:
                if scrape.at_s > ended_s:
                    _cross_off(scrape, groups)
            waiting += [group.until_s for group in groups if group.missing > 0]
        return max(waiting, default=None)


def _groups(scrapes: Sequence[_Scrape]) -> list[_Group]:
    """By connection, as far as connections are used more than once."""
    used = Counter(scrape.port for scrape in scrapes)
    groups: dict[str | None, _Group] = {}
    for at_s, port in scrapes:
        if used[port] > 1:
            groups.setdefault(port, _Group(port, [])).times.append(at_s)
            continue
        replaced = next((group for group in groups.values() if group.port is not None and _is_due(group, at_s)), None)
        if replaced is not None:
            replaced.port = port
            replaced.times.append(at_s)
        else:
            groups.setdefault(None, _Group(None, [])).times.append(at_s)
    return list(groups.values())


def _is_due(group: _Group, at_s: float) -> bool:
    """Whether a connection's next scrape would be at about that time: another one may have taken its place."""
    if len(group.times) < 2:
        return False
    interval_s = group.times[-1] - group.times[-2]
    return abs(at_s - group.times[-1] - interval_s) <= interval_s * _SAME_RATIO


def _expect(group: _Group, client: Client, ended_s: float, longest_s: float) -> None:
    if len(group.times) >= 2:
        number, interval_s = _cadence(group.times, client.shortest_interval_s)
        patience_s = longest_s if interval_s is None else interval_s * _MISSED_SCRAPES
        if ended_s - group.times[-1] > patience_s:
            return
        group.missing, group.until_s = number, ended_s + min(longest_s, patience_s)
    elif client.timeout:
        # Its interval is not known yet.
        group.missing, group.until_s = 1, ended_s + longest_s


def _cross_off(scrape: _Scrape, groups: Iterable[_Group]) -> None:
    """A connection that is not known may have taken the place of another."""
    same = [group for group in groups if group.port == scrape.port]
    others = sorted((group for group in groups if group.missing > 0), key=lambda group: group.port is not None)
    for group in (same or others)[:1]:
        group.missing -= 1


def _cadence(times: Sequence[float], shortest_s: float) -> tuple[int, float | None]:
    """(how many scrapes there are in an interval of all these scrapers, the interval in seconds): with a scraper for
    each second and one for each five it is (6, 5.0). Without any regularity they are as many as came within the
    shortest interval that one can have, or one; the interval is None when none of them has come twice."""
    gaps = [later - earlier for earlier, later in pairwise(times)]
    for number in range(1, len(gaps) // 2 + 1):
        interval_s = median(sum(gaps[first : first + number]) for first in range(len(gaps) - number + 1))
        if interval_s < shortest_s * (1 - _SAME_RATIO / 2):
            continue
        near_s = max(_SAME_S, _SAME_RATIO * interval_s / number)
        # So many come in the same order again and again.
        same = [abs(gap - earlier) <= near_s for earlier, gap in zip(gaps, gaps[number:], strict=False)]
        if sum(same) >= _REGULAR_RATIO * len(same):
            return number, max(interval_s, gaps[-1])
    number = max(1, sum(at_s > times[-1] - shortest_s * (1 - _SAME_RATIO / 2) for at_s in times))
    return number, times[-1] - times[-1 - number] if number < len(times) else None

"""The embedded source: reads the targets' metrics endpoints once a second for the time of a run, and answers
PromQL over the last minutes."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import gevent
import requests

from obswarm import clock
from obswarm.greenlets import Supervisor, described, kill_all
from obswarm.http import ApiSession, Asked, failure_of, refusal_of
from obswarm.redact import redact_url
from obswarm.sanitize import clean_text
from obswarm.targets import evaluate as promql
from obswarm.targets.absence import Known, Reasons, metrics_asked_for, reason_for_nothing
from obswarm.targets.exposition import OPENMETRICS, TEXT, Entry, ParseError, decode, entries
from obswarm.targets.ingest import UP, TargetSeries
from obswarm.targets.kinds import metrics_of
from obswarm.targets.series import SeriesStore
from obswarm.targets.source import (
    MISSED_SCRAPES,
    Sample,
    SourceError,
    Target,
    TargetHealth,
    field_of_target,
    only_value,
)
from obswarm.units import format_names

_TIMEOUT_S = 4.0
_LONGEST_S = 5.0
_LARGEST_PAGE_BYTES = 20 * 1024 * 1024
# As Go's HTTP client, and so Prometheus: ten requests.
_MOST_REDIRECTS = 9
_ENTRIES_IN_A_TURN = 500
_LARGEST_CLOCK_STEP_S = 0.5

_CODING = "gzip"
"""The only one that is asked for, and undone."""

# What Prometheus 3 asks for by default: no protobuf, and so no native histograms.
HEADERS = {
    "Accept": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    "Accept-Encoding": _CODING,
    "X-Prometheus-Scrape-Timeout-Seconds": f"{_TIMEOUT_S:g}",
}
_PROTOBUF = "application/vnd.google.protobuf"
_TOKEN = r"[\w!#$%&'*+.^`|~-]+"
_MEDIA_TYPE = re.compile(
    rf"\s*({_TOKEN}/{_TOKEN})\s*(?:;\s*{_TOKEN}\s*=\s*(?:{_TOKEN}|\"(?:[^\"\\]|\\.)*\")\s*)*;?\s*", re.ASCII
)
_SHOWN_MEDIA_TYPE = re.compile(r"\s*([\w.+-]{1,40}/[\w.+-]{1,40})", re.ASCII)


class EmbeddedSource:
    """A MetricSource. With `queries` given, only what those need is kept; every query that will be asked must be
    among them.

    Raises ObswarmError for a query beyond the subset.
    """

    def __init__(
        self, targets: Sequence[Target], queries: Iterable[str] | None = None, interval_s: float = 1.0
    ) -> None:
        self._targets = tuple(targets)
        self._interval_s = interval_s
        self._trees: dict[str, Any] = {}
        self._asked_of: dict[str, tuple[Target, ...]] = {}
        self._first_read_s: dict[Target, float] = {}
        """When each was asked for the page that came, or failed, first."""
        self._asked_s: dict[Target, float] = {}
        """Since when each has been read, while its page has not come."""
        names: frozenset[str] | None = None
        if queries is not None:
            names = frozenset({UP}.union(*(promql.metric_names(self._tree(query)) for query in queries)))
        self._store = SeriesStore(promql.LONGEST_RANGE_S, names)
        self.health_every_s = interval_s / 4
        self.stale_after_s = MISSED_SCRAPES * interval_s
        self._health: dict[Target, tuple[bool, str, float, bool]] = {}
        self._greenlets: list[gevent.Greenlet] = []
        self._series = {target: TargetSeries(self._store, target, metrics_of(target.kind)) for target in self._targets}
        self._to_wall_s = clock.wall() - clock.monotonic()
        self._reasons = Reasons(interval_s)

    def _tree(self, query: str) -> Any:
        if query not in self._trees:
            self._trees[query] = promql.parse(query)
        return self._trees[query]

    def check(self, query: str) -> None:
        self._tree(query)

    def filters_all(self, query: str, at_s: float | None = None) -> bool:
        operands = promql.filtered_operands(self._tree(query))
        moment_s = clock.monotonic() if at_s is None else at_s
        return operands is not None and all(self._evaluated(operand, moment_s) for operand in operands)

    def why_no_series(self, query: str) -> str:
        if self._reasons.is_due(query, clock.monotonic()):
            self._reasons.keep(query, self._look_for_reason(query))
        return self._reasons.get(query)

    def _look_for_reason(self, query: str) -> str:
        down: dict[str, str] = {}
        for target, (up, detail, *_) in self._health.items():
            down[target.name] = down.get(target.name) or ("" if up else detail)
        now = [(target.name, series.metric_names(of_last_page=True)) for target, series in self._series.items()]
        before = [
            (target.name, series.metric_names(of_last_page=False) | metrics_of(target.kind))
            for target, series in self._series.items()
        ]
        having, had = (
            {name: {job for job, names in found if name in names} for name in metrics_asked_for(query)}
            for found in (now, before)
        )
        having.setdefault(UP, set()).update(down)
        names = sorted(set().union(*(names for _, names in now)))
        return reason_for_nothing(query, Known(down, having, had), lambda name: names)

    def query(self, query: str, at_s: float | None = None) -> list[Sample]:
        """As of any MetricSource. A target that is down has no series, but for `up` and what was read before. Until
        each target that the query is about was read once, or could not be read, nobody knows what it has: SourceError
        until then, which is as long as a scrape may take."""
        moment_s = clock.monotonic() if at_s is None else at_s
        unread = [
            target.name for target in self._targets_of(query) if moment_s < self._first_read_s.get(target, math.inf)
        ]
        if unread:
            which = f"target {unread[0]} has" if len(unread) == 1 else f"targets {format_names(unread)} have"
            raise SourceError(f"the {which} not been read yet")
        return self._evaluated(self._tree(query), moment_s)

    def _targets_of(self, query: str) -> tuple[Target, ...]:
        """Those that a query is about, by their name where it gives that; none for one without series."""
        if query not in self._asked_of:
            fits = [promql.matcher_of(selector, promql.JOB) for selector in promql.selectors_in(self._tree(query))]
            self._asked_of[query] = tuple(
                target for target in self._targets if any(fits_job({promql.JOB: target.name}) for fits_job in fits)
            )
        return self._asked_of[query]

    def _evaluated(self, tree: Any, moment_s: float) -> list[Sample]:
        return promql.evaluate(tree, self._store, moment_s, self._wall_s(moment_s), _give_way)

    def figures(self, queries: Sequence[str]) -> list[float | None]:
        # Those of one target do not wait until another was read.
        return [only_value(self._evaluated(self._tree(query), clock.monotonic())) for query in queries]

    def targets(self) -> list[Target]:
        return list(self._targets)

    def start(self) -> None:
        self._greenlets = [self._keep_reading(target) for target in self._targets]

    def _keep_reading(self, target: Target) -> gevent.Greenlet:
        def ended(name: str, error: BaseException) -> None:
            now = clock.monotonic()
            self._health[target] = (False, f"{name} has ended: {described(error)}", now, False)
            self._first_read_s.setdefault(target, now)
            self._asked_s.pop(target, None)
            series = self._series[target]
            series.begin()
            series.lose(now)
            series.report(False, now, 0.0)

        return Supervisor(ended).keep(f"The reader of {redact_url(target.url)}", self._follow, target)

    def close(self) -> None:
        kill_all(self._greenlets)

    def health(self) -> list[TargetHealth]:
        now = clock.monotonic()
        found = []
        for target in self._targets:
            up, detail, at_s, has_metrics = self._health.get(target, (False, "not read yet", -1.0, False))
            age_s = now - at_s if at_s >= 0 else None
            waiting_s = now - self._asked_s.get(target, now)
            found.append(TargetHealth(target, up, detail, age_s, has_metrics, at_s >= 0, waiting_s))
        return found

    def _follow(self, target: Target) -> None:
        with ApiSession(_LARGEST_PAGE_BYTES, _LONGEST_S, access=target.access, undone=_CODING) as session:
            session.max_redirects = _MOST_REDIRECTS
            due = clock.monotonic()
            while True:
                self._scrape(session, target)
                due = max(due + self._interval_s, clock.monotonic())
                gevent.sleep(due - clock.monotonic())

    def _scrape(self, session: requests.Session, target: Target) -> None:
        now = clock.monotonic()
        self._asked_s[target] = now
        series = self._series[target]
        series.begin()
        up = False
        try:
            page, media_type, coding = _fetch(session, target)
            series.ingest(page, media_type, _in_turns(entries(page, media_type)), now, self._wall_s(now))
            up, detail = True, f"{series.count.samples} series"
        except requests.RequestException as error:
            detail = failure_of(error, _asked(target), _TIMEOUT_S).text
        except ParseError as error:
            detail = f"{error}{coding}"
        except SourceError as error:
            detail = str(error)
        if not up:
            series.lose(now)
        done = clock.monotonic()
        series.report(up, now, done - now)
        self._health[target] = (up, detail, done, up and series.count.of_kind > 0)
        del self._asked_s[target]
        self._first_read_s.setdefault(target, now)

    def _wall_s(self, now: float) -> float:
        """The wall time then. The same distance is kept while it is about right: samples that a page gives with the
        same time in two scrapes have to be one."""
        distance_s = clock.wall() - clock.monotonic()
        if abs(distance_s - self._to_wall_s) > _LARGEST_CLOCK_STEP_S:
            self._to_wall_s = distance_s
        return now + self._to_wall_s


def _fetch(session: requests.Session, target: Target) -> tuple[str, str, str]:
    """(page, media type, what to say of its coding when it cannot be read). Raises SourceError when the answer is no
    page of metrics."""
    answer = session.get(target.url, timeout=_TIMEOUT_S, headers=HEADERS)
    failure = refusal_of(answer, _asked(target), "has no page of metrics at that path", quotes=False)
    if failure is not None:
        raise SourceError(failure.text)
    if answer.status_code != 200:
        raise SourceError(f"answers HTTP {answer.status_code}")
    page = decode(answer.content)
    coding = answer.headers.get("Content-Encoding", _CODING)
    told = (
        "" if coding == _CODING else f"; its Content-Encoding is {clean_text(coding, 40)}, and {_CODING} was asked for"
    )
    # Prometheus takes a page with nothing in it from anybody.
    return page, _media_type(answer.headers.get("Content-Type", "")) if page else TEXT, told


def _asked(target: Target) -> Asked:
    return Asked(target.url, target.access, field_of_target(target))


def _media_type(content_type: str) -> str:
    """Raises SourceError for one that Prometheus refuses."""
    found = _MEDIA_TYPE.fullmatch(content_type)
    media_type = found[1].lower() if found else ""
    if media_type in (TEXT, OPENMETRICS):
        return media_type
    if not content_type:
        raise SourceError(f"answers without a Content-Type; that of a page of metrics is {TEXT} or {OPENMETRICS}")
    if media_type == _PROTOBUF:
        raise SourceError("answers protobuf, which was not asked for")
    shown = _SHOWN_MEDIA_TYPE.match(content_type)
    raise SourceError(f"answers {shown[1] if shown else 'something'}, which is no page of metrics")


def _in_turns(found: Iterator[Entry]) -> Iterator[Entry]:
    """Others go on meanwhile."""
    for count, entry in enumerate(found, 1):
        yield entry
        if count % _ENTRIES_IN_A_TURN == 0:
            _give_way()


def _give_way() -> None:
    gevent.sleep(0.0005)

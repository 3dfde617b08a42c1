"""MetricSource without a Prometheus: scrapes the targets' metrics endpoints once a second during a run, and evaluates
PromQL over the last minutes."""

import logging
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import gevent
import requests

from obswarm import clock
from obswarm.greenlets import Supervisor, described, kill_all
from obswarm.http import ApiSession, ApiTarget, failure_of, refusal_of
from obswarm.record import MetricKey
from obswarm.redact import redact_url
from obswarm.sanitize import clean_text
from obswarm.targets import evaluate as promql
from obswarm.targets.absence import KnownTargets, ReasonCache, metrics_in_query, reason_for_no_series
from obswarm.targets.every_series import MAX_SERIES
from obswarm.targets.exposition import OPENMETRICS, TEXT, Entry, ParseError, decode, entries, labels_of
from obswarm.targets.ingest import UP, TargetSeries
from obswarm.targets.kind_metrics import metrics_of
from obswarm.targets.kinds import ANY
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
from obswarm.units import format_count, format_names

logger = logging.getLogger(__name__)

_TIMEOUT_S = 4.0
_TOTAL_TIMEOUT_S = 5.0
_MAX_PAGE_BYTES = 20 * 1024 * 1024
# As in Go's HTTP client, which Prometheus uses: ten requests.
_MAX_REDIRECTS = 9
_ENTRIES_PER_YIELD = 500
_LARGEST_CLOCK_STEP_S = 0.5

_CODING = "gzip"
"""The only content coding that is requested and decoded."""

# The default of Prometheus 3: no protobuf, hence no native histograms.
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
    """MetricSource that scrapes and evaluates PromQL itself.

    With `queries`, only the metrics that they need are stored, and no other queries may be run. Raises ObswarmError for
    a query beyond the supported subset.
    """

    def __init__(
        self, targets: Sequence[Target], queries: Iterable[str] | None = None, interval_s: float = 1.0
    ) -> None:
        self._targets = tuple(targets)
        self._interval_s = interval_s
        self._trees: dict[str, Any] = {}
        self._targets_by_query: dict[str, tuple[Target, ...]] = {}
        self._first_scrape_s: dict[Target, float] = {}
        """Start of the first scrape of each target that completed or failed."""
        self._scrape_started_s: dict[Target, float] = {}
        """Start of the scrape in progress, by target."""
        names: frozenset[str] | None = None
        if queries is not None:
            names = frozenset({UP}.union(*(promql.metric_names(self._tree(query)) for query in queries)))
        self._store = SeriesStore(promql.MAX_RANGE_S, names)
        self.health_interval_s = interval_s / 4
        self.stale_after_s = MISSED_SCRAPES * interval_s
        self._health: dict[Target, tuple[bool, str, float, bool]] = {}
        self._greenlets: list[gevent.Greenlet] = []
        self._series = {
            target: TargetSeries(self._store, target, None if target.kind == ANY else metrics_of(target.kind))
            for target in self._targets
        }
        self._warned: set[Target] = set()
        self._wall_offset_s = clock.wall() - clock.monotonic()
        self._reasons = ReasonCache(interval_s)

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
            self._reasons.keep(query, self._find_reason(query))
        return self._reasons.get(query)

    def _find_reason(self, query: str) -> str:
        down: dict[str, str] = {}
        for target, (up, detail, *_) in self._health.items():
            down[target.name] = down.get(target.name) or ("" if up else detail)
        now = [(target.name, series.metric_names(of_last_page=True)) for target, series in self._series.items()]
        before = [
            (target.name, series.metric_names(of_last_page=False) | metrics_of(target.kind))
            for target, series in self._series.items()
        ]
        current, lost = (
            {name: {job for job, names in found if name in names} for name in metrics_in_query(query)}
            for found in (now, before)
        )
        current.setdefault(UP, set()).update(down)
        names = sorted(set().union(*(names for _, names in now)))
        return reason_for_no_series(query, KnownTargets(down, current, lost), lambda name: names)

    def query(self, query: str, at_s: float | None = None) -> list[Sample]:
        """Evaluate a query (see MetricSource.query). A target that is down has no current series except `up`.

        Raises SourceError until every target that the query concerns has been scraped once, successfully or not, which
        takes at most one scrape timeout.
        """
        moment_s = clock.monotonic() if at_s is None else at_s
        pending = [
            target.name for target in self._targets_of(query) if moment_s < self._first_scrape_s.get(target, math.inf)
        ]
        if pending:
            which = f"target {pending[0]} has" if len(pending) == 1 else f"targets {format_names(pending)} have"
            raise SourceError(f"the {which} not been scraped yet")
        return self._evaluated(self._tree(query), moment_s)

    def _targets_of(self, query: str) -> tuple[Target, ...]:
        """Return the targets that a query concerns, by its matchers of `job`; none for a query without selectors."""
        if query not in self._targets_by_query:
            filters = [promql.matcher_of(selector, promql.JOB) for selector in promql.selectors_in(self._tree(query))]
            self._targets_by_query[query] = tuple(
                target
                for target in self._targets
                if any(matches_job({promql.JOB: target.name}) for matches_job in filters)
            )
        return self._targets_by_query[query]

    def _evaluated(self, tree: Any, moment_s: float) -> list[Sample]:
        return promql.evaluate(tree, self._store, moment_s, self._wall_s(moment_s), _yield)

    def metric_values(self, queries: Sequence[str]) -> list[float | None]:
        # This does not wait for the first scrape of other targets.
        return [only_value(self._evaluated(self._tree(query), clock.monotonic())) for query in queries]

    def targets(self) -> list[Target]:
        return list(self._targets)

    def series_values(self) -> dict[MetricKey, float]:
        """Return the values of every series of the targets of kind `any`, as of their last scrapes."""
        found: dict[MetricKey, float] = {}
        for target, series in self._series.items():
            if series.every is None:
                continue
            found |= series.every.values
            if series.every.left_out and target not in self._warned:
                self._warned.add(target)
                logger.warning(
                    "Target %s has %s series more than the %s that are recorded; metrics with many series are left"
                    " out.",
                    *(target.name, format_count(series.every.left_out), format_count(MAX_SERIES)),
                )
        return found

    def start(self) -> None:
        self._greenlets = [self._start_scraper(target) for target in self._targets]

    def _start_scraper(self, target: Target) -> gevent.Greenlet:
        def ended(name: str, error: BaseException) -> None:
            now = clock.monotonic()
            self._health[target] = (False, f"{name} failed: {described(error)}", now, False)
            self._first_scrape_s.setdefault(target, now)
            self._scrape_started_s.pop(target, None)
            series = self._series[target]
            series.begin()
            series.mark_stale(now)
            series.add_scrape_series(False, now, 0.0)

        return Supervisor(ended).keep(f"The scraper of {redact_url(target.url)}", self._scrape_loop, target)

    def close(self) -> None:
        kill_all(self._greenlets)

    def health(self) -> list[TargetHealth]:
        now = clock.monotonic()
        found = []
        for target in self._targets:
            up, detail, at_s, has_metrics = self._health.get(target, (False, "not scraped yet", -1.0, False))
            age_s = now - at_s if at_s >= 0 else None
            pending_s = now - self._scrape_started_s.get(target, now)
            found.append(TargetHealth(target, up, detail, age_s, has_metrics, at_s >= 0, pending_s))
        return found

    def _scrape_loop(self, target: Target) -> None:
        with ApiSession(_MAX_PAGE_BYTES, _TOTAL_TIMEOUT_S, access=target.access, undone=_CODING) as session:
            session.max_redirects = _MAX_REDIRECTS
            due = clock.monotonic()
            while True:
                self._scrape(session, target)
                due = max(due + self._interval_s, clock.monotonic())
                gevent.sleep(due - clock.monotonic())

    def _scrape(self, session: requests.Session, target: Target) -> None:
        now = clock.monotonic()
        self._scrape_started_s[target] = now
        series = self._series[target]
        series.begin()
        up = False
        try:
            page, media_type, coding = _fetch(session, target)
            series.ingest(page, media_type, _yielding(entries(page, media_type)), now, self._wall_s(now))
            up, detail = True, f"{series.count.samples} series"
        except requests.RequestException as error:
            detail = failure_of(error, _api_target(target), _TIMEOUT_S).text
        except ParseError as error:
            detail = f"{error}{coding}"
        except SourceError as error:
            detail = str(error)
        if not up:
            series.mark_stale(now)
        done = clock.monotonic()
        series.add_scrape_series(up, now, done - now)
        self._health[target] = (up, detail, done, up and series.count.of_kind > 0)
        del self._scrape_started_s[target]
        self._first_scrape_s.setdefault(target, now)

    def _wall_s(self, now: float) -> float:
        """Convert a monotonic time to wall time. The offset only changes when the clock was stepped, so that a
        timestamp that a page gives in two scrapes maps to the same monotonic time."""
        distance_s = clock.wall() - clock.monotonic()
        if abs(distance_s - self._wall_offset_s) > _LARGEST_CLOCK_STEP_S:
            self._wall_offset_s = distance_s
        return now + self._wall_offset_s


def scrape_names(target: Target) -> frozenset[str]:
    """Scrape a target once, and return the names of its metrics. Raises SourceError. May switch greenlets."""
    try:
        with ApiSession(_MAX_PAGE_BYTES, _TOTAL_TIMEOUT_S, access=target.access, undone=_CODING) as session:
            session.max_redirects = _MAX_REDIRECTS
            page, media_type, coding = _fetch(session, target)
            try:
                return frozenset(labels_of(page, entry, media_type)[0] for entry in entries(page, media_type))
            except ParseError as error:
                raise SourceError(f"{error}{coding}") from None
    except requests.RequestException as error:
        raise SourceError(failure_of(error, _api_target(target), _TIMEOUT_S).text) from None


def _fetch(session: requests.Session, target: Target) -> tuple[str, str, str]:
    """Return (page, media type, hint about an unexpected Content-Encoding for parse errors). Raises SourceError if the
    response is not a metrics page."""
    response = session.get(target.url, timeout=_TIMEOUT_S, headers=HEADERS)
    failure = refusal_of(response, _api_target(target), "has no metrics endpoint at this path", quotes=False)
    if failure is not None:
        raise SourceError(failure.text)
    if response.status_code != 200:
        raise SourceError(f"returned HTTP {response.status_code}")
    page = decode(response.content)
    coding = response.headers.get("Content-Encoding", _CODING)
    hint = (
        "" if coding == _CODING else f"; the Content-Encoding is {clean_text(coding, 40)}, but {_CODING} was requested"
    )
    # Like Prometheus, accept an empty page with any Content-Type.
    return page, _media_type(response.headers.get("Content-Type", "")) if page else TEXT, hint


def _api_target(target: Target) -> ApiTarget:
    return ApiTarget(target.url, target.access, field_of_target(target))


def _media_type(content_type: str) -> str:
    """Return the media type of a Content-Type. Raises SourceError for one that Prometheus refuses."""
    found = _MEDIA_TYPE.fullmatch(content_type)
    media_type = found[1].lower() if found else ""
    if media_type in (TEXT, OPENMETRICS):
        return media_type
    if not content_type:
        raise SourceError(f"sent no Content-Type; a metrics page has {TEXT} or {OPENMETRICS}")
    if media_type == _PROTOBUF:
        raise SourceError("sent protobuf, which was not requested")
    shown = _SHOWN_MEDIA_TYPE.match(content_type)
    raise SourceError(f"sent {shown[1] if shown else 'an invalid Content-Type'}, which is not a metrics page")


def _yielding(found: Iterator[Entry]) -> Iterator[Entry]:
    """Yield the entries, and to other greenlets every _ENTRIES_PER_YIELD of them."""
    for count, entry in enumerate(found, 1):
        yield entry
        if count % _ENTRIES_PER_YIELD == 0:
            _yield()


def _yield() -> None:
    gevent.sleep(0.0005)

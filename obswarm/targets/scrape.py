"""The embedded source: reads the targets' metrics endpoints once a second for the time of a run, and answers
PromQL over the last minutes."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import gevent
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from obswarm import clock
from obswarm.greenlets import Supervisor, described, kill_all
from obswarm.http import ApiSession, plain_reason
from obswarm.redact import redact_url
from obswarm.targets import evaluate as promql
from obswarm.targets.kinds import metrics_of
from obswarm.targets.series import SeriesStore
from obswarm.targets.source import Sample, SourceError, Target, TargetHealth, only_value

_TIMEOUT_S = 2.0
_LONGEST_S = 5.0
_ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
_LARGEST_PAGE_BYTES = 20 * 1024 * 1024
_LINES_IN_A_TURN = 500
_UP = "up"

# The parser of the text format adds _total to counters that do not end with it, which Prometheus does not; of a metric
# without a type it leaves the name alone (https://prometheus.io/docs/instrumenting/exposition_formats/).
_COUNTER = re.compile(r"^([ \t]*#[ \t]*TYPE[ \t]+\S+[ \t]+)counter[ \t]*$", re.MULTILINE)
_UNTYPED = r"\1untyped"
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,40}/[\w.+-]{1,40}", re.ASCII)


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
        names: frozenset[str] | None = None
        if queries is not None:
            names = frozenset({_UP}.union(*(promql.metric_names(self._tree(query)) for query in queries)))
        self._store = SeriesStore(promql.LONGEST_RANGE_S, names)
        self.health_every_s = interval_s / 4
        self._health: dict[Target, tuple[bool, str, float, bool]] = {}
        self._greenlets: list[gevent.Greenlet] = []

    def _tree(self, query: str) -> Any:
        if query not in self._trees:
            self._trees[query] = promql.parse(query)
        return self._trees[query]

    def check(self, query: str) -> None:
        self._tree(query)

    def query(self, query: str) -> list[Sample]:
        now = clock.monotonic()
        away = [target.name for target, (up, *_) in self._health.items() if not up]
        if len(away) == len(self._targets) and away:
            raise SourceError(f"no metrics from {', '.join(away)}: {self._health[self._targets[0]][1]}")
        return promql.evaluate(self._tree(query), self._store, now, clock.wall())

    def figures(self, queries: Sequence[str]) -> list[float | None]:
        return [only_value(self.query(query)) for query in queries]

    def targets(self) -> list[Target]:
        return list(self._targets)

    def start(self) -> None:
        self._greenlets = [self._keep_reading(target) for target in self._targets]

    def _keep_reading(self, target: Target) -> gevent.Greenlet:
        def ended(name: str, error: BaseException) -> None:
            self._health[target] = (False, f"{name} has ended: {described(error)}", clock.monotonic(), False)

        return Supervisor(ended).keep(f"The reader of {redact_url(target.url)}", self._follow, target)

    def close(self) -> None:
        kill_all(self._greenlets)

    def health(self) -> list[TargetHealth]:
        now = clock.monotonic()
        found = []
        for target in self._targets:
            up, detail, at_s, has_metrics = self._health.get(target, (False, "not read yet", -1.0, False))
            found.append(TargetHealth(target, up, detail, now - at_s if at_s >= 0 else None, has_metrics))
        return found

    def _follow(self, target: Target) -> None:
        with ApiSession(_LARGEST_PAGE_BYTES, _LONGEST_S) as session:
            due = clock.monotonic()
            while True:
                self._scrape(session, target)
                due = max(due + self._interval_s, clock.monotonic())
                gevent.sleep(due - clock.monotonic())

    def _scrape(self, session: requests.Session, target: Target) -> None:
        now = clock.monotonic()
        up, of_kind = False, 0
        try:
            count, of_kind = self._read(session, target, now)
            up, detail = True, f"{count} series"
        except requests.RequestException as error:
            detail = plain_reason(error)
        except SourceError as error:
            detail = str(error)
        self._health[target] = (up, detail, clock.monotonic(), of_kind > 0)
        self._store.add(_UP, {"job": target.name}, now, float(up))

    def _read(self, session: requests.Session, target: Target, now: float) -> tuple[int, int]:
        """How many series there are, and how many of them are of the target's kind. Raises SourceError when the answer
        is no page of metrics."""
        answer = session.get(target.url, timeout=_TIMEOUT_S, headers={"Accept": _ACCEPT})
        if answer.status_code != 200:
            raise SourceError(f"answers HTTP {answer.status_code}")
        media_type = answer.headers.get("Content-Type", "")
        is_openmetrics = media_type.startswith("application/openmetrics-text")
        wanted = metrics_of(target.kind)
        count = of_kind = 0
        parse: Any = parse_openmetrics if is_openmetrics else parse_text
        try:
            text = answer.content.decode()
            for family in parse(text if is_openmetrics else _COUNTER.sub(_UNTYPED, text)):
                for sample in family.samples:
                    self._store.add(sample.name, {**sample.labels, "job": target.name}, now, float(sample.value))
                    count += 1
                    of_kind += sample.name in wanted
                    if count % _LINES_IN_A_TURN == 0:
                        gevent.sleep(0.0005)
        except (ValueError, KeyError):
            # What the parser says has the line in it, which may be a whole page.
            found = _MEDIA_TYPE.match(media_type)
            raise SourceError(f"answers {found[0] if found else 'something'}, which is no page of metrics") from None
        return count, of_kind

"""A real Prometheus (or anything with its HTTP API) as the source of metrics."""

import logging
from collections.abc import Sequence
from functools import partial

import gevent

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.greenlets import outcome_of, spawn_apart
from obswarm.http import ApiAccess
from obswarm.killed import Supervised
from obswarm.redact import redact_url
from obswarm.targets.evaluate import filtered_operands, metric_names, parse, parse_any, tree_of
from obswarm.targets.kinds import KINDS, TargetMetric, presence_query
from obswarm.targets.prometheus_api import LONGEST_S, TIMEOUT_S, BadQuery, PrometheusApi, SourceRefuses
from obswarm.targets.prometheus_reasons import PrometheusReasons
from obswarm.targets.server_clock import ServerClock
from obswarm.targets.source import MISSED_SCRAPES, Sample, SourceError, Target, TargetHealth, only_value

_NOTHING = "vector(1)"
"""What any Prometheus can be asked for."""
_ANYBODY = ApiAccess()
_NUMBER = "obswarm_number"
_ITSELF = "prometheus"
_AT_ONCE = 40
"""Queries in a request; its address must not get too long."""


class PrometheusSource:
    """A MetricSource: instant queries. `access` says how it is let in; see PrometheusApi for the times."""

    health_every_s = 1.0
    stale_after_s = MISSED_SCRAPES * 1.0
    """By the second between two scrapes that load tests need."""

    def __init__(
        self,
        url: str,
        targets: Sequence[Target] = (),
        access: ApiAccess = _ANYBODY,
        *,
        timeout_s: float = TIMEOUT_S,
        longest_s: float = LONGEST_S,
        trust_env: bool = True,
    ) -> None:
        self.url = url
        self._targets = tuple(targets)
        self._checked: list[str] = []
        self._api = PrometheusApi(url, access, timeout_s, longest_s, trust_env)
        self._clock = ServerClock()
        self._reasons = PrometheusReasons(self.query, self.targets)
        self._known: list[Target] = []

    def check(self, query: str) -> None:
        """Have it asked for by `start`: what Prometheus understands is for Prometheus to say."""
        self._checked.append(query)

    def start(self) -> None:
        """Ask once for every query that was checked, or for a number if there is none: a Prometheus that refuses will
        do so later on, too. What may pass is a warning. May switch greenlets."""
        queries = dict.fromkeys(self._checked or [_NOTHING])
        asking = [spawn_apart(partial(self._refusal, query), Supervised) for query in queries]
        gevent.joinall(asking)
        for refusal in map(outcome_of, asking):
            if refusal is not None:
                raise ObswarmError(refusal)

    def _refusal(self, query: str) -> str | None:
        """Why the query will never be answered; of what may be answered later, a warning, and None."""
        try:
            self.query(query)
        except (BadQuery, SourceRefuses) as error:
            return f"{error}."
        except SourceError as error:
            unread = self._refusal_of_unread(query)
            if unread is None:
                self._api.warn(f"{error}. That may pass; it is asked again.")
            return unread
        return None

    def _refusal_of_unread(self, query: str) -> str | None:
        """Of a query that got no answer, and that obswarm cannot read: whether Prometheus can."""
        try:
            parse_any(query)
            return None
        except ObswarmError as error:
            unread = error
        try:
            self._api.parse(query)
        except BadQuery as error:
            return f"{error}."
        except SourceError as error:
            return f"{unread} Nobody says that it is all the same: {error}."
        return None

    def query(self, query: str, at_s: float | None = None) -> list[Sample]:
        return self._query(query, at_s, logging.INFO)

    def _query(self, query: str, at_s: float | None, hints_level: int) -> list[Sample]:
        asked_s = clock.monotonic()
        server_s = self._clock.at(asked_s if at_s is None else at_s)
        # Without a time, Prometheus takes its own and says which that is.
        samples, evaluated_s = self._api.query(query, server_s, hints_level)
        if server_s is None and evaluated_s is not None:
            self._clock.note(asked_s, clock.monotonic(), evaluated_s)
        return samples

    def filters_all(self, query: str, at_s: float | None = None) -> bool:
        try:
            operands = filtered_operands(tree_of(query))
        except ObswarmError:
            # Nobody but Prometheus can read it.
            return False
        if operands is None:
            return False
        return None not in self._figures([f"count({operand.prettify()})" for operand in operands], at_s)

    def why_no_series(self, query: str) -> str:
        return self._reasons.get(query)

    def figures(self, queries: Sequence[str]) -> list[float | None]:
        return self._figures(queries, None)

    def _figures(self, queries: Sequence[str], at_s: float | None) -> list[float | None]:
        found: list[float | None] = [None] * len(queries)
        asked_s = clock.monotonic() if at_s is None else at_s
        for begin in range(0, len(queries), _AT_ONCE):
            # All in one request: each with its number as a label, joined.
            numbered = (
                f'label_replace({query}, "{_NUMBER}", "{number}", "", "")'
                for number, query in enumerate(queries[begin : begin + _AT_ONCE], begin)
            )
            by_number: dict[str, list[Sample]] = {}
            # Their hints are about queries that nobody has written.
            for sample in self._query(" or ".join(numbered), asked_s, logging.DEBUG):
                by_number.setdefault(sample.labels.get(_NUMBER, ""), []).append(sample)
            for number in range(begin, min(begin + _AT_ONCE, len(queries))):
                found[number] = only_value(by_number.get(str(number), ()))
        return found

    def targets(self) -> list[Target]:
        """Without any by name, the jobs whose targets have a label `kind`, as `obswarm up` gives them; of a job with
        several kinds, each."""
        if self._targets:
            return list(self._targets)
        found: dict[tuple[str, str], Target] = {}
        for sample in self.query('up{kind!=""}'):
            job, kind = sample.labels.get("job", ""), sample.labels.get("kind", "")
            if kind in KINDS:
                found.setdefault((job, kind), Target(job, sample.labels.get("instance", ""), kind, has_kind_label=True))
        return list(found.values())

    def targets_by_metrics(self) -> list[Target]:
        """The jobs that have the first metric of a kind: what may be a target where nothing says so. May switch
        greenlets. Raises SourceError."""
        return [
            Target(sample.labels.get("job", ""), "", kind)
            for kind, signals in KINDS.items()
            for metric in metric_names(parse(signals[0].query))
            for sample in self.query(f"count by (job) ({metric})")
        ]

    def close(self) -> None:
        self._reasons.close()
        self._api.close()

    def health(self) -> list[TargetHealth]:
        """By whether Prometheus has anything of that job. While it does not answer, nothing is known of
        all that it has told of before; of it itself, when there is nobody else to tell of."""
        known = self._known or [Target(_ITSELF, self.url, _ITSELF)]
        try:
            targets = known = self._known = self.targets()
            ups = [TargetMetric("up", "min(up)", "number").of(target) for target in targets]
            # In one request, so that one that hangs keeps nobody else waiting.
            values = self.figures([*ups, *map(presence_query, targets)])
        except SourceError as error:
            return [TargetHealth(target, False, str(error), None, False, is_known=False) for target in known]
        found = []
        for target, up, present in zip(targets, values[: len(targets)], values[len(targets) :], strict=True):
            state = "unknown" if up is None else "up" if up else "down"
            detail = f"job {target.name}: {state}, by {redact_url(self.url)}"
            found.append(TargetHealth(target, bool(up), detail, None, bool(present), up is not None))
        return found

"""MetricSource that queries a Prometheus, or a server with the same HTTP API."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import gevent

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.greenlets import outcome_of, spawn_apart
from obswarm.http import ApiAccess
from obswarm.killed import Supervised
from obswarm.record import MetricKey, SampleSeries
from obswarm.redact import redact_url
from obswarm.targets.evaluate import filtered_operands, metric_names, parse, parse_any, tree_of
from obswarm.targets.kind_metrics import presence_query
from obswarm.targets.kinds import KINDS, TargetMetric
from obswarm.targets.prometheus_api import TIMEOUT_S, TOTAL_TIMEOUT_S, BadQuery, PermanentSourceError, PrometheusApi
from obswarm.targets.prometheus_reasons import PrometheusReasons
from obswarm.targets.prometheus_series import series_of_target
from obswarm.targets.source import MISSED_SCRAPES, Sample, SourceError, Target, TargetHealth, only_value

_PROBE_QUERY = "vector(1)"
"""A query that any Prometheus can evaluate."""
_NO_ACCESS = ApiAccess()
_NUMBER = "obswarm_number"
_PROMETHEUS = "prometheus"
_QUERIES_PER_REQUEST = 40
"""Limits the length of a combined query."""
_CHECK_EVERY_S = 60.0
_SERIES_TIMEOUT_S = 10.0
"""Time after which no series of further targets are read at the end of a run."""


class ServerClock:
    """Converts local monotonic times (`obswarm.clock.monotonic`) to the clock of a server.

    A server time received between the start of a request and its response bounds the offset between the clocks. If the
    local wall clock is within the bounds, it is used; otherwise the earliest time that they allow, since a server has
    no samples of its future.
    """

    def __init__(
        self, monotonic: Callable[[], float] = clock.monotonic, wall: Callable[[], float] = clock.wall
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._offset_s: float | None = None
        self._noted_s = 0.0

    def note(self, sent_s: float, received_s: float, server_s: float) -> None:
        """Note that the server's clock showed `server_s` (seconds since the Unix epoch) between `sent_s` and
        `received_s`."""
        lowest_s, highest_s = server_s - received_s, server_s - sent_s
        own_s = self._wall() - self._monotonic()
        self._offset_s = own_s if lowest_s <= own_s <= highest_s else lowest_s
        self._noted_s = received_s

    def at(self, moment_s: float) -> float | None:
        """Return the server's time at `moment_s`, in seconds since the Unix epoch; None if it is unknown or
        outdated."""
        if self._offset_s is None or self._monotonic() - self._noted_s > _CHECK_EVERY_S:
            return None
        return moment_s + self._offset_s


class PrometheusSource:
    """MetricSource by instant queries. `access` has credentials and certificates; for the timeouts see
    PrometheusApi."""

    health_interval_s = 1.0
    stale_after_s = MISSED_SCRAPES * 1.0
    """Assumes a scrape interval of one second, which load tests need."""

    def __init__(
        self,
        url: str,
        targets: Sequence[Target] = (),
        access: ApiAccess = _NO_ACCESS,
        *,
        timeout_s: float = TIMEOUT_S,
        total_timeout_s: float = TOTAL_TIMEOUT_S,
        trust_env: bool = True,
    ) -> None:
        self.url = url
        self._targets = tuple(targets)
        self._checked: list[str] = []
        self._api = PrometheusApi(url, access, timeout_s, total_timeout_s, trust_env)
        self._clock = ServerClock()
        self._reasons = PrometheusReasons(self.query, self.targets)
        self._known: list[Target] = []

    def check(self, query: str) -> None:
        """Register the query for `start`, which runs it once: only Prometheus can tell whether it accepts it."""
        self._checked.append(query)

    def start(self) -> None:
        """Run every registered query once, or a probe if there is none.

        Raises ObswarmError if Prometheus refuses one permanently; logs a warning for errors that may be temporary. May
        switch greenlets.
        """
        queries = dict.fromkeys(self._checked or [_PROBE_QUERY])
        greenlets = [spawn_apart(partial(self._refusal, query), Supervised) for query in queries]
        gevent.joinall(greenlets)
        for refusal in map(outcome_of, greenlets):
            if refusal is not None:
                raise ObswarmError(refusal)

    def _refusal(self, query: str) -> str | None:
        """Return why the query will never work; log a warning for an error that may be temporary."""
        try:
            self.query(query)
        except (BadQuery, PermanentSourceError) as error:
            return f"{error}."
        except SourceError as error:
            refusal = self._refusal_of_unparsed(query)
            if refusal is None:
                self._api.warn(f"{error}. This may be temporary; the query is retried.")
            return refusal
        return None

    def _refusal_of_unparsed(self, query: str) -> str | None:
        """For a failed query that obswarm cannot parse, return why Prometheus cannot parse it either; None if it
        can."""
        try:
            parse_any(query)
            return None
        except ObswarmError as error:
            refusal = error
        try:
            self._api.parse(query)
        except BadQuery as error:
            return f"{error}."
        except SourceError as error:
            return f"{refusal} Prometheus could not check it either: {error}."
        return None

    def query(self, query: str, at_s: float | None = None) -> list[Sample]:
        return self._query(query, at_s, logging.INFO)

    def _query(self, query: str, at_s: float | None, hints_level: int) -> list[Sample]:
        sent_s = clock.monotonic()
        server_s = self._clock.at(sent_s if at_s is None else at_s)
        # Without a time, Prometheus evaluates at its own current time and returns it.
        samples, evaluated_s = self._api.query(query, server_s, hints_level)
        if server_s is None and evaluated_s is not None:
            self._clock.note(sent_s, clock.monotonic(), evaluated_s)
        return samples

    def filters_all(self, query: str, at_s: float | None = None) -> bool:
        try:
            operands = filtered_operands(tree_of(query))
        except ObswarmError:
            # Only Prometheus can parse it.
            return False
        if operands is None:
            return False
        return None not in self._metric_values([f"count({operand.prettify()})" for operand in operands], at_s)

    def why_no_series(self, query: str) -> str:
        return self._reasons.get(query)

    def metric_values(self, queries: Sequence[str]) -> list[float | None]:
        return self._metric_values(queries, None)

    def _metric_values(self, queries: Sequence[str], at_s: float | None) -> list[float | None]:
        found: list[float | None] = [None] * len(queries)
        sent_s = clock.monotonic() if at_s is None else at_s
        for begin in range(0, len(queries), _QUERIES_PER_REQUEST):
            # Combined into one query; each part gets its number as a label.
            numbered = (
                f'label_replace({query}, "{_NUMBER}", "{number}", "", "")'
                for number, query in enumerate(queries[begin : begin + _QUERIES_PER_REQUEST], begin)
            )
            by_number: dict[str, list[Sample]] = {}
            # Hints are logged at a low level, since they are about the combined query, not the user's.
            for sample in self._query(" or ".join(numbered), sent_s, logging.DEBUG):
                by_number.setdefault(sample.labels.get(_NUMBER, ""), []).append(sample)
            for number in range(begin, min(begin + _QUERIES_PER_REQUEST, len(queries))):
                found[number] = only_value(by_number.get(str(number), ()))
        return found

    def targets(self) -> list[Target]:
        """Return the configured targets; without any, the jobs that have a label `kind` (`obswarm up` adds it), one
        target for each kind of a job."""
        if self._targets:
            return list(self._targets)
        found: dict[tuple[str, str], Target] = {}
        for sample in self.query('up{kind!=""}'):
            job, kind = sample.labels.get("job", ""), sample.labels.get("kind", "")
            if kind in KINDS:
                found.setdefault((job, kind), Target(job, sample.labels.get("instance", ""), kind, has_kind_label=True))
        return list(found.values())

    def targets_by_metrics(self) -> list[Target]:
        """Return the jobs that have the first metric of a kind, as candidates if no job has a label `kind`. May switch
        greenlets. Raises SourceError."""
        return [
            Target(sample.labels.get("job", ""), "", kind.name)
            for kind in KINDS.values()
            if kind.metrics and not kind.is_runtime
            for metric in metric_names(parse(kind.metrics[0].query))
            for sample in self.query(f"count by (job) ({metric})")
        ]

    def series_between(self, start_s: float, end_s: float) -> Mapping[MetricKey, SampleSeries]:
        """Return every series of the targets between two wall times, of further targets only within
        _SERIES_TIMEOUT_S. Raises SourceError."""
        server_s = self._clock.at(clock.monotonic())
        skew_s = 0.0 if server_s is None else server_s - clock.wall()
        found: dict[MetricKey, SampleSeries] = {}
        until_s = clock.monotonic() + _SERIES_TIMEOUT_S
        for target in self.targets():
            found.update(series_of_target(self._api, target, start_s, end_s, skew_s))
            if clock.monotonic() > until_s:
                self._api.warn(f"{self._api.name} is slow: not all series of the targets are stored.")
                break
        return found

    def close(self) -> None:
        self._reasons.close()
        self._api.close()

    def health(self) -> list[TargetHealth]:
        """Return the health of each target by its `up` and by the presence of metrics of its kind.

        While Prometheus does not respond, all targets known so far are unknown; before the first response, the one
        entry is Prometheus itself.
        """
        known = self._known or [Target(_PROMETHEUS, self.url, _PROMETHEUS)]
        try:
            targets = known = self._known = self.targets()
            ups = [TargetMetric("up", "min(up)", "number").of(target) for target in targets]
            # In one request, so that a slow one does not delay the others.
            values = self.metric_values([*ups, *map(presence_query, targets)])
        except SourceError as error:
            return [TargetHealth(target, False, str(error), None, False, is_known=False) for target in known]
        found = []
        for target, up, present in zip(targets, values[: len(targets)], values[len(targets) :], strict=True):
            state = "unknown" if up is None else "up" if up else "down"
            detail = f"job {target.name}: {state}, by {redact_url(self.url)}"
            found.append(TargetHealth(target, bool(up), detail, None, bool(present), up is not None))
        return found

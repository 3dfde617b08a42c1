"""A real Prometheus (or anything with its HTTP API) as the source of metrics."""

from collections.abc import Sequence
from typing import Any

import requests

from obswarm import clock
from obswarm.http import ApiSession, plain_reason
from obswarm.redact import redact_url
from obswarm.targets.evaluate import metric_names, parse, parse_any
from obswarm.targets.kinds import KINDS, Signal, presence_query
from obswarm.targets.prometheus_reasons import PrometheusReasons
from obswarm.targets.server_clock import ServerClock
from obswarm.targets.source import MISSED_SCRAPES, Sample, SourceError, Target, TargetHealth, only_value

_TIMEOUT_S = 3.0
_LONGEST_S = 6.0
_LARGEST_ANSWER_BYTES = 32 * 1024 * 1024
_NUMBER = "obswarm_number"
_ITSELF = "prometheus"
_AT_ONCE = 40
"""Queries in a request; its address must not get too long."""


class PrometheusSource:
    """A MetricSource: instant queries by `GET /api/v1/query`
    (https://prometheus.io/docs/prometheus/latest/querying/api/)."""

    health_every_s = 1.0
    stale_after_s = MISSED_SCRAPES * 1.0
    """By the second between two scrapes that load tests need."""

    def __init__(self, url: str, targets: Sequence[Target] = ()) -> None:
        self.url = url.rstrip("/")
        self._targets = tuple(targets)
        self._session = ApiSession(_LARGEST_ANSWER_BYTES, _LONGEST_S)
        self._clock = ServerClock()
        self._reasons = PrometheusReasons(self.query)
        self._known: list[Target] = []

    def check(self, query: str) -> None:
        parse_any(query)

    def query(self, query: str, at_s: float | None = None) -> list[Sample]:
        asked_s = clock.monotonic()
        server_s = self._clock.at(asked_s if at_s is None else at_s)
        # Without a time, Prometheus takes its own and says which that is.
        time = {} if server_s is None else {"time": f"{server_s:.3f}"}
        try:
            answer = self._session.get(f"{self.url}/api/v1/query", params={"query": query, **time}, timeout=_TIMEOUT_S)
            document = answer.json()
        except requests.RequestException as error:
            raise SourceError(f"Prometheus at {self.url} does not answer: {plain_reason(error)}") from None
        except ValueError:
            raise SourceError(f"{self.url} does not answer as a Prometheus does (HTTP {answer.status_code})") from None
        if not isinstance(document, dict) or document.get("status") != "success":
            reason = document.get("error", document) if isinstance(document, dict) else document
            raise SourceError(f"Prometheus refuses the query {query}: {reason}")
        try:
            if not time:
                for evaluated_s in _times(document["data"])[:1]:
                    self._clock.note(asked_s, clock.monotonic(), evaluated_s)
            return _samples(document["data"])
        except (LookupError, AttributeError, TypeError, ValueError):
            raise SourceError(f"{self.url} does not answer as a Prometheus does") from None

    def why_no_series(self, query: str) -> str:
        return self._reasons.get(query)

    def figures(self, queries: Sequence[str]) -> list[float | None]:
        found: list[float | None] = [None] * len(queries)
        asked_s = clock.monotonic()
        for begin in range(0, len(queries), _AT_ONCE):
            # All in one request: each with its number as a label, joined.
            numbered = (
                f'label_replace({query}, "{_NUMBER}", "{number}", "", "")'
                for number, query in enumerate(queries[begin : begin + _AT_ONCE], begin)
            )
            by_number: dict[str, list[Sample]] = {}
            for sample in self.query(" or ".join(numbered), asked_s):
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

    def start(self) -> None:
        """Prometheus scrapes by itself."""

    def close(self) -> None:
        self._reasons.close()
        self._session.close()

    def health(self) -> list[TargetHealth]:
        """By whether Prometheus has anything of that job. While it does not answer, all that it has told of before is
        down; it itself, when there is nobody else to tell of."""
        known = self._known or [Target(_ITSELF, self.url, _ITSELF)]
        try:
            targets = known = self._known = self.targets()
            ups = [Signal("up", "min(up)", "number").of(target) for target in targets]
            # In one request, so that one that hangs keeps nobody else waiting.
            values = self.figures([*ups, *map(presence_query, targets)])
        except SourceError as error:
            return [TargetHealth(target, False, str(error), None, False) for target in known]
        found = []
        for target, up, present in zip(targets, values[: len(targets)], values[len(targets) :], strict=True):
            state = "unknown" if up is None else "up" if up else "down"
            detail = f"job {target.name}: {state}, by {redact_url(self.url)}"
            found.append(TargetHealth(target, bool(up), detail, None, bool(present)))
        return found


def _times(data: dict[str, Any]) -> list[float]:
    """When it was evaluated, by Prometheus' clock, as each series of the answer says."""
    kind, result = data["resultType"], data["result"]
    pairs = [result] if kind == "scalar" else [series["value"] for series in result] if kind == "vector" else []
    return [float(time_s) for time_s, _ in pairs]


def _samples(data: dict[str, object]) -> list[Sample]:
    kind, result = data["resultType"], data["result"]
    if kind == "scalar":
        return [Sample({}, float(result[1]))]  # type: ignore[index]  # checked by the KeyError and TypeError around it
    if kind != "vector":
        raise SourceError(f"the query gives a {kind}; it has to give numbers")
    return [
        Sample({str(name): str(text) for name, text in series["metric"].items()}, float(series["value"][1]))
        for series in result  # type: ignore[attr-defined]
    ]

"""Statements of databases: the time that each kind of statement (digest) takes, of the exporters that have it.

mysqld_exporter has them with --collect.perf_schema.eventsstatements, postgres_exporter with
--collector.stat_statements, and their texts there with --collector.stat_statements.include_query.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from obswarm import clock
from obswarm.record import MetricKey
from obswarm.sanitize import clean_text
from obswarm.targets.kinds import matchers_of
from obswarm.targets.source import MetricSource, Sample, SourceError, Target

STATEMENT = "statement: "
"""Beginning of the names of their metrics; the text of the statement follows."""
MOST = 10
"""Statements of a target that are observed: those that take the most time in a second are added until then."""
_LONGEST_TEXT = 120
_PAUSE_S = 10.0
_LEAST_SHARE = 0.02
"""Smallest share of the time of all statements from which a statement is observed."""


@dataclass(frozen=True, slots=True)
class _Exported:
    """A counter of seconds by statement: its labels that identify one, and the metric and label that have its text."""

    seconds: str
    label: str
    text_metric: str = ""
    text_label: str = ""


_EXPORTED: Mapping[str, _Exported] = {
    "mysql": _Exported("mysql_perf_schema_events_statements_seconds_total", "digest_text"),
    "postgres": _Exported("pg_stat_statements_seconds_total", "queryid", "pg_stat_statements_query_id", "query"),
}


def statement_metrics(targets: Iterable[Target]) -> Iterator[str]:
    """Yield the queries by which the statements of targets are observed, for a source that has to know them."""
    for target in targets:
        exported = _EXPORTED.get(target.kind)
        if exported is not None:
            yield _seconds_query(target, exported)
            if exported.text_metric:
                yield _text_query(target, exported)


def is_statement(key: MetricKey) -> bool:
    """Return whether a metric is the time of a statement."""
    return key.kind in _EXPORTED and key.name.startswith(STATEMENT)


def statement_of(key: MetricKey) -> str:
    """Return the text of the statement of a metric."""
    return key.name.removeprefix(STATEMENT)


class Statements:
    """The statements of a run's targets that take the most time, at most MOST of each target: bounded, however many
    kinds of statements the exporter has."""

    def __init__(self, source: MetricSource) -> None:
        self._source = source
        self._observed: dict[Target, dict[str, MetricKey]] = {}
        self._again_s: dict[Target, float] = {}
        """When a target without such metrics is queried again."""

    def values(self, targets: Iterable[Target]) -> dict[MetricKey, float]:
        """Return the seconds per second that each observed statement takes now, of all that execute at a time. Targets
        without such metrics, or that do not respond, have none. May switch greenlets."""
        found: dict[MetricKey, float] = {}
        for target in targets:
            exported = _EXPORTED.get(target.kind)
            if exported is not None and self._again_s.get(target, -math.inf) <= clock.monotonic():
                try:
                    found |= self._values_of(target, exported)
                except SourceError:
                    # Its other metrics have the gap, too.
                    continue
        return found

    def _values_of(self, target: Target, exported: _Exported) -> dict[MetricKey, float]:
        samples = self._source.query(_seconds_query(target, exported))
        if not samples:
            self._again_s[target] = clock.monotonic() + _PAUSE_S
        seconds = {
            name: each.value for each in samples if (name := each.labels.get(exported.label)) and each.value >= 0
        }
        observed = self._observed.setdefault(target, {})
        whole = sum(seconds.values())
        fresh = [
            name
            for name in sorted(seconds, key=lambda name: -seconds[name])
            if name not in observed and seconds[name] >= _LEAST_SHARE * whole > 0
        ][: MOST - len(observed)]
        if fresh:
            texts = self._texts(target, exported)
            for name in fresh:
                text = clean_text(" ".join(texts.get(name, name).split()), _LONGEST_TEXT)
                observed[name] = MetricKey(target.name, target.kind, f"{STATEMENT}{text}", "number")
        return {key: seconds[name] for name, key in observed.items() if name in seconds}

    def _texts(self, target: Target, exported: _Exported) -> Mapping[str, str]:
        if not exported.text_metric:
            return {}
        found: Iterable[Sample] = self._source.query(_text_query(target, exported))
        return {
            name: text
            for each in found
            if (name := each.labels.get(exported.label)) and (text := each.labels.get(exported.text_label))
        }


def _seconds_query(target: Target, exported: _Exported) -> str:
    matchers = ", ".join(matchers_of(target))
    return f"sum by ({exported.label}) (rate({exported.seconds}{{{matchers}}}[15s]))"


def _text_query(target: Target, exported: _Exported) -> str:
    matchers = ", ".join(matchers_of(target))
    return f"max by ({exported.label}, {exported.text_label}) ({exported.text_metric}{{{matchers}}})"

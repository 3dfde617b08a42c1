"""What obswarm finds of a real target: the figures of its kind, through its own source and through a Prometheus."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import gevent

from dashboards.panels import Graph, Query
from dashboards.render import ask, filled
from obswarm.guards import Guard, GuardEvaluator, parse_action
from obswarm.targets import KINDS, EmbeddedSource, MetricSource, PrometheusSource, Target, queries_of
from tests.guards.test_evaluator import Control
from tests.support.patience import HANG_S
from tests.support.prometheus import Prometheus
from tests.support.recorded import MadeUpRun
from tests.support.scraped import series_of_prometheus, series_of_source

_WHOLE_RANGE = "300s"
Check = Callable[[float], bool]
_RULED = re.compile(r"ALERTS|.*:")
"""Metrics that are made by rules."""


class Figures:
    """Reads targets from the beginning of a `with` block, both ways. Counters are looked at as their increase since
    then, where the figure is a rate: its query with `increase`. Prometheus extrapolates that: with few scrapes by half."""

    def __init__(self, *targets: Target, rule_files: tuple[Path, ...] = ()) -> None:
        """Prometheus gives each target its kind as a label, and evaluates the rules."""
        self._targets = targets
        # With its default settings, as most have it.
        self.prometheus = Prometheus(
            *(f"{each.name}={each.url.removeprefix('http://')}" for each in targets),
            features="",
            rule_files=rule_files,
            labels={each.name: {"kind": each.kind} for each in targets},
        )
        self._embedded = EmbeddedSource(targets)
        self._sources: tuple[MetricSource, ...] = (
            self._embedded,
            PrometheusSource(self.prometheus.url, targets),
        )

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.prometheus)
            for source in self._sources:
                source.start()
                stack.callback(source.close)
            # Increases are of what comes after the first scrape.
            self._wait({each.name: (f'up{{job="{each.name}"}}', bool) for each in self._targets})
            self._began_s = time.time()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait_for(self, kind: str, expected: Mapping[str, Check], but: Sequence[str] = ()) -> None:
        """Until each figure of the target of that kind is as it should be, both ways; `but` are others."""
        assert {signal.name for signal in KINDS[kind].metrics} == {*expected, *but}, "every figure is looked at"
        self._wait(
            {
                signal.name: (
                    query.replace("rate(", "increase(").replace("[15s]", f"[{_WHOLE_RANGE}]"),
                    expected[signal.name],
                )
                for target, signal, query in queries_of(self._targets)
                if target.kind == kind and signal.name in expected
            }
        )

    def counted(self, number: float, own_per_s: float) -> Check:
        """What fits a count of `number`, and of up to `own_per_s` of the exporter's own since the beginning, with what
        Prometheus extrapolates."""
        return lambda value: number <= value <= 2 * (number + own_per_s * (time.time() - self._began_s + 5))

    def wait_for_series(self, name: str) -> None:
        """Until both have the same series of a target, by metric and labels. Prometheus has others as well: of rules."""
        deadline = time.monotonic() + HANG_S
        while True:
            real = {_as_scraped(labels) for labels in series_of_prometheus(self.prometheus)[name]}
            ours = set(series_of_source(self._embedded)[name])
            missing = {labels for labels in real - ours if not _RULED.match(dict(labels)["__name__"])}
            if not missing and ours <= real:
                return
            assert time.monotonic() < deadline, (missing, ours - real)
            gevent.sleep(0.2)

    def _wait(self, queries: Mapping[str, tuple[str, Check]]) -> None:
        deadline = time.monotonic() + HANG_S
        while True:
            found = [
                (type(source).__name__, name, query, value, value is not None and check(value))
                for source in self._sources
                for (name, (query, check)), value in zip(
                    queries.items(), source.metric_values([query for query, _ in queries.values()]), strict=True
                )
            ]
            wrong = [each[:-1] for each in found if not each[-1]]
            if not wrong:
                return
            assert time.monotonic() < deadline, wrong
            gevent.sleep(0.2)

    def wait_for_panels(self, graphs: Sequence[Graph], series: Mapping[str, Sequence[int]]) -> None:
        """Until each query of these panels gives numbers, of as many series as stand there by title; one for each query
        where there is nothing."""
        deadline = time.monotonic() + HANG_S
        while wrong := [
            (graph.title, query.expr, found, count)
            for graph in graphs
            for query, count in zip(graph.queries, series.get(graph.title, (1,) * len(graph.queries)), strict=True)
            if (found := self._numbers(query)) != count
        ]:
            assert time.monotonic() < deadline, wrong
            gevent.sleep(0.2)

    def _numbers(self, query: Query) -> int:
        """How many series have given a number at any time."""
        found = ask(self.prometheus.url, filled(query.expr), self._began_s, time.time())
        return sum(any(value != "NaN" for _, value in series["values"]) for series in found.series)

    def wait_for_guards(self, *kinds: str) -> None:
        """Until a guard on each figure of these kinds' targets has seen a value and has acted, both ways."""
        asked = [(target, query) for target, _, query in queries_of(self._targets) if target.kind in kinds]
        rules = [Guard(f"promql({query}) > -1", "notify", f"{target.name}: {query}") for target, query in asked]
        for source in self._sources:
            evaluator = GuardEvaluator(rules, source, parse_action("notify"))
            run, control = MadeUpRun([]), Control()
            evaluator.start(control, time.time())
            deadline = time.monotonic() + HANG_S
            try:
                while wrong := [
                    (type(source).__name__, guard.name, guard.state, guard.no_data_reason)
                    for guard in evaluator.on_snapshot(run.second({})).guards
                    if guard.state != "tripped"
                ]:
                    assert time.monotonic() < deadline, wrong
                    gevent.sleep(0.1)
            finally:
                evaluator.close()

    def firing(self) -> set[tuple[str, str]]:
        """(alert, job or container) of those that fire."""
        found = self.prometheus.query('ALERTS{alertstate="firing"}')
        return {(each["metric"]["alertname"], each["metric"].get("name", each["metric"]["job"])) for each in found}

    def reasons(self, query: str) -> list[str]:
        """Why it gives no series, both ways."""
        return [source.why_no_series(query) for source in self._sources]


def _as_scraped(labels: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Without the label that the configuration adds."""
    return tuple(pair for pair in labels if pair[0] != "kind")

"""What obswarm finds of a real target: the figures of its kind, through its own source and through a Prometheus."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Self

import gevent

from dashboards.panels import Graph, Query
from dashboards.render import ask, filled
from obswarm.targets import KINDS, EmbeddedSource, MetricSource, PrometheusSource, Target, queries_of
from tests.support.prometheus import Prometheus

_LONGEST_S = 60
_WHOLE_RANGE = "300s"
Check = Callable[[float], bool]


class Figures:
    """Reads targets from the beginning of a `with` block, both ways. Counters are looked at as their increase since
    then, where the figure is a rate: its query with `increase`. Prometheus extrapolates that: with few scrapes by half."""

    def __init__(self, *targets: Target) -> None:
        self._targets = targets
        self.prometheus = Prometheus(*(f"{each.name}={each.url.removeprefix('http://')}" for each in targets))
        self._sources: tuple[MetricSource, ...] = (
            EmbeddedSource(targets),
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
        assert {signal.name for signal in KINDS[kind]} == {*expected, *but}, "every figure is looked at"
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

    def _wait(self, queries: Mapping[str, tuple[str, Check]]) -> None:
        deadline = time.monotonic() + _LONGEST_S
        while True:
            found = [
                (type(source).__name__, name, query, value, value is not None and check(value))
                for source in self._sources
                for (name, (query, check)), value in zip(
                    queries.items(), source.figures([query for query, _ in queries.values()]), strict=True
                )
            ]
            wrong = [each[:-1] for each in found if not each[-1]]
            if not wrong:
                return
            assert time.monotonic() < deadline, wrong
            gevent.sleep(0.2)

    def wait_for_panels(self, *graphs: Graph) -> None:
        """Until each query of these panels gives numbers."""
        deadline = time.monotonic() + _LONGEST_S
        while missing := [
            f"{graph.title}: {query.expr}"
            for graph in graphs
            for query in graph.queries
            if not self._has_numbers(query)
        ]:
            assert time.monotonic() < deadline, missing
            gevent.sleep(0.2)

    def _has_numbers(self, query: Query) -> bool:
        found = ask(self.prometheus.url, filled(query.expr), self._began_s, time.time())
        return any(value != "NaN" for series in found.series for _, value in series["values"])

"""The embedded evaluator beside a real Prometheus: the same series, the same queries, the same moments."""

import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from obswarm.api import ObswarmError
from obswarm.targets import Sample, SourceError
from obswarm.targets.evaluate import evaluate, parse
from obswarm.targets.evaluate.aggregate import AGGREGATIONS
from obswarm.targets.evaluate.subset import EVALUATED_FUNCTIONS
from obswarm.targets.series import STALE_AFTER_S, SeriesStore
from tests.support.programs import ROOT
from tests.support.prometheus import Prometheus
from tests.support.promql_history import LASTS_S, history, push, store_of
from tests.support.promql_queries import CHOSEN, generated

GENERATED = 300
AT_TIMES = 3
"""A generated query is asked so often; a chosen one at all moments."""

MOMENTS_S = (0.5, 20.375, 61.25, 84.0, 118.875)
"""In the midst of the history, at its ends, on the second and beside it."""

RELATIVE, ABSOLUTE = 1e-9, 1e-9
"""How far two values may be from one another: their sums are made in another order."""

Series = dict[tuple[tuple[str, str], ...], float]
ERROR = "an error"


@dataclass(frozen=True)
class Both:
    store: SeriesStore
    url: str
    session: requests.Session
    begins_unix_s: float

    def embedded(self, query: str, at_s: float) -> Series | str:
        try:
            return series_of(evaluate(parse(query), self.store, at_s, self.begins_unix_s + at_s))
        except SourceError:
            return ERROR

    def real(self, query: str, at_s: float) -> Series | str:
        at = f"{self.begins_unix_s + at_s:.3f}"
        document = self.session.get(f"{self.url}/api/v1/query", params={"query": query, "time": at}, timeout=10).json()
        if document["status"] != "success":
            # Of the query and the series; not that it was no query.
            assert document["errorType"] == "execution", (query, document)
            return ERROR
        data: dict[str, Any] = document["data"]
        if data["resultType"] == "scalar":
            return {(): float(data["result"][1])}
        return series_of([Sample(each["metric"], float(each["value"][1])) for each in data["result"]])


def series_of(samples: list[Sample]) -> Series:
    found = {tuple(sorted(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples), samples
    return found


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    every = history()
    begins_unix_s = float(int(time.time()) - LASTS_S - 60)
    with (
        Prometheus(flags=(f"--query.lookback-delta={STALE_AFTER_S:.0f}s",)) as prometheus,
        requests.Session() as session,
    ):
        push(every, prometheus.url, begins_unix_s)
        yield Both(store_of(every), prometheus.url, session, begins_unix_s)


def is_equal(embedded: Series | str, real: Series | str) -> bool:
    if isinstance(embedded, str) or isinstance(real, str):
        return embedded == real
    return embedded.keys() == real.keys() and all(is_close(value, real[key]) for key, value in embedded.items())


def is_close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE) or (math.isnan(a) and math.isnan(b))


def test_every_query_gives_what_prometheus_gives(both: Both) -> None:
    different = []
    answered = 0
    for number, query in enumerate((*CHOSEN, *generated(GENERATED))):
        for at_s in MOMENTS_S if number < len(CHOSEN) else [MOMENTS_S[(number + n) % 5] for n in range(AT_TIMES)]:
            embedded, real = both.embedded(query, at_s), both.real(query, at_s)
            answered += real not in (ERROR, {})
            if not is_equal(embedded, real):
                different.append(f"{query}  at {at_s}: {embedded} instead of {real}")
    assert different == []
    assert answered > 800, "most queries give something"


@dataclass(frozen=True)
class Difference:
    """A row of the documentation's table."""

    example: str
    prometheus: str
    embedded: str


def section() -> str:
    text = (ROOT / "docs" / "guards.md").read_text()
    return re.split(r"\n#+ ", text[text.index("### PromQL without a Prometheus") + 3 :])[0]


def documented() -> Iterator[Difference]:
    for row in re.findall(r"^\|(.+)\|$", section(), re.MULTILINE)[2:]:
        _, examples, prometheus, embedded = (cell.strip() for cell in row.split(" | "))
        for doubled, single in re.findall(r"``(.+?)``|`(.+?)`", examples):
            yield Difference(doubled or single, prometheus, embedded)


@pytest.mark.parametrize("difference", list(documented()), ids=lambda difference: difference.example)
def test_what_is_documented_to_differ_differs(both: Both, difference: Difference) -> None:
    assert difference.embedded == "refuses"
    with pytest.raises(ObswarmError):
        parse(difference.example)
    query = {"query": difference.example}
    answer = both.session.get(f"{both.url}/api/v1/query", params=query, timeout=10).json()
    if difference.prometheus == "answers":
        assert answer["status"] == "success", answer
    else:
        assert difference.prometheus == "needs a feature flag"
        assert re.search("experimental|feature|not enabled", answer["error"]), answer


def test_the_documentation_lists_what_is_evaluated() -> None:
    aggregations, functions = (
        re.findall(r"`(\w+)`", section().partition(f"{begin}:\n")[2].partition("\n\n" + end)[0])
        for begin, end in (("with `by` and `without`", "and"), ("these functions", "Every"))
    )
    assert aggregations == sorted(AGGREGATIONS)
    assert functions == sorted(EVALUATED_FUNCTIONS)

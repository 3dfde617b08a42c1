"""The embedded source beside a real Prometheus: the same series, the same queries, the same moments.

A history of two minutes is pushed into both, so that nothing has to be waited for and values are the same to the last
digits. Meanwhile both scrape a page that changes with each scrape.
"""

import itertools
import math
import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.targets import EmbeddedSource, Sample, SourceError, Target
from obswarm.targets.evaluate import evaluate, parse
from obswarm.targets.evaluate.aggregate import AGGREGATIONS
from obswarm.targets.evaluate.subset import EVALUATED_FUNCTIONS
from obswarm.targets.evaluate.syntax import NAME
from obswarm.targets.evaluate.values import key_of
from obswarm.targets.series import SeriesStore
from tests.support.changing_page import NUMBER, ChangingPage, serving
from tests.support.patience import wait_until
from tests.support.programs import ROOT
from tests.support.prometheus import Prometheus
from tests.support.promql_history import LASTS_S, history, push, store_of
from tests.support.promql_queries import CHOSEN, LIVE_FUNCTIONS, LIVE_QUERIES, generated

GENERATED = 300
AT_TIMES = 2
CHOSEN_AT_TIMES = 4
"""A generated query, and one of CHOSEN, is asked at so many of the moments."""

MOMENTS_S = (0.5, 20.375, 61.25, 84.0, 118.875, 419.25)
"""In the midst of the history, at its ends, on the second and beside it; when most series have not been scraped for
longer than counts."""

RELATIVE, ABSOLUTE = 1e-9, 1e-9
"""How far two values may be from one another: their sums are made in another order."""

Key = tuple[tuple[str, str], ...]
Scraped = dict[Key, list[tuple[float, float]]]
Series = dict[Key, float]
ERROR = "an error"


@dataclass(frozen=True)
class Real:
    prometheus: Prometheus
    session: requests.Session

    def ask(self, query: str, unix_s: float) -> Any:
        parameters = {"query": query, "time": f"{unix_s:.3f}"}
        return self.session.get(f"{self.prometheus.url}/api/v1/query", params=parameters, timeout=10).json()

    def series(self, query: str, unix_s: float) -> Series | str:
        document = self.ask(query, unix_s)
        if document["status"] != "success":
            # Of the query and the series; not that it was no query.
            assert document["errorType"] == "execution", (query, document)
            return ERROR
        data: dict[str, Any] = document["data"]
        if data["resultType"] == "scalar":
            return {(): float(data["result"][1])}
        return series_of([Sample(each["metric"], float(each["value"][1])) for each in data["result"]])


@dataclass(frozen=True)
class Both:
    """`store` has the samples that `real` has, at times that begin at `begins_unix_s`."""

    store: SeriesStore
    real: Real
    begins_unix_s: float

    def embedded(self, query: str, at_s: float) -> Series | str:
        try:
            return series_of(evaluate(parse(query), self.store, at_s, self.begins_unix_s + at_s))
        except SourceError:
            return ERROR

    def difference(self, query: str, at_s: float) -> str:
        """Empty when there is none."""
        embedded, real = self.embedded(query, at_s), self.real.series(query, self.begins_unix_s + at_s)
        return "" if is_equal(embedded, real) else f"{query}  at {at_s}: {embedded} instead of {real}"


def series_of(samples: list[Sample]) -> Series:
    found = {tuple(sorted(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples), samples
    return found


@pytest.fixture(scope="module")
def page() -> Iterator[ChangingPage]:
    with serving() as served:
        yield served


@pytest.fixture(scope="module")
def real(page: ChangingPage) -> Iterator[Real]:
    with Prometheus(f"live={page.address}", features="") as prometheus, requests.Session() as session:
        yield Real(prometheus, session)


@pytest.fixture(scope="module")
def source(page: ChangingPage) -> Iterator[EmbeddedSource]:
    with closing(EmbeddedSource([Target("live", f"http://{page.address}/metrics", "app")])) as source:
        source.start()
        yield source


@pytest.fixture(scope="module")
def both(real: Real, source: EmbeddedSource) -> Both:
    every = history()
    begins_unix_s = float(int(time.time()) - LASTS_S - 60)
    push(every, real.prometheus.url, begins_unix_s)
    return Both(store_of(every), real, begins_unix_s)


def is_equal(embedded: Series | str, real: Series | str) -> bool:
    if isinstance(embedded, str) or isinstance(real, str):
        return embedded == real
    return embedded.keys() == real.keys() and all(is_close(value, real[key]) for key, value in embedded.items())


def is_close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE) or (math.isnan(a) and math.isnan(b))


def test_every_query_gives_what_prometheus_gives(both: Both) -> None:
    moments = itertools.cycle(MOMENTS_S)
    times = [*((query, CHOSEN_AT_TIMES) for query in CHOSEN), *((query, AT_TIMES) for query in generated(GENERATED))]
    requested = ((query, next(moments)) for query, number in times for _ in range(number))
    assert [*filter(None, itertools.starmap(both.difference, requested))] == []


def test_most_queries_give_something(both: Both) -> None:
    every = [both.embedded(query, MOMENTS_S[1]) for query in (*CHOSEN, *generated(GENERATED))]
    assert sum(found not in (ERROR, {}) for found in every) > len(every) / 2
    assert sum(found == ERROR for found in every) > 10


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
    answer = both.real.ask(difference.example, both.begins_unix_s)
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


PAGES = 5
"""In which every page of `changing_page` has been, and a series is gone and back."""

LIVE_RANGES = ("2s", "5s")


def of_prometheus(real: Real) -> Scraped:
    """Without what Prometheus says of its scrapes."""
    document = real.ask('{job="live", __name__!~"scrape_.*"}[5m]', time.time())
    return {
        tuple(sorted(each["metric"].items())): [(time_s, float(value)) for time_s, value in each["values"]]
        for each in document["data"]["result"]
    }


def of_source(source: EmbeddedSource) -> Scraped:
    store = source._store
    return {
        key_of({NAME: name, **labels}): points
        for name in store.metric_names
        if not name.startswith("scrape_")
        for labels, points in store.range(name, clock.monotonic(), 300)
    }


def by_page(scraped: Scraped) -> dict[Key, dict[float, str]]:
    """Each series' values by the number of the page, of the first pages."""
    (pages,) = (points for key, points in scraped.items() if dict(key)[NAME] == NUMBER)
    numbers = {time_s: number for time_s, number in pages if number <= PAGES}
    return {
        key: found
        for key, points in scraped.items()
        if (found := {numbers[time_s]: repr(value) for time_s, value in points if time_s in numbers})
    }


def has_all_pages(scraped: Scraped) -> bool:
    return any(points[-1][1] > PAGES for key, points in scraped.items() if dict(key)[NAME] == NUMBER)


@pytest.fixture(scope="module")
def scraped(page: ChangingPage, real: Real, source: EmbeddedSource) -> Scraped:
    def both_have() -> Scraped | None:
        found = of_prometheus(real)
        return found if has_all_pages(found) and has_all_pages(of_source(source)) else None

    found: Scraped = wait_until(both_have, lambda: page.scrapes)
    return found


def test_prometheus_and_the_scraper_have_the_same_samples(scraped: Scraped, source: EmbeddedSource) -> None:
    assert by_page(of_source(source)) == by_page(scraped)


def test_what_was_scraped_gives_the_same_as_in_prometheus(scraped: Scraped, real: Real) -> None:
    begins_unix_s = float(int(time.time()))
    store = SeriesStore(1_000, None)
    (pages,) = (points for key, points in scraped.items() if dict(key)[NAME] == NUMBER)
    scrapes = [time_s for time_s, _ in pages]
    for key, points in scraped.items():
        values = dict(points)
        for time_s in scrapes:
            if time_s >= points[0][0]:
                labels = tuple(pair for pair in key if pair[0] != NAME)
                store.append(dict(key)[NAME], labels, round(time_s - begins_unix_s, 3), values.get(time_s))
    both = Both(store, real, begins_unix_s)
    # Between two scrapes: at one of them it would be the rounding that decides whether a range has it.
    moments = [round(scrapes[number] + 0.25 - begins_unix_s, 3) for number in (3, 5)]
    names = sorted({dict(key)[NAME] for key in scraped})
    queries = [
        *names,
        *(f"{function}({name}[{window}])" for function in LIVE_FUNCTIONS for name in names for window in LIVE_RANGES),
        *LIVE_QUERIES,
    ]
    assert [*filter(None, (both.difference(query, at_s) for query in queries for at_s in moments))] == []

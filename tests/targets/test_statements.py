"""Statements of databases: those that take the most time are observed, however many there are."""

import pytest

from obswarm.record import MetricKey
from obswarm.targets import Sample, SourceError, Statements, Target, is_statement, statement_metrics, statement_of
from obswarm.targets import statements as module
from obswarm.targets.evaluate import metric_names, parse

DB = Target("db", "http://db/metrics", "mysql")
PG = Target("pg", "http://pg/metrics", "postgres")


class Source:
    """Answers with the samples of each metric."""

    def __init__(self, **samples: list[Sample]) -> None:
        self.samples = samples
        self.queries: list[str] = []
        self.fails = False

    def query(self, query: str, at_s: float | None = None) -> list[Sample]:
        self.queries.append(query)
        if self.fails:
            raise SourceError("does not respond")
        return next((found for name, found in self.samples.items() if name in query), [])


def digests(**seconds: float) -> list[Sample]:
    return [Sample({"digest_text": name}, value) for name, value in seconds.items()]


def observed(source: Source, *targets: Target) -> Statements:
    return Statements(source)  # type: ignore[arg-type]  # of a source, only its queries are used


def key(text: str) -> MetricKey:
    return MetricKey("db", "mysql", f"statement: {text}", "number")


def test_each_statement_is_a_metric_with_its_seconds_per_second() -> None:
    source = Source(mysql_perf_schema=digests(a=2.0, b=0.5))
    found = observed(source).values([DB, Target("lb", "http://lb/metrics", "haproxy")])
    assert found == {key("a"): 2.0, key("b"): 0.5}
    assert all(is_statement(each) for each in found)
    assert statement_of(key("SELECT ?")) == "SELECT ?"
    assert not is_statement(MetricKey("db", "mysql", "threads running", "number"))


def test_only_those_that_take_the_most_time_are_observed_and_stay_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    source = Source(mysql_perf_schema=digests(a=2.0, b=1.0, rare=0.001))
    statements = observed(source)
    assert statements.values([DB]) == {key("a"): 2.0, key("b"): 1.0}
    source.samples = {
        "mysql_perf_schema": digests(a=0.1, b=0.1, **{f"new {number}": 5.0 - number for number in range(5)})
    }
    assert statements.values([DB]) == {key("a"): 0.1, key("b"): 0.1, key("new 0"): 5.0}
    source.samples = {"mysql_perf_schema": digests(b=0.1, late=100.0)}
    assert statements.values([DB]) == {key("b"): 0.1}


def test_statements_of_postgres_have_the_text_that_belongs_to_their_id() -> None:
    source = Source(
        pg_stat_statements_seconds_total=[Sample({"queryid": "1"}, 2.0), Sample({"queryid": "2"}, 1.0)],
        pg_stat_statements_query_id=[Sample({"queryid": "1", "query": "SELECT *\n  FROM t"}, 1.0)],
    )
    names = [each.name for each in observed(source).values([PG])]
    assert names == ["statement: SELECT * FROM t", "statement: 2"]


def test_long_texts_are_cut() -> None:
    (found,) = observed(Source(mysql_perf_schema=digests(**{"x" * 1000: 1.0}))).values([DB])
    assert len(statement_of(found)) <= 120


def test_a_target_without_statements_is_not_queried_each_second() -> None:
    source = Source()
    statements = observed(source)
    assert statements.values([DB]) == {}
    assert statements.values([DB]) == {}
    assert len(source.queries) == 1


def test_a_source_that_does_not_respond_is_a_gap() -> None:
    source = Source(mysql_perf_schema=digests(a=2.0))
    statements = observed(source)
    source.fails = True
    assert statements.values([DB]) == {}
    source.fails = False
    assert statements.values([DB]) == {key("a"): 2.0}


def test_the_queries_are_of_the_embedded_source() -> None:
    queries = list(statement_metrics([DB, PG, Target("lb", "http://lb/metrics", "haproxy")]))
    assert [sorted(metric_names(parse(query))) for query in queries] == [
        ["mysql_perf_schema_events_statements_seconds_total"],
        ["pg_stat_statements_seconds_total"],
        ["pg_stat_statements_query_id"],
    ]

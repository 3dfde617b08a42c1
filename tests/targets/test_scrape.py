"""Reading a target's page."""

from types import SimpleNamespace
from typing import Any

import pytest

from obswarm import clock
from obswarm.targets import EmbeddedSource, Sample, SourceError, Target, TargetHealth

TARGET = Target("database", "http://127.0.0.1:1/metrics", "postgres")
TEXT = "text/plain; version=0.0.4; charset=utf-8"


def scrape(source: EmbeddedSource, answer: Any) -> TargetHealth:
    scrape_of(source, TARGET, answer)
    (found,) = source.health()
    return found


def scrape_of(source: EmbeddedSource, target: Target, answer: Any) -> None:
    source._scrape(SimpleNamespace(get=lambda *_, **__: answer), target)  # type: ignore[arg-type]


def answering(page: bytes, media_type: str | None = TEXT, status: int = 200) -> Any:
    headers = {"Content-Type": media_type} if media_type is not None else {}
    return SimpleNamespace(status_code=status, content=page, headers=headers, history=[])


def test_counters_of_postgres_have_the_names_of_their_page() -> None:
    source = EmbeddedSource([TARGET])
    name = "pg_stat_database_xact_commit"
    assert scrape(source, answering(f'# TYPE {name} counter\n{name}{{datname="a"}} 3\n'.encode())).has_metrics
    assert source.query(name) == [
        Sample({"__name__": name, "datname": "a", "job": "database", "instance": "127.0.0.1:1"}, 3.0)
    ]


@pytest.mark.parametrize(
    ("status", "media_type", "page", "detail"),
    [
        (
            200,
            "text/html; charset=utf-8",
            b"<!doctype html>" + b"secret " * 100,
            "sent text/html, which is not a metrics page",
        ),
        (
            200,
            None,
            b"a 1\n",
            "sent no Content-Type; a metrics page has text/plain or application/openmetrics-text",
        ),
        (200, "text plain", b"a 1\n", "sent an invalid Content-Type, which is not a metrics page"),
        (200, "application/vnd.google.protobuf; a=b", b"\n", "sent protobuf, which was not requested"),
        (200, TEXT, b"a 1\nsecret {\xff", "line 2 of the page: not a metric with a value"),
        (200, "application/openmetrics-text", b"a 1\n", "line 2 of the page: the page ends without # EOF"),
        (404, "text/plain", b"no such page", "has no metrics endpoint at this path (HTTP 404)"),
        (
            403,
            "text/html",
            b"<html>secret",
            "does not allow this without credentials; give auth, token or token_file of the target database (HTTP 403)",
        ),
        (503, "text/plain", b"later", "is not ready, or has too much to do (HTTP 503)"),
    ],
)
def test_a_response_that_is_not_a_metrics_page_is_reported_without_its_text(
    status: int, media_type: str | None, page: bytes, detail: str
) -> None:
    source = EmbeddedSource([TARGET])
    scrape(source, answering(b"a 1\n"))
    assert source.query("a")
    health = scrape(source, answering(page, media_type, status))
    assert not health.up
    assert not health.has_metrics
    assert health.detail == detail
    assert [value for *_, value in source._store.latest("a", clock.monotonic())] == []
    assert [value for *_, value in source._store.latest("up", clock.monotonic())] == [0]


@pytest.mark.parametrize(("coding", "is_told"), [("deflate", True), ("gzip", False), (None, False)])
def test_a_parse_error_mentions_an_unexpected_content_encoding(coding: str | None, is_told: bool) -> None:
    answer = answering(b"x\x9cK")
    if coding is not None:
        answer.headers["Content-Encoding"] = coding
    told = "; the Content-Encoding is deflate, but gzip was requested"
    health = scrape(EmbeddedSource([TARGET]), answer)
    assert health.detail == f"line 1 of the page: the value is not a number{told if is_told else ''}"


@pytest.mark.parametrize(
    ("page", "has_metrics"), [(b"node_load1 1\n", False), (b"pg_locks_count 1\n", True), (b"", False)]
)
def test_health_shows_whether_a_target_has_metrics_of_its_kind(page: bytes, has_metrics: bool) -> None:
    health = scrape(EmbeddedSource([TARGET]), answering(page))
    assert health.up
    assert health.has_metrics is has_metrics


def test_a_failed_scraper_marks_its_series_as_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    source = EmbeddedSource([TARGET])
    scrape(source, answering(b"a 1\n"))
    told: list[Any] = []
    supervisor = SimpleNamespace(keep=lambda *_: None)
    monkeypatch.setattr("obswarm.targets.scrape.Supervisor", lambda ended: told.append(ended) or supervisor)
    source._start_scraper(TARGET)
    told[0]("The reader", RuntimeError("broken"))
    assert [value for *_, value in source._store.latest("a", clock.monotonic())] == []
    assert [value for *_, value in source._store.latest("up", clock.monotonic())] == [0]
    assert source.health()[0].detail.startswith("The reader failed: ")


def test_a_step_of_the_wall_clock_is_followed_but_not_its_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    source = EmbeddedSource([TARGET])
    before = source._wall_s(10.0)
    wall = clock.wall
    monkeypatch.setattr(clock, "wall", lambda: wall() + 0.1)
    assert source._wall_s(10.0) == before
    monkeypatch.setattr(clock, "wall", lambda: wall() + 100)
    assert source._wall_s(10.0) == pytest.approx(before + 100, abs=1)


def test_a_query_without_series_has_a_reason() -> None:
    other = Target("cache", "http://127.0.0.1:2/metrics", "redis")
    source = EmbeddedSource([TARGET, other], interval_s=0)

    query = 'max(pg_locks_count{mode="x"})'
    assert source.why_no_series(query) == "", "nothing was read yet"
    scrape_of(source, TARGET, answering(b"pg_locks_count 1\na 1\n"))
    scrape_of(source, other, answering(b"redis_up 1\n"))
    assert source.why_no_series(query) == "the metrics exist, but none of their series matches the query"
    assert source.why_no_series("redis_upp") == "no target has a metric redis_upp (did you mean redis_up?)"
    assert source.why_no_series('up{job="x"}') == "no target is called x"
    scrape_of(source, TARGET, answering(b"", status=503))
    for gone in (query, "a", "rate(pg_stat_database_deadlocks[5s])"):
        assert (
            source.why_no_series(gone) == "the target database is down: is not ready, or has too much to do (HTTP 503)"
        ), gone
    scrape_of(source, other, answering(b"", status=404))
    assert source.query(query) == []
    assert source.why_no_series(query).startswith("the target database is down: is not ready")


def values(source: EmbeddedSource, query: str, at_s: float | None = None) -> list[float]:
    return [sample.value for sample in source.query(query, at_s)]


def test_a_query_without_series_filters_what_there_is_or_lacks_it() -> None:
    source = EmbeddedSource([TARGET])
    before_s = clock.monotonic()
    scrape(source, answering(b'a{b="c"} 1\na{b="d"} 1\nredis_up{e="f"} 1\n'))
    filtering = ["absent(a)", "a == 0", "count(up == 0)", "sum(up > 9) + 1", "a / on () group_left () redis_up > 3"]
    filtering += ['a == 0 or redis_up{e="f"} == 0', "a > 5 unless redis_upp", "vector(1) > 2", "(x or vector(0)) > 0"]
    filtering += ["a > 5 and absent(a)", "max_over_time((a > 5)[5s:1s])", "a > scalar(redis_up) * 2"]
    lacking = ["redis_upp == 0", 'a{b="typo"} == 0', "a == 0 or redis_upp == 0", "a > scalar(redis_upp)"]
    lacking += ["a / redis_up > 3", "a / redis_up", 'max(a{b="typo"})', "redis_upp unless a", "vector(scalar(x)) > 1"]
    for query in filtering:
        assert (values(source, query), source.filters_all(query)) == ([], True), query
    for query in lacking:
        assert (values(source, query), source.filters_all(query)) == ([], False), query
    assert not source.filters_all("a == 0", before_s - 1)
    scrape(source, answering(b"", status=503))
    assert [source.filters_all(query) for query in ("a == 0", "count(up == 0)")] == [False, True]


def test_queries_on_targets_that_are_all_down_are_answered() -> None:
    source = EmbeddedSource([TARGET])
    scrape(source, answering(b"a 3\n"))
    assert values(source, "absent(a)") == []
    scrape(source, answering(b"", status=503))
    for query, expected in {
        "up": [0],
        "up < 1": [0],
        "a": [],
        "absent(a)": [1],
        "vector(1)": [1],
        "max_over_time(a[30s])": [3],
        "a or vector(7)": [7],
    }.items():
        assert values(source, query) == expected, query
        if len(expected) == 1:
            assert source.metric_values([query]) == expected, query
    assert "the target database is down" in source.why_no_series("a")


def test_a_target_that_was_never_scraped_successfully_is_down() -> None:
    source = EmbeddedSource([TARGET])
    scrape(source, answering(b"", status=503))
    assert [values(source, query) for query in ("up", "absent(a)", "max_over_time(a[30s])")] == [[0], [1], []]


def test_a_target_is_unknown_before_its_first_scrape() -> None:
    other = Target("cache", "http://127.0.0.1:2/metrics", "redis")
    source = EmbeddedSource([TARGET, other])
    before_s = clock.monotonic()
    of_any = ("up", "absent(a)", "sum(up)", "count(up) or vector(0)", 'absent(a{job!="x"})')
    of_database = ('absent(a{job="database"})', 'up{job=~"data.*"}')
    for query in of_any:
        with pytest.raises(SourceError, match=r"^the targets database, cache have not been scraped yet$"):
            source.query(query)
    for query in of_database:
        with pytest.raises(SourceError, match=r"^the target database has not been scraped yet$"):
            source.query(query)
    assert values(source, "vector(1)") == [1], "it is about no target"
    scrape_of(source, TARGET, answering(b"a 1\n"))
    for query in of_any:
        with pytest.raises(SourceError, match=r"^the target cache has not been scraped yet$"):
            source.query(query)
    assert [values(source, query) for query in of_database] == [[], [1]]
    assert source.metric_values(["sum(a)"]) == [1], "what is measured of one does not wait for the other"
    scrape_of(source, other, answering(b"", status=503))
    assert [values(source, query) for query in of_any] == [[1, 0], [], [1], [2], []]
    with pytest.raises(SourceError, match="have not been scraped yet"):
        source.query("absent(a)", before_s)


def test_a_scraper_that_failed_before_its_first_scrape_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    source = EmbeddedSource([TARGET])
    told: list[Any] = []
    supervisor = SimpleNamespace(keep=lambda *_: None)
    monkeypatch.setattr("obswarm.targets.scrape.Supervisor", lambda ended: told.append(ended) or supervisor)
    source._start_scraper(TARGET)
    told[0]("The reader", RuntimeError("broken"))
    assert values(source, "up") == [0]

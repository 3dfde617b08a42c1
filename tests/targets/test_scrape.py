"""Reading a target's page."""

from types import SimpleNamespace
from typing import Any

import pytest

from obswarm import clock
from obswarm.targets import EmbeddedSource, Target, TargetHealth

TARGET = Target("database", "http://127.0.0.1:1/metrics", "postgres")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("counter", "pg_stat_database_xact_commit"),
        ("counter", "redis_commands_processed_total"),
        ("gauge", "load"),
        ("untyped", "mysql_global_status_questions"),
    ],
)
@pytest.mark.parametrize("form", ["# TYPE {name} {kind}", " #\tTYPE  {name}\t{kind} "])
def test_a_metric_keeps_the_name_that_the_page_gives(kind: str, name: str, form: str) -> None:
    page = f'# HELP {name} Is a counter\n{form.format(name=name, kind=kind)}\n{name}{{datname="a"}} 3\nother 1\n'
    answer = SimpleNamespace(status_code=200, content=page.encode(), headers={"Content-Type": "text/plain"})
    session = SimpleNamespace(get=lambda *_, **__: answer)
    source = EmbeddedSource([TARGET])
    assert source._read(session, TARGET, clock.monotonic()) == (2, int(name.startswith("pg_")))
    assert [(dict(each.labels), each.value) for each in source.query(name)] == [
        ({"__name__": name, "datname": "a", "job": "database"}, 3.0)
    ]


def health_of(answer: Any) -> TargetHealth:
    source = EmbeddedSource([TARGET])
    source._scrape(SimpleNamespace(get=lambda *_, **__: answer), TARGET)  # type: ignore[arg-type]
    (found,) = source.health()
    return found


@pytest.mark.parametrize(
    ("status", "media_type", "page", "detail"),
    [
        (
            200,
            "text/html; charset=utf-8",
            b"<!doctype html>" + b"secret " * 100,
            "answers text/html, which is no page of",
        ),
        (200, "", b"{\xff", "answers something, which is no page of metrics"),
        (404, "text/plain", b"no such page", "answers HTTP 404"),
    ],
)
def test_what_is_no_page_of_metrics_is_told_without_its_text(
    status: int, media_type: str, page: bytes, detail: str
) -> None:
    health = health_of(SimpleNamespace(status_code=status, content=page, headers={"Content-Type": media_type}))
    assert not health.up
    assert not health.has_metrics
    assert health.detail.startswith(detail)
    assert len(health.detail) < 80


@pytest.mark.parametrize(
    ("page", "has_metrics"), [(b"node_load1 1\n", False), (b"pg_locks_count 1\n", True), (b"", False)]
)
def test_a_target_that_answers_is_asked_for_metrics_of_its_kind(page: bytes, has_metrics: bool) -> None:
    health = health_of(SimpleNamespace(status_code=200, content=page, headers={}))
    assert health.up
    assert health.has_metrics is has_metrics

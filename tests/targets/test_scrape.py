"""Reading a target's page."""

from types import SimpleNamespace

import pytest

from obswarm import clock
from obswarm.targets import EmbeddedSource, Target

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
    assert source._read(session, TARGET, clock.monotonic()) == 2
    assert [(dict(each.labels), each.value) for each in source.query(name)] == [
        ({"datname": "a", "job": "database"}, 3.0)
    ]

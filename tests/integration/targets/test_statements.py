"""The time of statements, of a real MariaDB and a real PostgreSQL with their exporters: what takes it is found by its
text."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from obswarm.record import MetricKey
from obswarm.targets import EmbeddedSource, Statements, Target, statement_metrics, statement_of
from tests.support.mariadb import MariaDb
from tests.support.patience import HANG_S
from tests.support.postgres import Postgres


@contextmanager
def repeated(work: Callable[[], object]) -> Iterator[None]:
    """Does something again and again in another thread."""
    ending = threading.Event()

    def keep_working() -> None:
        while not ending.is_set():
            work()

    worker = threading.Thread(target=keep_working)
    worker.start()
    try:
        yield
    finally:
        ending.set()
        worker.join(HANG_S)


def slow_statement(target: Target) -> tuple[MetricKey, float]:
    """The statement that sleeps, when it takes a third of a connection's time."""
    source = EmbeddedSource([target], statement_metrics([target]))
    source.start()
    statements = Statements(source)
    deadline = time.monotonic() + HANG_S
    try:
        while True:
            found = statements.values([target])
            for key, value in found.items():
                if "sleep" in statement_of(key).lower() and value > 0.3:
                    return key, value
            assert time.monotonic() < deadline, found
            time.sleep(0.5)
    finally:
        source.close()


def test_mariadb() -> None:
    with MariaDb(statements=True) as server:
        connection = server.connect()
        with connection.cursor() as cursor:
            # The exporter has only statements of connections with a database.
            cursor.execute("CREATE DATABASE shop")
            cursor.execute("USE shop")
            with repeated(lambda: cursor.execute("SELECT SLEEP(0.05), 'a text'")):
                key, value = slow_statement(Target("db", server.metrics_url, "mysql"))
        connection.close()
    assert (key.target, key.kind, key.unit) == ("db", "mysql", "number")
    assert "a text" not in statement_of(key), "values are not part of the text"
    # One connection at a time.
    assert value <= 1.1


def test_postgres() -> None:
    with (
        Postgres(statements=True) as server,
        repeated(lambda: server.execute("SELECT pg_sleep(0.1), 'a text';\n" * 20)),
    ):
        key, value = slow_statement(Target("pg", server.metrics_url, "postgres"))
    assert (key.target, key.kind) == ("pg", "postgres")
    assert "$1" in statement_of(key)
    assert "a text" not in statement_of(key), "values are not part of the text"
    assert value <= 1.1

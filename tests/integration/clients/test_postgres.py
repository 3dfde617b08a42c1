"""`locust.contrib.postgres` with a real PostgreSQL."""

from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from obswarm import ObswarmError
from obswarm.locust import task
from obswarm.locust.contrib.postgres import PostgresUser
from obswarm.locust.env import Environment
from tests.support.patience import wait_until
from tests.support.postgres import Postgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as postgres:
        yield postgres


class Reader(PostgresUser):
    abstract = True

    @task
    def query(self) -> None:
        cursor = self.client.execute_query("SELECT 40 + 2")
        assert cursor.fetchone() == (42,)
        assert self.client.execute_query("SELECT wrong") is None
        gevent.sleep(0.01)


def test_queries_and_failures_are_counted(postgres: Postgres) -> None:
    kind: Any = type("Visitor", (Reader,), {"conn_string": f"postgresql://test@127.0.0.1:{postgres.port}/postgres"})
    environment = Environment(user_classes=[kind])
    errors: list[BaseException] = []
    environment.events.user_error.add_listener(lambda exception, **_: errors.append(exception))
    runner = environment.create_local_runner()
    runner.start(3, 1000, wait=True)
    wait_until(lambda: runner.stats.total.num_requests >= 30)
    runner.quit()
    runner.greenlet.join()
    assert not errors, "a failed query ends its transaction"
    endpoints = runner.result.final.endpoints
    assert {(key.method, key.name) for key in endpoints} == {
        ("postgres_success", "execute_query"),
        ("postgres_failure", "execute_query"),
    }
    [failed] = [stats for key, stats in endpoints.items() if key.method == "postgres_failure"]
    assert failed.requests == failed.failures >= 10
    [message] = {key.message for key in runner.result.final.errors}
    assert 'column "wrong" does not exist' in message


def test_queries_do_not_wait_for_one_another(postgres: Postgres) -> None:
    kind: Any = type(
        "Visitor", (PostgresUser,), {"conn_string": f"postgresql://test@127.0.0.1:{postgres.port}/postgres"}
    )
    environment = Environment(user_classes=[kind])
    users = [kind(environment) for _ in range(5)]
    taken: list[int] = []

    def in_turn(number: int, user: Any) -> None:
        user.client.execute_query(f"SELECT pg_sleep({0.5 - number / 10})")
        taken.append(number)

    # Spawned by the test itself, as users are by a run.
    gevent.joinall([gevent.spawn(in_turn, number, user) for number, user in enumerate(users)])
    assert taken == [4, 3, 2, 1, 0]
    for user in users:
        user.on_stop()
        user.client.close()


def test_a_class_without_a_connection_string() -> None:
    with pytest.raises(ObswarmError, match="Visitor has no conn_string"):
        type("Visitor", (PostgresUser,), {})(Environment())

"""`locust.contrib.postgres`: users that query PostgreSQL over psycopg."""

from typing import Any

from obswarm.api import Environment, ObswarmError, User
from obswarm.locust.contrib.optional import environment_of_run, needed

with needed("psycopg[binary]", "postgres", "psycopg"):
    import psycopg

__all__ = ["PostgresClient", "PostgresUser"]


class PostgresClient:
    """A connection whose queries are measured."""

    closed_with_user = True

    def __init__(self, conn_string: str, environment: Environment | None = None) -> None:
        """Connect by a connection string of libpq. Raises psycopg.Error if that fails."""
        self.connection = psycopg.connect(conn_string)
        self._environment = environment_of_run(environment)

    def execute_query(self, query: Any) -> Any:
        """Execute a query, and return its cursor, from which rows can be fetched; None if it failed.

        Counted as `execute_query`, with the method `postgres_success` or `postgres_failure`. A failed query ends its
        transaction, so that PostgreSQL takes the next one.
        """
        cursor = None
        with self._environment.request("postgres_success", "execute_query") as request:
            try:
                cursor = self.connection.execute(query)
            except Exception:
                request.method = "postgres_failure"
                raise
        if request.error is not None and not self.connection.closed:
            self.connection.rollback()
        return cursor

    def close(self) -> None:
        """Close the connection; may be called again."""
        self.connection.close()


class PostgresUser(User):
    """A user with a PostgresClient. `conn_string` is a connection string of libpq, `postgresql://user@host/name`."""

    abstract = True
    conn_string: str | None = None
    client: PostgresClient

    def __init__(self, environment: Environment, *_: Any, **__: Any) -> None:
        super().__init__(environment)
        if not self.conn_string:
            raise ObswarmError(f"{type(self).__name__} has no conn_string, such as 'postgresql://user@host/database'.")
        self.client = PostgresClient(self.conn_string, environment)

    def on_stop(self) -> None:
        self.client.close()

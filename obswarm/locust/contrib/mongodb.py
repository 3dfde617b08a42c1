"""`locust.contrib.mongodb`: users that query MongoDB over pymongo."""

from typing import Any

from obswarm.api import Environment, ObswarmError, User
from obswarm.locust.contrib.optional import close_apart, environment_of_run, needed

with needed("pymongo", "mongodb", "pymongo"):
    from pymongo import MongoClient

__all__ = ["MongoDBClient", "MongoDBUser"]


class MongoDBClient(MongoClient):
    """A pymongo.MongoClient with a database `db`, and a query that is measured."""

    closed_with_user = True

    def __init__(self, conn_string: str, db_name: str, environment: Environment | None = None) -> None:
        """Connect when first used, as pymongo does. Raises pymongo's exceptions for an invalid connection string."""
        super().__init__(conn_string)
        self.db = self[db_name]
        self._obswarm_environment = environment_of_run(environment)

    def execute_query(self, collection_name: str, query: Any) -> list[Any] | None:
        """Find documents and fetch them all, counted as `MONGODB QUERY`; None if that failed."""
        with self._obswarm_environment.request("MONGODB", "QUERY"):
            return list(self.db[collection_name].find(query))
        return None

    def close(self) -> None:
        """Close all connections; may be called again."""
        close_apart("MongoDB", super().close)


class MongoDBUser(User):
    """A user with a MongoDBClient for the database `db_name` at `conn_string` (`mongodb://host:port`)."""

    abstract = True
    conn_string: str | None = None
    db_name: str | None = None
    client: MongoDBClient

    def __init__(self, environment: Environment, *_: Any, **__: Any) -> None:
        super().__init__(environment)
        if not self.conn_string or not self.db_name:
            raise ObswarmError(f"{type(self).__name__} needs conn_string, such as 'mongodb://host:27017', and db_name.")
        self.client = MongoDBClient(self.conn_string, self.db_name, environment)

    def on_stop(self) -> None:
        self.client.close()

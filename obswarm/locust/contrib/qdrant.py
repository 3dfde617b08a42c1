"""`locust.contrib.qdrant`: users of the vector database Qdrant over qdrant-client."""

from typing import Any

from obswarm.api import Environment, ObswarmError
from obswarm.locust.contrib.optional import close_apart, needed
from obswarm.locust.contrib.outcomes import CountsOutcomes, outcome

with needed("qdrant-client", "qdrant", "qdrant_client"):
    from qdrant_client import QdrantClient

__all__ = ["QdrantLocustClient", "QdrantUser"]


class QdrantLocustClient:
    """A qdrant_client.QdrantClient for one collection. Calls return dicts (`success`, `response_time` in milliseconds,
    `result` or `exception`); QdrantUser counts them."""

    closed_with_user = True

    def __init__(
        self, url: str, collection_name: str, api_key: str | None = None, timeout: int = 60, **kwargs: Any
    ) -> None:
        """`timeout` is in seconds; further arguments are those of QdrantClient."""
        self.url = url
        self.collection_name = collection_name
        self.api_key = api_key
        self.timeout = timeout
        self.client = QdrantClient(url=url, api_key=api_key, timeout=timeout, **kwargs)

    def close(self) -> None:
        """Close all connections."""
        close_apart("Qdrant", self.client.close)

    def create_collection(self, vectors_config: Any, **kwargs: Any) -> None:
        """Create the collection unless there is one of that name; not measured."""
        if not self.client.collection_exists(collection_name=self.collection_name):
            self.client.create_collection(collection_name=self.collection_name, vectors_config=vectors_config, **kwargs)

    def upsert(self, points: Any) -> dict[str, Any]:
        """Insert or replace points."""
        return outcome(self.client.upsert, collection_name=self.collection_name, points=points)

    def search(
        self, query: Any, limit: int = 10, query_filter: Any = None, search_params: Any = None, with_payload: Any = True
    ) -> dict[str, Any]:
        """Find the points that are nearest to a vector; `empty` says that there are none."""
        return outcome(
            self.client.query_points,
            lambda result: not result.points,
            collection_name=self.collection_name,
            query=query,
            limit=limit,
            query_filter=query_filter,
            search_params=search_params,
            with_payload=with_payload,
        )

    def scroll(self, scroll_filter: Any = None, limit: int = 10, with_payload: Any = True) -> dict[str, Any]:
        """Get points page by page; `next_offset` is that of the next page."""
        measured = outcome(
            self.client.scroll,
            lambda result: not result[0],
            collection_name=self.collection_name,
            scroll_filter=scroll_filter,
            limit=limit,
            with_payload=with_payload,
        )
        if "result" in measured:
            measured["result"], measured["next_offset"] = measured["result"]
        return measured

    def delete(self, points_selector: Any) -> dict[str, Any]:
        """Delete points."""
        return outcome(self.client.delete, collection_name=self.collection_name, points_selector=points_selector)


class QdrantUser(CountsOutcomes):
    """A user with a QdrantLocustClient for `collection_name`, which is created where `vectors_config` is set.
    `client_kwargs` and `collection_kwargs` are further arguments of QdrantClient and its create_collection."""

    abstract = True
    client: QdrantLocustClient
    client_type = "qdrant"

    url: str = "http://localhost:6333"
    api_key: str | None = None
    collection_name: str | None = None
    timeout: int = 60
    vectors_config: Any = None
    client_kwargs: dict[str, Any] | None = None
    collection_kwargs: dict[str, Any] | None = None

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if self.collection_name is None:
            raise ObswarmError(f"{type(self).__name__} has no collection_name.")
        self.client = QdrantLocustClient(
            self.url, self.collection_name, self.api_key, self.timeout, **(self.client_kwargs or {})
        )
        if self.vectors_config is not None:
            self.client.create_collection(self.vectors_config, **(self.collection_kwargs or {}))

    def upsert(self, points: Any) -> dict[str, Any]:
        """As the client's, counted as `qdrant upsert`."""
        return self._counted("upsert", points)

    def search(
        self, query: Any, limit: int = 10, query_filter: Any = None, search_params: Any = None, with_payload: Any = True
    ) -> dict[str, Any]:
        """As the client's, counted as `qdrant search`."""
        return self._counted(
            "search",
            query,
            limit=limit,
            query_filter=query_filter,
            search_params=search_params,
            with_payload=with_payload,
        )

    def scroll(self, scroll_filter: Any = None, limit: int = 10, with_payload: Any = True) -> dict[str, Any]:
        """As the client's, counted as `qdrant scroll`."""
        return self._counted("scroll", scroll_filter=scroll_filter, limit=limit, with_payload=with_payload)

    def delete(self, points_selector: Any) -> dict[str, Any]:
        """As the client's, counted as `qdrant delete`."""
        return self._counted("delete", points_selector)

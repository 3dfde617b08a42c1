"""`locust.contrib.milvus`: users of the vector database Milvus over pymilvus."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from obswarm.api import Environment
from obswarm.locust.contrib.optional import close_apart, needed
from obswarm.locust.contrib.outcomes import CountsOutcomes, outcome

with needed("pymilvus", "milvus", "pymilvus"):
    from pymilvus import MilvusClient

    # isort: split
    # pymilvus comes with it; its transport waits in C, which would stop all users of the process.
    from grpc.experimental.gevent import init_gevent

init_gevent()

__all__ = ["BaseClient", "MilvusUser", "MilvusV2Client"]


class BaseClient(ABC):
    """What MilvusUser asks of its client."""

    closed_with_user = True

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def create_collection(self, schema: Any, index_params: Any, **kwargs: Any) -> None: ...

    @abstractmethod
    def insert(self, data: Any) -> dict[str, Any]: ...

    @abstractmethod
    def upsert(self, data: Any) -> dict[str, Any]: ...

    @abstractmethod
    def search(
        self,
        data: Any,
        anns_field: str,
        limit: int,
        filter: str = "",  # noqa: A002 - Locust's name
        search_params: Any = None,
        output_fields: Any = None,
        calculate_recall: bool = False,
        ground_truth: Any = None,
    ) -> dict[str, Any]: ...

    @abstractmethod
    def hybrid_search(self, reqs: Any, ranker: Any, limit: int, output_fields: Any = None) -> dict[str, Any]: ...

    @abstractmethod
    def query(self, filter: str, output_fields: Any = None) -> dict[str, Any]: ...  # noqa: A002

    @abstractmethod
    def delete(self, filter: str) -> dict[str, Any]: ...  # noqa: A002


def _has_no_hit(result: Any) -> bool:
    return all(len(hits) == 0 for hits in result)


class MilvusV2Client(BaseClient):
    """A pymilvus.MilvusClient for one collection. Calls return dicts (`success`, `response_time` in milliseconds,
    `result` or `exception`); MilvusUser counts them."""

    def __init__(
        self, uri: str, collection_name: str, token: str = "root:Milvus", db_name: str = "default", timeout: float = 60
    ) -> None:
        """`timeout` is in seconds."""
        self.uri = uri
        self.collection_name = collection_name
        self.token = token
        self.db_name = db_name
        self.timeout = timeout
        self.client = MilvusClient(uri=uri, token=token, db_name=db_name, timeout=timeout)

    def close(self) -> None:
        """Close all connections."""
        close_apart("Milvus", self.client.close)

    def create_collection(self, schema: Any, index_params: Any, **kwargs: Any) -> None:
        """Create the collection; not measured."""
        self.client.create_collection(
            collection_name=self.collection_name, schema=schema, index_params=index_params, **kwargs
        )

    def insert(self, data: Any) -> dict[str, Any]:
        """Insert rows."""
        return outcome(self.client.insert, collection_name=self.collection_name, data=data)

    def upsert(self, data: Any) -> dict[str, Any]:
        """Insert or replace rows."""
        return outcome(self.client.upsert, collection_name=self.collection_name, data=data)

    def search(
        self,
        data: Any,
        anns_field: str,
        limit: int,
        filter: str = "",  # noqa: A002
        search_params: Any = None,
        output_fields: Any = None,
        calculate_recall: bool = False,
        ground_truth: Any = None,
    ) -> dict[str, Any]:
        """Find the rows that are nearest to vectors; `empty` says that there are none. With `calculate_recall`, the
        result has `recall`: the share of `ground_truth`, ids in order, that was found."""
        measured = outcome(
            self.client.search,
            _has_no_hit,
            collection_name=self.collection_name,
            data=data,
            anns_field=anns_field,
            filter=filter,
            limit=limit,
            search_params=search_params,
            output_fields=["id"] if output_fields is None else output_fields,
        )
        if calculate_recall and ground_truth is not None and measured["success"]:
            measured["recall"] = self.get_recall(measured["result"], ground_truth, limit)
        return measured

    @staticmethod
    def get_recall(search_results: Any, ground_truth: Sequence[Any], limit: int | None = None) -> float:
        """Return the share of the first `limit` ids of `ground_truth` that are among the hits for the first vector; 0.0
        where there are fewer than `limit`."""
        hits = search_results[0] if len(search_results) else []
        found = {hit.get("id") for hit in hits}
        wanted = set(ground_truth[: len(found) if limit is None else limit])
        if not wanted or (limit is not None and len(ground_truth) < limit):
            return 0.0
        return len(wanted & found) / len(wanted)

    def hybrid_search(self, reqs: Any, ranker: Any, limit: int, output_fields: Any = None) -> dict[str, Any]:
        """Find rows by several vectors, ranked."""
        return outcome(
            self.client.hybrid_search,
            _has_no_hit,
            collection_name=self.collection_name,
            reqs=reqs,
            ranker=ranker,
            limit=limit,
            output_fields=["id"] if output_fields is None else output_fields,
            timeout=self.timeout,
        )

    def query(self, filter: str, output_fields: Any = None) -> dict[str, Any]:  # noqa: A002
        """Get the rows that an expression selects."""
        return outcome(
            self.client.query,
            lambda result: not len(result),
            collection_name=self.collection_name,
            filter=filter,
            output_fields=["id"] if output_fields is None else output_fields,
        )

    def delete(self, filter: str) -> dict[str, Any]:  # noqa: A002
        """Delete the rows that an expression selects."""
        return outcome(self.client.delete, collection_name=self.collection_name, filter=filter)


class MilvusUser(CountsOutcomes):
    """A user with a MilvusV2Client. A subclass hands the arguments to `super().__init__`; with a `schema` the
    collection is created, with `kwargs` as further arguments."""

    abstract = True
    client: BaseClient

    def __init__(
        self,
        environment: Environment,
        uri: str = "http://localhost:19530",
        token: str = "root:Milvus",
        collection_name: str = "test_collection",
        db_name: str = "default",
        timeout: float = 60,
        schema: Any = None,
        index_params: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(environment)
        self.client_type = "milvus"
        self.client = MilvusV2Client(uri, collection_name, token, db_name, timeout)
        if schema is not None:
            self.client.create_collection(schema, index_params, **kwargs)

    def insert(self, data: Any) -> dict[str, Any]:
        """As the client's, counted as `milvus insert`."""
        return self._counted("insert", data)

    def upsert(self, data: Any) -> dict[str, Any]:
        """As the client's, counted as `milvus upsert`."""
        return self._counted("upsert", data)

    def search(
        self,
        data: Any,
        anns_field: str,
        limit: int,
        filter: str = "",  # noqa: A002
        search_params: Any = None,
        output_fields: Any = None,
        calculate_recall: bool = False,
        ground_truth: Any = None,
    ) -> dict[str, Any]:
        """As the client's, counted as `milvus search`. A recall is counted as `milvus recall`, whose response time in
        milliseconds is the recall in percent."""
        measured = self._counted(
            "search",
            data,
            anns_field,
            limit,
            filter=filter,
            search_params=search_params,
            output_fields=output_fields,
            calculate_recall=calculate_recall,
            ground_truth=ground_truth,
        )
        if "recall" in measured:
            self.environment.events.request.fire(
                request_type=self.client_type,
                name="recall",
                response_time=measured["recall"] * 100,
                response_length=0,
                exception=None,
            )
        return measured

    def hybrid_search(self, reqs: Any, ranker: Any, limit: int, output_fields: Any = None) -> dict[str, Any]:
        """As the client's, counted as `milvus hybrid_search`."""
        return self._counted("hybrid_search", reqs, ranker, limit, output_fields)

    def query(self, filter: str, output_fields: Any = None) -> dict[str, Any]:  # noqa: A002
        """As the client's, counted as `milvus query`."""
        return self._counted("query", filter, output_fields)

    def delete(self, filter: str) -> dict[str, Any]:  # noqa: A002
        """As the client's, counted as `milvus delete`."""
        return self._counted("delete", filter)

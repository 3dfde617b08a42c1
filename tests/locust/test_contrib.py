"""Clients of other protocols: DNS and Socket.IO with servers of this process; MongoDB, Qdrant, Milvus and OpenAI with
stubs of their libraries. MQTT and PostgreSQL are in tests/integration/clients."""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.pywsgi import WSGIServer
from gevent.server import DatagramServer

from obswarm import ObswarmError
from obswarm.locust.env import Environment
from obswarm.locust.exception import LocustError
from tests.support.patience import wait_until

PACKAGES = {
    "dns": ("dnspython", "dns"),
    "milvus": ("pymilvus", "pymilvus"),
    "mongodb": ("pymongo", "pymongo"),
    "mqtt": ("paho-mqtt", "paho"),
    "oai": ("openai", "openai"),
    "postgres": (r"psycopg\[binary\]", "psycopg"),
    "qdrant": ("qdrant-client", "qdrant_client"),
    "socketio": (r"python-socketio\[client\]", "socketio"),
}
"""Package and its module, by the client that needs it."""

Import = Callable[..., Any]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Import:
    """Import a client anew, with these modules in place of installed ones; None: there is none of that name."""

    def fresh(name: str, modules: dict[str, Any]) -> Any:
        full = f"obswarm.locust.contrib.{name}"
        for each in [module for module in sys.modules if module == full or module.partition(".")[0] in modules]:
            monkeypatch.delitem(sys.modules, each)
        for each, module in modules.items():
            monkeypatch.setitem(sys.modules, each, module)
        try:
            return import_module(full)
        finally:
            monkeypatch.delitem(sys.modules, full, raising=False)

    return fresh


def stub(name: str, **attributes: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(attributes)
    return module


class Recorded:
    """An object of a library that returns or raises what `answers` has for a method, and notes the calls."""

    def __init__(self, answers: dict[str, Any] | None = None, **arguments: Any) -> None:
        self.arguments = arguments
        self.answers = answers or {}
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            answer = self.answers.get(name)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def counted(environment: Environment) -> dict[tuple[str, str], tuple[int, int]]:
    """Requests and failures by method and name."""
    endpoints = environment.recorder.take().endpoints
    return {(key.method, key.name): (stats.requests, stats.failures) for key, stats in endpoints.items()}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_that_is_missing_is_named(fresh: Import, name: str) -> None:
    package, module = PACKAGES[name]
    with pytest.raises(
        ObswarmError, match=rf"locust.contrib.{name} needs the package {package}, .* pip install"
    ) as told:
        fresh(name, {module: None})
    assert isinstance(told.value, ImportError), "a locustfile may try"


def test_a_module_that_is_missing_in_the_package_is_no_missing_package(fresh: Import) -> None:
    class Broken(ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise ModuleNotFoundError("No module named 'other'", name="other")

    with pytest.raises(ModuleNotFoundError, match="other"):
        fresh("mongodb", {"pymongo": Broken("pymongo")})


# DNS


@pytest.fixture
def name_server() -> Iterator[int]:
    """Its port. It has one name."""
    import dns.message
    import dns.rrset

    class Names(DatagramServer):
        def handle(self, data: bytes, address: Any) -> None:
            query = dns.message.from_wire(data)
            answer = dns.message.make_response(query)
            name = query.question[0].name
            if str(name) == "shop.test.":
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "127.0.0.2"))
            self.sendto(answer.to_wire(), address)

    server = Names("127.0.0.1:0")
    server.start()
    yield server.server_port
    server.stop()


def test_dns(name_server: int) -> None:
    import dns.message

    from obswarm.locust.contrib.dns import DNSUser

    environment = Environment()
    errors: list[Any] = []
    environment.events.request.add_listener(lambda exception, **_: errors.append(exception))
    client = type("Visitor", (DNSUser,), {})(environment).client
    found = client.udp(dns.message.make_query("shop.test", "A"), "127.0.0.1", port=name_server, timeout=30)
    assert found.answer[0][0].to_text() == "127.0.0.2"
    missing = dns.message.make_query("other.test", "A")
    assert client.udp(missing, "127.0.0.1", port=name_server, timeout=30, name="missing") is not None
    assert client.tcp(missing, "127.0.0.1", port=name_server, timeout=30) is None, "nobody listens"
    assert counted(environment) == {("DNS", "udp"): (1, 0), ("DNS", "missing"): (1, 1), ("DNS", "tcp"): (1, 1)}
    assert [type(error) for error in errors] == [type(None), LocustError, ConnectionRefusedError]
    with pytest.raises(AttributeError):
        _ = client.no_such_function


# Socket.IO


@pytest.fixture
def chat() -> Iterator[str]:
    """The URL of a server that repeats messages, and acknowledges `order`."""
    import socketio

    server = socketio.Server(async_mode="gevent")
    server.on("message", lambda sid, data: server.emit("news", data, to=sid))
    server.on("order", lambda sid, data: f"ordered {data}")
    listener = WSGIServer(("127.0.0.1", 0), socketio.WSGIApp(server), log=None, error_log=None)
    listener.start()
    yield f"http://127.0.0.1:{listener.server_port}"
    listener.stop(timeout=1)
    server.shutdown()


def test_socketio(chat: str) -> None:
    from obswarm.locust.contrib.socketio import SocketIOUser

    environment = Environment()
    told: list[dict[str, Any]] = []
    environment.events.request.add_listener(lambda **event: told.append(event))
    kind: Any = type("Visitor", (SocketIOUser,), {"options": {"reconnection": False}})
    user = kind(environment)
    assert user.client is user.sio
    user.sio.connect(chat, transports=["polling"], wait_timeout=60)
    assert user.sio.call("order", "tea", timeout=60) == "ordered tea"
    user.sio.send("hello", name="greeting")
    wait_until(lambda: any(event["request_type"] == "WSR" for event in told))
    user.on_stop()
    user.sio.close()
    user.sio.emit("order", "more")
    assert counted(environment) == {
        ("WS", "connect"): (1, 0),
        ("WSE", "order"): (2, 1),
        ("WSC", "order"): (1, 0),
        ("WSE", "message"): (1, 0),
        ("WSS", "greeting"): (1, 0),
        ("WSR", "news"): (1, 0),
    }
    [received] = [event for event in told if event["request_type"] == "WSR"]
    assert received["response_length"] == 5
    gevent.joinall([user.sio_greenlet], timeout=60)


def test_socketio_beside_another_client() -> None:
    from obswarm.locust import HttpUser
    from obswarm.locust.clients import HttpSession
    from obswarm.locust.contrib.socketio import SocketIOUser

    user = type("Visitor", (SocketIOUser, HttpUser), {"host": "http://127.0.0.1:1"})(Environment())
    assert isinstance(user.client, HttpSession)
    user.sio.connect("http://127.0.0.1:9")
    assert counted(user.environment)[("WS", "connect")] == (1, 1)


# MongoDB


def test_mongodb(fresh: Import) -> None:
    class MongoClient:
        closed = 0

        def __init__(self, conn_string: str) -> None:
            self.conn_string = conn_string

        def __getitem__(self, name: str) -> Any:
            documents = SimpleNamespace(find=lambda query: iter([query]))
            broken = SimpleNamespace(find=lambda query: iter(SimpleNamespace() for _ in 1))  # type: ignore[attr-defined]
            return {"orders": documents, "broken": broken}

        def close(self) -> None:
            MongoClient.closed += 1

    module = fresh("mongodb", {"pymongo": stub("pymongo", MongoClient=MongoClient)})
    environment = Environment()
    attributes = {"conn_string": "mongodb://127.0.0.1", "db_name": "shop"}
    user = type("Visitor", (module.MongoDBUser,), attributes)(environment)
    assert user.client.execute_query("orders", {"id": 1}) == [{"id": 1}]
    assert user.client.execute_query("broken", {}) is None
    assert counted(environment) == {("MONGODB", "QUERY"): (2, 1)}
    user.on_stop()
    assert MongoClient.closed == 1
    with pytest.raises(ObswarmError, match="Visitor needs conn_string"):
        type("Visitor", (module.MongoDBUser,), {})(environment)


# Qdrant


def test_qdrant(fresh: Import) -> None:
    answers = {
        "collection_exists": False,
        "query_points": SimpleNamespace(points=["nearest"]),
        "scroll": (["one"], 17),
        "delete": ValueError("refused"),
    }
    made: list[Recorded] = []

    def client(**arguments: Any) -> Recorded:
        made.append(Recorded(answers, **arguments))
        return made[-1]

    module = fresh("qdrant", {"qdrant_client": stub("qdrant_client", QdrantClient=client)})
    environment = Environment()
    attributes = {
        "collection_name": "shop",
        "vectors_config": "vectors",
        "client_kwargs": {"prefer_grpc": False},
        "collection_kwargs": {"shard_number": 2},
    }
    user = type("Visitor", (module.QdrantUser,), attributes)(environment)
    [inner] = made
    assert inner.arguments == {
        "url": "http://localhost:6333",
        "api_key": None,
        "timeout": 60,
        "prefer_grpc": False,
    }
    assert inner.calls[1] == (
        "create_collection",
        {"collection_name": "shop", "vectors_config": "vectors", "shard_number": 2},
    )
    assert user.upsert(["point"])["success"]
    found = user.search([0.1], limit=3)
    assert (found["success"], found["empty"], found["result"].points) == (True, False, ["nearest"])
    assert found["response_time"] >= 0
    assert inner.calls[3][1]["limit"] == 3
    page = user.scroll()
    assert (page["result"], page["next_offset"], page["empty"]) == (["one"], 17, False)
    refused = user.delete("all")
    assert not refused["success"]
    assert str(refused["exception"]) == "refused"
    inner.answers["query_points"] = SimpleNamespace(points=[])
    assert user.search([0.1])["empty"], "which is no failure, as in Locust"
    user.on_stop()
    assert inner.calls[-1][0] == "close"
    assert counted(environment) == {
        ("qdrant", "upsert"): (1, 0),
        ("qdrant", "search"): (2, 0),
        ("qdrant", "scroll"): (1, 0),
        ("qdrant", "delete"): (1, 1),
    }


# Milvus


def test_milvus(fresh: Import) -> None:
    hits = [[{"id": 1}, {"id": 3}]]
    answers = {"search": hits, "hybrid_search": [[]], "query": [{"id": 1}], "insert": {"insert_count": 1}}
    made: list[Recorded] = []

    def client(**arguments: Any) -> Recorded:
        made.append(Recorded(answers, **arguments))
        return made[-1]

    prepared: list[str] = []
    of_gevent = stub("grpc.experimental.gevent", init_gevent=lambda: prepared.append("gevent"))
    modules = {
        "grpc": (grpc := stub("grpc")),
        "grpc.experimental": (experimental := stub("grpc.experimental", gevent=of_gevent)),
        "grpc.experimental.gevent": of_gevent,
        "pymilvus": stub("pymilvus", MilvusClient=client),
    }
    grpc.experimental = experimental  # type: ignore[attr-defined]
    module = fresh("milvus", modules)
    assert prepared == ["gevent"]
    environment = Environment()
    times: list[tuple[str, float]] = []
    environment.events.request.add_listener(lambda name, response_time, **_: times.append((name, response_time)))

    class Visitor(module.MilvusUser):  # type: ignore[misc,name-defined]
        def __init__(self, environment: Any) -> None:
            super().__init__(environment, uri="http://127.0.0.1", collection_name="shop", schema="s", num_shards=2)

    user = Visitor(environment)
    [inner] = made
    assert inner.arguments == {"uri": "http://127.0.0.1", "token": "root:Milvus", "db_name": "default", "timeout": 60}
    assert inner.calls[0][1] == {"collection_name": "shop", "schema": "s", "index_params": None, "num_shards": 2}
    assert user.insert([1])["success"]
    assert user.upsert([1])["success"]
    found = user.search([[0.1]], "vector", 2, calculate_recall=True, ground_truth=[1, 2, 3])
    assert (found["result"], found["recall"]) == (hits, 0.5)
    assert times[-1] == ("recall", 50)
    assert user.hybrid_search([], None, 2)["empty"]
    assert user.query("id > 0")["success"]
    assert user.delete("id > 0")["success"]
    user.on_stop()
    assert {name: failed for (_, name), (_, failed) in counted(environment).items()} == dict.fromkeys(
        ("insert", "upsert", "search", "recall", "hybrid_search", "query", "delete"), 0
    )


@pytest.mark.parametrize(
    ("results", "truth", "limit", "recall"),
    [
        ([[{"id": 1}, {"id": 2}]], [2, 1], 2, 1.0),
        ([[{"id": 1}]], [1, 2], None, 1.0),
        ([[{"id": 9}]], [1, 2], 2, 0.0),
        ([[{"id": 1}]], [1], 2, 0.0),
        ([], [1], 1, 0.0),
        ([[]], [], None, 0.0),
    ],
)
def test_recall(fresh: Import, results: Any, truth: list[int], limit: int | None, recall: float) -> None:
    of_gevent = stub("grpc.experimental.gevent", init_gevent=lambda: None)
    experimental = stub("grpc.experimental", gevent=of_gevent)
    modules = {
        "grpc": stub("grpc", experimental=experimental),
        "grpc.experimental": experimental,
        "grpc.experimental.gevent": of_gevent,
        "pymilvus": stub("pymilvus", MilvusClient=Recorded),
    }
    assert fresh("milvus", modules).MilvusV2Client.get_recall(results, truth, limit) == recall


# OpenAI


class Answer:
    def __init__(self, status_code: int, document: Any) -> None:
        self.status_code = status_code
        self._document = document

    def json(self) -> Any:
        if self._document is None:
            raise ValueError("no JSON")
        return self._document

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise RuntimeError(f"status {self.status_code}")


def openai_stub(answers: list[Any]) -> ModuleType:
    """As the package, over an HTTP library whose answers these are."""

    class DefaultHttpxClient:
        def send(self, request: Any, **_: Any) -> Any:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    class OpenAIError(Exception):
        pass

    class OpenAI:
        def __init__(self, *, api_key: str | None = None, http_client: Any) -> None:
            if api_key is None:
                raise OpenAIError("Missing credentials")
            self.http_client = http_client

        def ask(self, path: str, **options: Any) -> Any:
            url = type("Url", (), {"path": path, "__str__": lambda self: f"http://127.0.0.1{path}"})()
            return self.http_client.send(SimpleNamespace(method="POST", url=url), **options)

        def close(self) -> None:
            pass

    return stub("openai", DefaultHttpxClient=DefaultHttpxClient, OpenAIError=OpenAIError, OpenAI=OpenAI)


def test_openai(fresh: Import) -> None:
    refused = ConnectionError("refused")
    answers = [
        Answer(200, {"usage": {"output_tokens": 12}}),
        Answer(200, {"usage": {"completion_tokens": 7}}),
        Answer(429, {"error": "slow down"}),
        Answer(200, None),
        Answer(200, {"usage": {"output_tokens": 5}}),
        refused,
    ]
    module = fresh("oai", {"openai": openai_stub(answers)})
    environment = Environment()
    told: list[dict[str, Any]] = []
    environment.events.request.add_listener(lambda **event: told.append(event))
    client = module.OpenAIClient(environment.events.request, None, api_key="k")
    assert client.ask("/v1/responses").status_code == 200
    with client.rename_request("chat"):
        client.ask("/v1/chat")
    assert client.ask("/v1/responses").status_code == 429, "which the library turns into an exception of its own"
    client.ask("/v1/responses")
    client.ask("/v1/stream", stream=True)
    with pytest.raises(ConnectionError) as raised:
        client.ask("/v1/responses")
    assert raised.value is refused
    assert [event["response_length"] for event in told] == [12, 7, 0, 0, 0, 0]
    assert counted(environment) == {
        ("POST", "/v1/responses"): (4, 2),
        ("POST", "chat"): (1, 0),
        ("POST", "/v1/stream"): (1, 0),
    }
    client.close()


def test_an_openai_user_without_a_key(fresh: Import) -> None:
    module = fresh("oai", {"openai": openai_stub([])})
    with pytest.raises(ObswarmError, match="Visitor: Missing credentials"):
        type("Visitor", (module.OpenAIUser,), {})(Environment())

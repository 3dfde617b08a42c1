"""Clients of locustfiles: names of requests, exceptions, `with` blocks and `request_meta` as in Locust 2.47, from which
the expected values were taken."""

import base64
import pickle
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
import requests
import urllib3

import obswarm
from obswarm.locust import FastHttpUser, HttpUser, fast_clients
from obswarm.locust.clients import HttpSession, ResponseContextManager
from obswarm.locust.contrib import fasthttp
from obswarm.locust.env import Environment
from obswarm.locust.event import EventHook
from obswarm.locust.exception import CatchResponseError, LocustError, ResponseError
from obswarm.stats import ErrorKey
from tests.support.listening import listening

HEADERS: list[dict[str, Any]] = []
"""Of all requests that the server has received."""


def application(environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
    path = environ["PATH_INFO"]
    headers = {key[5:].lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    HEADERS.append({**headers, "content_type": environ.get("CONTENT_TYPE")})
    if path.startswith("/status/"):
        start_response(f"{path.split('/')[2]} Not Here", [("Content-Type", "text/plain")])
        return [b"body"]
    if path == "/wrong.json":
        start_response("400 Bad Request", [("Content-Type", "application/json")])
        return [b'{"why": "wrong"}']
    if path == "/redirect":
        start_response("302 Found", [("Location", "/ok")])
        return [b""]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b'{"a": 1}']


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with listening(application) as address:
        yield f"http://{address}"


@pytest.fixture
def to_close() -> Iterator[list[Any]]:
    """Sessions and the like that are closed after the test."""
    opened: list[Any] = []
    yield opened
    for each in opened:
        each.close()


@pytest.fixture
def make(host: str, to_close: list[Any]) -> Callable[..., Any]:
    """Make a user of a class with these attributes; `events` are what listeners were told."""

    def make(base: type[Any], **attributes: Any) -> Any:
        kind = type("Visitor", (base,), {"host": host, **attributes})
        environment = Environment(user_classes=[kind])
        user = kind(environment)
        user.events = []
        environment.events.request.add_listener(lambda **told: user.events.append(told))
        to_close.append(user.client)
        return user

    return make


@pytest.fixture(params=[HttpUser, FastHttpUser])
def user(request: pytest.FixtureRequest, make: Callable[..., Any]) -> Any:
    return make(request.param)


def is_fast(user: Any) -> bool:
    return isinstance(user, FastHttpUser)


def counted(user: Any) -> dict[str, tuple[int, int]]:
    """Requests and failures by name."""
    endpoints = user.environment.recorder.take().endpoints
    return {key.name: (stats.requests, stats.failures) for key, stats in endpoints.items()}


def test_locusts_user_classes_are_subclasses_of_obswarms() -> None:
    assert issubclass(HttpUser, obswarm.HttpUser)
    assert issubclass(FastHttpUser, obswarm.FastHttpUser)
    assert obswarm.FastHttpUser.abstract is not False
    assert HttpUser.abstract
    assert FastHttpUser.abstract


def test_names_of_requests(user: Any, host: str) -> None:
    for path in ("/ok?x=1", f"{host}/ok?y=2", "/a b"):
        user.client.get(path)
    user.client.get("/ok", params={"a": "b c"})
    names = [told["name"] for told in user.events]
    if is_fast(user):
        assert names == ["/ok?x=1", f"{host}/ok?y=2", "/a b", "/ok"]
    else:
        assert names == ["/ok?x=1", "/ok?y=2", "/a%20b", "/ok?a=b+c"]


def test_a_name_has_no_password(user: Any, host: str) -> None:
    user.client.get(f"{host.replace('//', '//me:hidden@')}/ok")
    assert "hidden" not in user.events[0]["name"]


def test_a_status_is_an_exception_with_the_response(user: Any, host: str) -> None:
    response = user.client.get("/status/404", name="/status/[n]")
    error = user.events[0]["exception"]
    assert error.response is response
    if is_fast(user):
        assert type(error) is fasthttp.LocustBadStatusCode
        assert (error.code, error.url, str(error)) == (404, f"{host}/status/404", "code=404")
        text = "LocustBadStatusCode: code=404"
    else:
        assert type(error) is requests.exceptions.HTTPError
        assert error.request is response.request
        text = "404 Client Error: Not Here for url: /status/[n]"
        assert str(error) == text
        text = f"HTTPError: {text}"
    assert list(user.environment.recorder.take().errors) == [ErrorKey("GET", "/status/[n]", text)]
    with pytest.raises(fasthttp.LocustBadStatusCode if is_fast(user) else requests.HTTPError):
        response.raise_for_status()


@pytest.mark.parametrize(("status", "kind"), [(400, "Client"), (503, "Server")])
def test_texts_of_statuses(make: Callable[..., Any], status: int, kind: str) -> None:
    user = make(HttpUser)
    user.client.get(f"/status/{status}")
    [key] = user.environment.recorder.take().errors
    assert key.message == f"HTTPError: {status} {kind} Error: Not Here for url: /status/{status}"


def test_no_answer(user: Any) -> None:
    response = user.client.get("http://127.0.0.1:9/x")
    assert response.status_code == 0
    assert isinstance(user.events[0]["exception"], ConnectionRefusedError)
    assert isinstance(user.events[0]["exception"], fasthttp.FAILURE_EXCEPTIONS)
    assert isinstance(response, fasthttp.ErrorResponse) == is_fast(user)
    with pytest.raises(ConnectionRefusedError if is_fast(user) else requests.ConnectionError):
        response.raise_for_status()


def test_json_of_no_answer_is_none(make: Callable[..., Any]) -> None:
    # As files catch it that were written for Locust.
    user = make(HttpUser)
    with user.client.get("http://127.0.0.1:9/x", catch_response=True) as response:
        assert (response.content, response.text) == (None, "")
        with pytest.raises(requests.exceptions.JSONDecodeError) as error:
            response.json()
        assert error.value.__cause__ is response.error
        response.failure("no JSON")
    assert response.request_meta["exception"].args == ("no JSON",)


def test_a_timeout(make: Callable[..., Any]) -> None:
    """A server that accepts and says nothing."""
    import gevent.server

    silent = gevent.server.StreamServer(("127.0.0.1", 0), lambda *_: gevent.sleep(30))
    silent.start()
    host = f"http://127.0.0.1:{silent.server_port}"
    try:
        for base, kind in ((HttpUser, requests.exceptions.ReadTimeout), (FastHttpUser, TimeoutError)):
            user = make(base, host=host)
            user.client.get("/", timeout=0.05)
            assert isinstance(user.events[0]["exception"], kind)
    finally:
        silent.stop(timeout=0.1)


def raise_in_block(user: Any, error: BaseException, path: str = "/ok", judge: str = "") -> None:
    with user.client.get(path, catch_response=True) as response:
        if judge == "success":
            response.success()
        elif judge:
            response.failure(judge)
        raise error


def test_a_catch_response_block_catches_response_error_alone(user: Any) -> None:
    raise_in_block(user, ResponseError("no"))
    for error in (CatchResponseError("no"), ValueError("no"), AssertionError("no")):
        with pytest.raises(type(error)):
            raise_in_block(user, error)
    assert counted(user) == {"/ok": (4, 4)}


def test_what_a_load_test_has_said_counts_and_the_exception_goes_on(user: Any) -> None:
    with pytest.raises(ResponseError):
        raise_in_block(user, ResponseError("no"), judge="success")
    with pytest.raises(ValueError, match="no"):
        raise_in_block(user, ValueError("no"), judge="bad")
    assert [told["exception"] and str(told["exception"]) for told in user.events] == [None, "bad"]


def test_raise_for_status_in_a_block(user: Any) -> None:
    kind = fasthttp.LocustBadStatusCode if is_fast(user) else requests.HTTPError
    with pytest.raises(kind), user.client.get("/status/500", catch_response=True) as response:
        response.raise_for_status()
    assert type(user.events[0]["exception"]) is kind
    with user.client.get("/status/500", catch_response=True) as response:
        response.success()
        response.raise_for_status()
    with user.client.get("/ok", catch_response=True) as response:
        response.failure("bad")
        with pytest.raises(CatchResponseError, match="bad"):
            response.raise_for_status()
    assert counted(user) == {"/status/500": (2, 1), "/ok": (1, 1)}


def test_request_meta_of_a_block_is_what_is_counted(user: Any) -> None:
    with user.client.get("/ok", catch_response=True, context={"a": 1}) as response:
        meta = response.request_meta
        assert sorted(meta) == sorted(user_event_keys())
        assert meta["name"] == "/ok"
        assert meta["request_type"] == "GET"
        assert meta["response"] is response
        assert meta["exception"] is None
        assert meta["context"] == {"a": 1}
        assert meta["response_length"] == 8
        assert 0 < meta["response_time"] < 30_000
        meta["name"] = "renamed"
        meta["response_time"] = 5000
        meta["response_length"] = 77
        meta["context"]["b"] = 2
    [told] = user.events
    assert (told["name"], told["response_time"], told["response_length"]) == ("renamed", 5000, 77)
    assert told["context"] == {"a": 1, "b": 2}
    assert counted(user) == {"renamed": (1, 0)}


def user_event_keys() -> list[str]:
    return [
        "request_type",
        "response_time",
        "name",
        "context",
        "response",
        "exception",
        "start_time",
        "url",
        "response_length",
    ]


def test_request_meta_takes_arguments_of_the_event_alone(user: Any) -> None:
    with user.client.get("/ok", catch_response=True) as response:
        with pytest.raises(KeyError, match=r"give anything else as context"):
            response.request_meta["other"] = 1
        with pytest.raises(KeyError):
            del response.request_meta["name"]


def test_request_meta_without_a_block(user: Any, host: str) -> None:
    user.environment.events.request.listeners.clear()
    response = user.client.get("/redirect")
    if is_fast(user):
        assert not hasattr(response, "request_meta")
        return
    assert response.request_meta["url"] == f"{host}/redirect"
    assert response.request_meta["context"] == {}
    assert response.request_meta["response_time"] > 0
    assert dict(**response.request_meta)["name"] == "/redirect"
    assert not hasattr(response.history[0], "request_meta")


def test_the_verdict_on_a_response(user: Any) -> None:
    with user.client.get("/ok", catch_response=True) as response:
        assert response._manual_result is None
        response.failure("bad")
        assert str(response._manual_result) == "bad"
        response.success()
        assert response._manual_result is True


def test_rest(user: Any) -> None:
    with user.rest("GET", "/ok") as response:
        assert response.js == {"a": 1}
        assert isinstance(response, ResponseContextManager | fasthttp.RestResponseContextManager)
    with user.rest("GET", "/ok", name="asserted") as response:
        assert response.js["a"] == 2, "not two"
    with user.rest("GET", "/status/404") as response:
        assert response.js is None
    with user.rest("GET", "http://127.0.0.1:9/") as response:
        assert response.js is None
    assert [told["exception"] is None for told in user.events] == [True, False, False, False]
    assert str(user.events[1]["exception"]).startswith("not two")
    assert HEADERS[-1]["accept"] == "application/json"


def test_rest_with_the_time_in_its_query(user: Any) -> None:
    for path, name in (("/ok", None), ("/ok?x=2", None), ("/ok", "named")):
        with user.rest_("GET", path, name=name):
            pass
    assert [told["name"] for told in user.events] == ["/ok?_=...", "/ok?x=2&_=...", "named"]


def test_obswarms_own_http_user_has_rest(make: Callable[..., Any]) -> None:
    user = make(obswarm.HttpUser)
    with user.rest_("GET", "/ok") as response:
        assert response.js == {"a": 1}
    assert counted(user) == {"/ok": (1, 0)}


def test_the_environments_proxies_are_not_used(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert user.client.get("/ok").status_code == 200


class OfAPackage(HttpUser):
    """Has a client of another protocol."""

    abstract = True


def test_a_host_without_a_scheme_is_for_a_package_with_a_protocol_of_its_own(make: Callable[..., Any]) -> None:
    user = make(OfAPackage, host="127.0.0.1")
    assert user.host == "127.0.0.1"
    with pytest.raises(requests.exceptions.MissingSchema):
        user.client.get("/ok")
    assert type("Visitor", (OfAPackage,), {}).check_host("http://127.0.0.1/") == "http://127.0.0.1"
    for kind, host in ((HttpUser, "127.0.0.1"), (OfAPackage, "ftp://x"), (OfAPackage, 7), (OfAPackage, " ")):
        with pytest.raises(ValueError, match="is not a base URL"):
            type("Visitor", (kind,), {}).check_host(host)


def test_credentials_of_the_host(make: Callable[..., Any], host: str) -> None:
    expected = "Basic " + base64.b64encode(b"me@here:pw").decode()
    for base in (HttpUser, FastHttpUser):
        make(base, host=host.replace("//", "//me%40here:pw@")).client.get("/ok")
        assert HEADERS[-1]["authorization"] == expected


def test_a_session_without_a_user_fires_its_event(host: str, to_close: list[Any]) -> None:
    for session in (HttpSession, fasthttp.FastHttpSession):
        hook = EventHook()
        seen: list[Any] = []
        hook.add_listener(lambda name, seen=seen, **_: seen.append(name))
        client: Any = session(host, hook, None)
        to_close.append(client)
        assert client.request_event is hook
        client.get("/ok", name="alone")
        assert seen == ["alone"]


def test_a_second_session_of_a_user(user: Any, host: str, to_close: list[Any]) -> None:
    kind = fasthttp.FastHttpSession if is_fast(user) else HttpSession
    second: Any = kind(host, user.environment.events.request, user)
    to_close.append(second)
    assert isinstance(user.client, kind)
    second.get("/ok")
    assert counted(user) == {"/ok": (1, 0)}


def test_a_pool_manager_that_users_share(make: Callable[..., Any]) -> None:
    manager = urllib3.PoolManager(maxsize=1, block=True)
    users = [make(HttpUser, pool_manager=manager) for _ in range(3)]
    for user in users:
        assert user.client.get("/ok").json() == {"a": 1}
        assert user.client.get("/status/404").request_meta["exception"].response.status_code == 404
        assert counted(user) == {"/ok": (1, 0), "/status/404": (1, 1)}
    [pool] = [manager.pools[key] for key in manager.pools.keys()]  # noqa: SIM118 - urllib3's cannot be iterated over
    assert pool.num_connections == 1
    users[0].client.close()
    assert len(manager.pools) == 1, "those of the others"
    manager.clear()


class ForeignPool:
    """As geventhttpclient's HTTPClientPool."""

    def __init__(self, **arguments: Any) -> None:
        self.client_args = arguments


def test_a_pool_of_geventhttpclient_stands_for_its_size(make: Callable[..., Any], to_close: list[Any]) -> None:
    foreign = ForeignPool(concurrency=3)
    one, other = make(FastHttpUser, client_pool=foreign), make(FastHttpUser, client_pool=foreign)
    to_close.append(one.client.pool)
    assert one.client.pool is other.client.pool
    assert one.client.get("/ok").ok
    assert fast_clients.pool_of(ForeignPool()) is not one.client.pool


def test_arguments_of_a_fast_session(host: str, caplog: pytest.LogCaptureFixture, to_close: list[Any]) -> None:
    client: Any = fasthttp.FastHttpSession(
        host, EventHook(), None, headers={"X-Of-All": "1"}, max_retries=2, network_timeout=3.0
    )
    to_close.append(client)
    assert "max_retries has no effect" in caplog.text
    assert client.auth_header is None
    client.auth_header = "Bearer x"
    client.get("/ok")
    assert (HEADERS[-1]["x_of_all"], HEADERS[-1]["authorization"]) == ("1", "Bearer x")
    client.auth_header = None
    client.get("/ok")
    assert "authorization" not in HEADERS[-1]
    with pytest.raises(TypeError, match="no such_thing"):
        fasthttp.FastHttpSession(host, EventHook(), None, such_thing=1)


def test_a_fast_response(make: Callable[..., Any]) -> None:
    user = make(FastHttpUser)
    plain = user.client.get("/ok")
    assert type(plain) is fasthttp.FastResponse
    assert plain.data == b'{"a": 1}'
    assert list(plain.iter_content(chunk_size=5, decode_content=True)) == ['{"a":', " 1}"]
    assert list(plain.iter_content(chunk_size=5)) == [b'{"a":', b" 1}"]
    with user.client.get("/ok", stream=True) as streamed:
        assert streamed.read(3) == b'{"a'
        assert streamed.stream.read() == b'": 1}'
    assert list(user.client.iter_lines("/ok")) == ['{"a": 1}']


@pytest.mark.parametrize(
    ("call", "accept", "content_type"),
    [
        ({"json": {}}, "application/json", "application/json"),
        ({"json": {}, "headers": {"x-mine": "1"}}, "application/json", "application/json"),
        ({"json": {}, "headers": {"accept": "text/html"}}, "text/html", "application/json"),
        ({"data": "text"}, "*/*", "text/plain; charset=utf-8"),
        ({"data": "text", "headers": {"content-type": "text/csv"}}, "*/*", "text/csv"),
        ({"data": {"a": "b"}}, "*/*", "application/x-www-form-urlencoded; charset=utf-8"),
        ({"data": b"text"}, "*/*", "application/octet-stream"),
        ({"data": bytearray(b"text")}, "*/*", "application/octet-stream"),
        ({"data": BytesIO(b"text")}, "*/*", "application/octet-stream"),
        ({"data": iter([b"te", b"xt"])}, "*/*", "application/octet-stream"),
        ({"data": b"text", "headers": {"content-type": "image/png"}}, "*/*", "image/png"),
        ({"data": b""}, "*/*", None),
    ],
)
def test_headers_of_bodies_of_a_fast_user(
    make: Callable[..., Any], call: dict[str, Any], accept: str, content_type: str
) -> None:
    make(FastHttpUser).client.post("/ok", **call)
    assert (HEADERS[-1].get("accept"), HEADERS[-1]["content_type"]) == (accept, content_type)


def test_a_bad_status_is_the_error_of_a_fast_response(make: Callable[..., Any]) -> None:
    user = make(FastHttpUser)
    with user.client.get("/status/500", catch_response=True) as response:
        error = response.error
        assert isinstance(error, fasthttp.LocustBadStatusCode)
        assert (error.code, error.response) == (500, response)
        assert response.error is error
        if response.error:
            response.failure("said so")
        else:
            response.success()
        assert response.error is error
    assert counted(user) == {"/status/500": (1, 1)}
    assert user.client.get("/ok").error is None
    plain = user.client.get("/status/404")
    assert plain.error is user.events[-1]["exception"]
    assert not isinstance(plain, fasthttp.ErrorResponse)
    assert isinstance(user.client.get("http://127.0.0.1:9/"), fasthttp.ErrorResponse)


def test_a_bad_status_has_a_body_and_json(make: Callable[..., Any]) -> None:
    user = make(FastHttpUser)
    response = user.client.get("/wrong.json")
    assert (response.status_code, response.json()) == (400, {"why": "wrong"})
    with user.rest("GET", "/wrong.json") as response:
        assert response.js == {"why": "wrong"}
        assert response.error is not None
        response.success()
    with user.rest("GET", "/wrong.json", name="judged") as response:
        assert response.status_code == 200, "not the status that was expected"
    assert "not the status that was expected" in str(user.events[-1]["exception"])
    assert counted(user) == {"/wrong.json": (2, 1), "judged": (1, 1)}


def test_a_caught_failure_that_is_a_success_is_ok(make: Callable[..., Any]) -> None:
    user = make(HttpUser)
    with user.client.get("/status/500", catch_response=True) as response:
        assert (response.ok, bool(response)) == (False, False)
        response.success()
        assert (response.ok, bool(response)) == (True, True)
    with user.client.get("/ok", catch_response=True) as response:
        assert (response.ok, bool(response)) == (True, True)
        response.failure("no")
        assert (response.ok, bool(response)) == (False, False)
    fast = make(FastHttpUser)
    with fast.client.get("/status/500", catch_response=True) as response:
        response.success()
        assert not response.ok


@pytest.mark.parametrize("call", [{}, {"catch_response": True}])
def test_a_result_outside_of_a_block_raises_locust_error(user: Any, call: dict[str, Any]) -> None:
    with user.client.get("/ok", **call) as response:
        response.raise_for_status()
    for judge in (response.success, lambda: response.failure("no")):
        with pytest.raises(LocustError, match="catch_response=True"):
            judge()


@pytest.mark.parametrize(
    ("method", "call", "query", "body"),
    [
        ("GET", {"verify": False}, "", ""),
        ("GET", {"cert": None, "proxies": {}, "max_redirects": 3, "max_retries": 1, "params": {"a": 1}}, "a=1", ""),
        ("GET", {"mine": 2, "params": {"a": 1}}, "a=1&mine=2", ""),
        ("PUT", {"mine": 2, "data": "text"}, "mine=2", "text"),
        ("POST", {"mine": 2}, "", "mine=2"),
        ("POST", {"mine": 2, "data": {"a": 1}, "verify": False}, "", "a=1&mine=2"),
        ("POST", {"mine": 2, "data": "text"}, "", "text"),
    ],
)
def test_other_arguments_of_a_fast_users_calls(
    make: Callable[..., Any], method: str, call: dict[str, Any], query: str, body: str
) -> None:
    client = make(FastHttpUser).client
    for response in (client.request(method, "/ok", **call), getattr(client, method.lower())("/ok", **call)):
        assert response.status_code == 200
        assert response.url.partition("?")[2] == query
        assert response.request.body.decode() == body


def test_arguments_without_effect_are_named_once(make: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    fast_clients._warn_once.cache_clear()
    user = make(FastHttpUser)
    for _ in range(2):
        user.client.get("/ok", verify=False)
    [record] = caplog.records
    assert record.getMessage().startswith("verify of a call has no effect on a FastHttpUser")


def test_obswarms_own_client_refuses_other_arguments(make: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'verify'"):
        make(obswarm.FastHttpUser).client.get("/ok", verify=False)


def test_a_fast_response_can_be_pickled_after_its_error_was_looked_at(make: Callable[..., Any]) -> None:
    response = make(FastHttpUser).client.get("/status/404")
    assert response.error is not None
    loaded = pickle.loads(pickle.dumps(response))
    assert (loaded.status_code, loaded.text, loaded.error.code) == (404, "body", 404)

"""Both clients over streams in memory: what is sent, what is made of answers, and how each request is counted."""

import gzip
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from obswarm.api import Environment
from obswarm.http import FastHttpUser, HttpUser, InvalidRequest, MissingHost
from obswarm.http.errors import HttpError
from obswarm.http.transport import BrokenOff
from tests.support.scripted_server import answer
from tests.support.scripted_stream import HANG, ScriptedPeer, peers

URL = "http://127.0.0.1:8001"
OTHER = "http://127.0.0.1:8002"


@pytest.fixture
def server() -> ScriptedPeer:
    return ScriptedPeer(answer(b"hello"))


@pytest.fixture
def other() -> ScriptedPeer:
    return ScriptedPeer(answer(b"other"))


Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_network(server: ScriptedPeer, other: ScriptedPeer) -> Iterator[None]:
    with peers(p8001=server, p8002=other, p3128=other):
        yield


def user_of(environment: Environment, kind: type, **attributes: Any) -> Any:
    return type("Visitor", (kind,), {"host": URL, **attributes})(environment)


@pytest.fixture(params=[FastHttpUser, HttpUser], ids=["fast", "requests"])
def client(request: pytest.FixtureRequest, environment: Environment) -> Any:
    """Of a user of either kind."""
    return user_of(environment, request.param).client


@pytest.fixture
def fast(environment: Environment) -> Any:
    return user_of(environment, FastHttpUser).client


@pytest.fixture
def plain(environment: Environment) -> Any:
    return user_of(environment, HttpUser).client


def counted(environment: Environment) -> dict[tuple[str, str], tuple[int, int]]:
    """(requests, failures) by method and name."""
    table = environment.recorder.take()
    return {(key.method, key.name): (stats.requests, stats.failures) for key, stats in table.endpoints.items()}


def errors(environment: Environment) -> list[str]:
    return [key.message for key in environment.recorder.take().errors]


def failing(call: Callable[[], Any]) -> Any:
    """The exception that kept an answer from coming, however the client tells."""
    response = call()
    assert response.status_code == 0
    return response.error


# What is sent.
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options", "head"])
def test_every_method_is_sent_and_counted_under_its_name(
    client: Any, server: ScriptedPeer, environment: Environment, method: str
) -> None:
    if method == "head":
        server.replies = [[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"]]
    response = getattr(client, method)("/a?b=c", name="/a")
    assert response.status_code == 200
    assert response.content == (b"" if method == "head" else b"hello")
    assert server.lines()[0] == f"{method.upper()} /a?b=c HTTP/1.1"
    assert counted(environment) == {(method.upper(), "/a"): (1, 0)}


def test_parameters_headers_and_credentials_are_sent(client: Any, server: ScriptedPeer) -> None:
    client.get("/search", params={"q": "a b"}, headers={"X-Shop": "one"}, auth=("me", "key"))
    lines = server.lines()
    assert lines[0] in ("GET /search?q=a+b HTTP/1.1", "GET /search?q=a%20b HTTP/1.1")
    lower = [line.lower() for line in lines]
    assert "x-shop: one" in lower
    assert "authorization: basic bwu6a2v5" in lower
    assert "host: 127.0.0.1:8001" in lower


def test_bodies_are_sent_as_what_they_are(client: Any, server: ScriptedPeer) -> None:
    client.post("/", json={"a": 1})
    assert json.loads(server.body()) == {"a": 1}
    assert any(line.lower() == "content-type: application/json" for line in server.lines())
    client.post("/", data={"a": "1 2"})
    assert server.body() == b"a=1+2"
    client.post("/", data=b"raw")
    assert server.body() == b"raw"
    client.post("/", data=iter([b"one", b"two"]))
    assert server.body() == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    client.post("/", data=io.BytesIO(b"of a file"))
    assert server.body() == b"of a file"
    client.post("/", files={"f": ("name.txt", b"content")})
    assert b'filename="name.txt"' in server.body()


def test_cookies_are_kept_and_sent_back(client: Any, server: ScriptedPeer) -> None:
    server.replies = [answer(b"", Set_Cookie="a=1; Path=/"), answer(b"")]
    client.get("/")
    client.get("/")
    assert "cookie: a=1" in [line.lower() for line in server.lines()]
    client.get("/", cookies={"b": "2"})
    (cookie,) = [line for line in server.lines() if line.lower().startswith("cookie: ")]
    assert set(cookie.partition(": ")[2].split("; ")) == {"a=1", "b=2"}


def test_connections_are_used_again_and_replaced_when_they_are_closed(client: Any, server: ScriptedPeer) -> None:
    for _ in range(3):
        assert client.get("/").ok
    assert len(server.streams) == 1
    server.closes_idle = True
    assert client.get("/").ok
    assert len(server.streams) == 2
    assert server.streams[0].is_closed


def test_a_connection_that_says_so_is_not_used_again(client: Any, server: ScriptedPeer) -> None:
    server.replies = [answer(b"x", Connection="close")]
    client.get("/")
    client.get("/")
    assert len(server.streams) == 2


def test_a_request_on_a_connection_that_was_just_closed_is_sent_once_more(
    fast: Any, server: ScriptedPeer, environment: Environment
) -> None:
    server.replies = [answer(b"x"), [], answer(b"y")]
    assert fast.get("/").content == b"x"
    assert fast.post("/", data=b"once").content == b"y"
    assert len(server.streams) == 2
    assert counted(environment) == {("GET", "/"): (1, 0), ("POST", "/"): (1, 0)}


def test_a_body_that_cannot_be_sent_again_is_not(fast: Any, server: ScriptedPeer) -> None:
    server.replies = [answer(b"x"), [], answer(b"y")]
    fast.get("/")
    error = failing(lambda: fast.post("/", data=iter([b"once"])))
    assert "closed the connection without an answer" in str(error)


# What comes back.
def test_an_answer_in_many_pieces_is_one(client: Any, server: ScriptedPeer) -> None:
    whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    server.replies = [[bytes([byte]) for byte in whole]]
    response = client.get("/")
    assert (response.text, response.reason) == ("hello world", "OK")


def test_an_answer_without_a_length_ends_with_its_connection(client: Any, server: ScriptedPeer) -> None:
    server.replies = [[b"HTTP/1.1 200 OK\r\n\r\n", b"hel", b"lo"]]
    assert client.get("/").content == b"hello"
    assert server.streams[0].is_closed


def test_content_codings_are_undone_and_counted_as_they_came(
    client: Any, server: ScriptedPeer, environment: Environment
) -> None:
    packed = gzip.compress(b"hello" * 1000)
    server.replies = [answer(packed, Content_Encoding="gzip")]
    assert client.get("/").content == b"hello" * 1000
    (stats,) = environment.recorder.take().endpoints.values()
    assert stats.response_bytes == len(packed)


def test_a_body_that_is_not_in_its_coding_is_a_failure(
    fast: Any, server: ScriptedPeer, environment: Environment
) -> None:
    server.replies = [answer(b"not packed", Content_Encoding="gzip")]
    fast.get("/")
    assert counted(environment) == {("GET", "/"): (1, 1)}


def test_statuses_from_400_on_are_failures(client: Any, server: ScriptedPeer, environment: Environment) -> None:
    server.replies = [answer(b"", "404 Not Found"), answer(b"", "503 Busy"), answer(b"", "304 Not Modified")]
    assert [client.get("/").status_code for _ in range(3)] == [404, 503, 304]
    table = environment.recorder.take()
    (stats,) = table.endpoints.values()
    assert (stats.requests, stats.failures) == (3, 2)
    assert len(table.errors) == 2


def test_an_answer_may_be_looked_at_before_it_counts(
    client: Any, server: ScriptedPeer, environment: Environment
) -> None:
    server.replies = [answer(b"wrong"), answer(b"", "500 No"), answer(b"fine"), answer(b"fine")]
    with client.get("/", catch_response=True, name="failure") as response:
        response.failure("the basket is empty")
    with client.get("/", catch_response=True, name="success") as response:
        response.success()
    with client.get("/", catch_response=True, name="as it is"):
        pass
    with (
        pytest.raises(ZeroDivisionError),
        client.get("/", catch_response=True, name="raised"),
    ):
        _ = 1 / 0
    table = environment.recorder.take()
    assert {key.name: stats.failures for key, stats in table.endpoints.items()} == {
        "failure": 1,
        "success": 0,
        "as it is": 0,
        "raised": 1,
    }
    assert "the basket is empty" in {key.message for key in table.errors}


def test_json_and_texts(client: Any, server: ScriptedPeer) -> None:
    server.replies = [
        answer(b'{"a": 1}', Content_Type="application/json"),
        answer(b"caf\xe9", Content_Type="text/plain; charset=latin-1"),
        answer(b"no json"),
    ]
    assert client.get("/").json() == {"a": 1}
    assert client.get("/").text == "café"
    with pytest.raises(ValueError, match="Expecting value"):
        client.get("/").json()


def test_a_streamed_body_is_counted_when_it_has_been_read(
    client: Any, server: ScriptedPeer, environment: Environment
) -> None:
    server.replies = [[b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", b"one\n", b"two\n", b"end"]]
    response = client.get("/", stream=True)
    assert counted(environment) == {}
    assert [line.decode() if isinstance(line, bytes) else line for line in response.iter_lines()] == [
        "one",
        "two",
        "end",
    ]
    (stats,) = environment.recorder.take().endpoints.values()
    assert (stats.requests, stats.response_bytes) == (1, 11)


def test_a_streamed_body_that_is_closed_is_counted_and_its_connection_too(
    client: Any, server: ScriptedPeer, environment: Environment
) -> None:
    server.replies = [[b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", b"one\n", b"two\n", b"end"]]
    with client.get("/", stream=True) as response:
        assert response.status_code == 200
    assert counted(environment) == {("GET", "/"): (1, 0)}
    assert server.streams[0].is_closed


def test_a_streamed_body_that_breaks_off_is_a_failure(
    client: Any, server: ScriptedPeer, environment: Environment
) -> None:
    server.replies = [[b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", b"one\n"]]
    response = client.get("/", stream=True)
    with pytest.raises((HttpError, requests.RequestException)):
        list(response.iter_content(3))
    assert counted(environment) == {("GET", "/"): (1, 1)}


def test_a_body_that_is_thrown_away_is_counted_with_its_bytes(
    fast: Any, server: ScriptedPeer, environment: Environment
) -> None:
    server.replies = [[b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", b"one", b"two"]]
    response = fast.get("/", discard_body=True)
    assert response.ok
    (stats,) = environment.recorder.take().endpoints.values()
    assert stats.response_bytes == 6


def test_lines_of_server_sent_events(fast: Any, server: ScriptedPeer) -> None:
    server.replies = [[b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", b"data: ", b"1\r\n", b"end"[:2]]]
    lines = fast.iter_lines("/events")
    assert next(lines) == "data: 1"
    lines.close()


# Redirects.
@pytest.mark.parametrize(
    ("status", "method", "then"),
    [(301, "post", "GET"), (302, "post", "GET"), (303, "put", "GET"), (307, "post", "POST"), (308, "put", "PUT")],
)
def test_redirects_keep_or_change_the_method(
    client: Any, server: ScriptedPeer, environment: Environment, status: int, method: str, then: str
) -> None:
    server.replies = [answer(b"", f"{status} Go", Location="/there"), answer(b"there")]
    response = getattr(client, method)("/here", data=b"body")
    assert response.text == "there"
    assert server.lines()[0] == f"{then} /there HTTP/1.1"
    assert server.body() == (b"body" if then != "GET" else b"")
    assert [each.status_code for each in response.history] == [status]
    assert counted(environment) == {(method.upper(), "/here"): (1, 0)}, "one request for the user"


def test_credentials_are_not_sent_to_another_host(client: Any, server: ScriptedPeer, other: ScriptedPeer) -> None:
    server.replies = [answer(b"", "302 Go", Location=f"{OTHER}/there")]
    assert client.get("/", auth=("me", "key")).text == "other"
    assert not any(line.lower().startswith("authorization") for line in other.lines())


def test_redirects_that_do_not_end_are_a_failure(fast: Any, server: ScriptedPeer, environment: Environment) -> None:
    server.replies = [answer(b"", "302 Go", Location="/again")]
    error = failing(lambda: fast.get("/"))
    assert str(error).startswith("more than 30 redirects, the last one to '/again'")
    assert counted(environment) == {("GET", "/"): (1, 1)}


def test_redirects_may_be_left_alone(client: Any, server: ScriptedPeer) -> None:
    server.replies = [answer(b"", "302 Go", Location="/there")]
    assert client.get("/", allow_redirects=False).status_code == 302
    assert len(server.requests) == 1


# No answer.
GONE = "127.0.0.1:8001 closed the connection"
NO_ANSWERS: list[tuple[list[Any], str]] = [
    ([], f"{GONE} without an answer"),
    ([b"HTTP/1.1 200 OK\r\nConte"], f"{GONE} in the middle of its answer's headers"),
    ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"], f"{GONE} in the middle of its answer's body"),
    ([b"SSH-2.0-OpenSSH\r\n"], "127.0.0.1:8001"),
    ([HANG], "127.0.0.1:8001"),
    ([b"HTTP/1.1 200 OK\r\n", HANG], "127.0.0.1:8001"),
    ([ConnectionResetError(104, "Connection reset by peer")], "127.0.0.1:8001"),
]


@pytest.mark.parametrize(("reply", "text"), NO_ANSWERS)
def test_a_request_without_an_answer_is_a_failure_that_names_the_peer(
    client: Any, server: ScriptedPeer, environment: Environment, reply: list[Any], text: str
) -> None:
    server.replies = [reply]
    response = client.get("/")
    assert response.status_code == 0
    assert text in str(response.error)
    table = environment.recorder.take()
    (stats,) = table.endpoints.values()
    assert (stats.requests, stats.failures) == (1, 1)
    assert server.streams[0].is_closed


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), BrokenOff(104, "reset")])
def test_a_request_that_cannot_be_sent_is_a_failure(
    fast: Any, server: ScriptedPeer, environment: Environment, error: OSError
) -> None:
    server.send_fails = error
    assert fast.get("/").status_code == 0
    assert fast.post("/", data=iter([b"x"])).status_code == 0
    assert counted(environment) == {("GET", "/"): (1, 1), ("POST", "/"): (1, 1)}


def test_an_answer_that_is_too_large_is_a_failure(environment: Environment, server: ScriptedPeer) -> None:
    session = user_of(environment, FastHttpUser, max_response_bytes=10).client
    server.replies = [answer(b"x" * 11), [b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 6, b"x" * 6], answer(b"x" * 10)]
    assert [session.get("/").status_code for _ in range(3)] == [0, 0, 200]
    assert counted(environment) == {("GET", "/"): (3, 2)}


def test_what_is_wrong_with_the_call_raises(fast: Any, environment: Environment) -> None:
    with pytest.raises(InvalidRequest):
        fast.get("http://[::1")
    with pytest.raises(InvalidRequest):
        fast.get("/", headers=["X: y"])
    with pytest.raises(InvalidRequest):
        fast.request("NO METHOD", "/")
    with pytest.raises(MissingHost):
        user_of(environment, FastHttpUser, host=None).client.get("/")
    assert counted(environment) == {}


def test_requests_exceptions_are_those_of_requests(plain: Any, server: ScriptedPeer) -> None:
    server.replies = [[]]
    with pytest.raises(requests.ConnectionError):
        plain.get("/").raise_for_status()
    server.replies = [[HANG]]
    with pytest.raises(requests.ReadTimeout):
        plain.get("/").raise_for_status()
    server.replies = [answer(b"", "500 No")]
    with pytest.raises(requests.HTTPError):
        plain.get("/").raise_for_status()


# A proxy.
def test_plain_http_through_a_proxy_has_the_whole_url(environment: Environment, other: ScriptedPeer) -> None:
    session = user_of(
        environment, FastHttpUser, proxy="http://me:key@127.0.0.1:3128", host="http://shop.example"
    ).client
    assert session.get("/a").text == "other"
    lines = other.lines()
    assert lines[0] == "GET http://shop.example/a HTTP/1.1"
    assert "Proxy-Authorization: Basic bWU6a2V5" in lines


def test_a_proxy_that_refuses_a_tunnel_is_named(environment: Environment, other: ScriptedPeer) -> None:
    session = user_of(environment, FastHttpUser, proxy="http://127.0.0.1:3128", host="https://shop.example").client
    other.replies = [answer(b"", "403 Forbidden"), []]
    assert str(session.get("/").error) == (
        "the proxy 127.0.0.1:3128 refused a tunnel to shop.example:443: HTTP 403 Forbidden"
    )
    assert other.lines()[0] == "CONNECT shop.example:443 HTTP/1.1"
    assert "refused a tunnel to shop.example:443: 127.0.0.1:3128 closed the connection" in str(session.get("/").error)
    assert all(stream.is_closed for stream in other.streams)


def test_a_group_of_requests_has_one_name(fast: Any, environment: Environment) -> None:
    with fast.rename_request("/item/{id}"):
        fast.get("/item/1")
        fast.get("/item/2")
    fast.get("/item/3")
    assert counted(environment) == {("GET", "/item/{id}"): (2, 0), ("GET", "/item/3"): (1, 0)}


def test_the_same_headers_again_are_sent_again_and_others_are_not(fast, server) -> None:
    for value in ("one", "two", "one", None, b"two", "one"):
        fast.get("/", headers={"X-A": value, "Accept": None})
    sent = [[line for line in server.lines(number) if line.startswith("X-A")] for number in range(6)]
    assert sent == [["X-A: one"], ["X-A: two"], ["X-A: one"], [], ["X-A: two"], ["X-A: one"]]
    assert not any(line.startswith("Accept:") for number in range(6) for line in server.lines(number))
    fast.headers["X-B"] = "new"
    fast.get("/", headers={"X-A": "one"})
    assert {"X-A: one", "X-B: new", "Accept: */*"} <= set(server.lines())


@pytest.mark.parametrize("headers", [{"X-A": ["a"]}, {"X-A": 1}, "X-A: b", {"X A": "b"}, {"X-A": "b\r\nX-B: c"}])
def test_headers_that_are_none_are_refused_each_time(fast, server, headers: Any) -> None:
    for _ in range(2):
        with pytest.raises(InvalidRequest):
            fast.get("/", headers=headers)
    assert server.requests == []


def test_more_headers_than_are_remembered_are_all_sent(fast, server) -> None:
    for number in range(1300):
        fast.get("/", headers={"X-Number": str(number % 650)})
        assert f"X-Number: {number % 650}" in server.lines()


def test_raw_has_url_and_headers(client: Any, server: ScriptedPeer) -> None:
    server.replies = [answer(b"hello", X_Shop="one")]
    raw = client.get("/a?b=c").raw
    assert raw.geturl().endswith("/a?b=c")
    assert (raw.getheader("x-shop"), raw.getheader("x-other"), raw.getheader("x-other", "two")) == ("one", None, "two")

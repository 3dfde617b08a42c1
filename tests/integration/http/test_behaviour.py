"""What a user of requests expects of the fast client: connections, redirects, cookies, bodies, streams, judging."""

import io
import re
import time

import gevent
import pytest

from obswarm.api.tracing import TraceSampler
from obswarm.http import (
    ConnectionPool,
    FastHttpSession,
    FastHttpUser,
    HttpUser,
    InvalidRequest,
    MissingHost,
    StreamConsumed,
)
from obswarm.http.catch_response import NotCatching
from tests.support.scripted_server import HANG, PAUSE, Exchange, ScriptedServer, answer
from tests.support.stalls import StallMeter

pytestmark = pytest.mark.usefixtures("no_leaked_socket")


def counted(environment) -> dict[str, tuple[int, int]]:
    """(requests, failures) by name."""
    return {key.name: (stats.requests, stats.failures) for key, stats in environment.recorder.take().endpoints.items()}


# Connections


def test_a_connection_is_used_again_also_after_head_and_errors(make_session) -> None:
    head = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"]
    with ScriptedServer(
        answer(b"a"), head, answer(b"b", status="500 No"), [b"HTTP/1.1 204 No Content\r\n\r\n"], answer(b"c")
    ) as server:
        session = make_session(server.url)
        answers = [session.get("/"), session.head("/"), session.get("/"), session.delete("/"), session.get("/")]
        assert [each.content for each in answers] == [b"a", b"", b"b", b"", b"c"]
        assert server.connections == 1


def test_an_idle_connection_that_the_server_closed_is_replaced_without_a_failure(make_session, environment) -> None:
    with ScriptedServer(answer(b"x"), close=True) as server:
        session = make_session(server.url)
        for _ in range(3):
            assert session.post("/", data=b"once").content == b"x"
        assert len(server.exchanges) == 3
    assert counted(environment) == {"/": (3, 0)}


def test_refused_and_unknown_names_are_failures_with_reasons(make_session, environment) -> None:
    session = make_session("http://127.0.0.1:1")
    assert str(session.get("/a").error) == "no connection to 127.0.0.1:1: Connection refused"
    assert "cannot be resolved" in str(session.get("http://no-such-host.invalid/b", name="b").error)
    assert counted(environment) == {"/a": (1, 1), "b": (1, 1)}


def test_several_addresses_are_tried_and_ipv6_works(make_session, monkeypatch) -> None:
    from obswarm.http import dns_cache as names

    with ScriptedServer(answer(b"x")) as server:

        def two_addresses(host: str, port: int) -> list[names.Address]:
            return [names.Address(10, ("::1", port)), names.Address(2, ("127.0.0.1", port))]

        monkeypatch.setattr(names, "_look_up", two_addresses)
        names.names().clear()
        session = make_session(f"http://two.test:{server.port}")
        assert session.get("/").content == b"x"
        assert server.exchanges[0].header("host") == f"two.test:{server.port}"
        names.names().clear()


def test_ipv6_literals() -> None:
    from gevent import socket
    from gevent.server import StreamServer

    listener = socket.socket(socket.AF_INET6)
    listener.bind(("::1", 0))
    listener.listen()

    def serve(connection, address) -> None:
        connection.recv(1000)
        connection.sendall(answer(b"six")[0])
        connection.close()

    server = StreamServer(listener, serve)
    server.start()
    from obswarm.api import Environment, Events
    from obswarm.stats import Recorder

    session = FastHttpSession(Environment(events=Events(), recorder=Recorder()), f"http://[::1]:{server.server_port}")
    response = session.get("/")
    assert response.content == b"six"
    assert response.request.headers["host"] == f"[::1]:{server.server_port}"
    session.close()
    server.stop()


def test_unix_sockets(make_session, tmp_path) -> None:
    path = str(tmp_path / "App.sock")
    with ScriptedServer(answer(b"local", Set_Cookie="a=1"), answer(b"again"), unix=path) as server:
        session = make_session("http+unix://" + path.replace("/", "%2F"))
        assert session.get("/x").content == b"local"
        assert session.get("/y").content == b"again"
        assert server.exchanges[0].request_line == "GET /x HTTP/1.1"
        assert server.exchanges[0].header("host") == "localhost"
        assert server.exchanges[1].header("cookie") == "a=1"
        assert server.connections == 1


def test_the_pool_has_a_limit_and_waits_for_a_place(make_session) -> None:
    with ScriptedServer([PAUSE, *answer(b"x")]) as server:
        session = make_session(server.url, concurrency=2)
        greenlets = [gevent.spawn(session.get, "/") for _ in range(6)]
        gevent.joinall(greenlets)
        assert all(greenlet.value.content == b"x" for greenlet in greenlets)
        assert server.connections == 2


def test_a_place_in_the_pool_that_never_comes_free_is_a_timeout(make_session) -> None:
    with ScriptedServer([HANG]) as server:
        session = make_session(server.url, concurrency=1)
        first = gevent.spawn(session.get, "/")
        gevent.sleep(0.05)
        response = session.get("/", timeout=0.1)
        assert "none of the 1 connections" in str(response.error)
        first.kill()


def test_a_shared_pool_serves_all_users_of_a_class(make_session) -> None:
    pool = ConnectionPool(limit=1)
    with ScriptedServer(answer(b"x")) as server:
        for _ in range(5):
            session = make_session(server.url, client_pool=pool)
            assert session.get("/").ok
            session.close()
        assert server.connections == 1
    pool.close()


# Redirects


def location(url: str, status: str) -> list[bytes]:
    return answer(b"moved", status=status, Location=url)


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        ("301 Moved", "GET", "GET"),
        ("301 Moved", "POST", "GET"),
        ("301 Moved", "PUT", "PUT"),
        ("302 Found", "POST", "GET"),
        ("303 See Other", "PUT", "GET"),
        ("303 See Other", "HEAD", "HEAD"),
        ("307 Temporary", "POST", "POST"),
        ("308 Permanent", "PUT", "PUT"),
    ],
)
def test_methods_and_bodies_of_redirected_requests(
    make_session, environment, status: str, method: str, then: str
) -> None:
    moved = [piece[:-5] if method == "HEAD" else piece for piece in location("/there?a=1", status)]
    end = [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]
    with ScriptedServer(moved, end) as server:
        body = {"data": b"body"} if method not in ("GET", "HEAD") else {}
        response = make_session(server.url).request(method, "/here", headers={"X-Own": "1"}, **body)
        assert response.status_code == 200
        assert response.url == server.url + "/there?a=1"
        assert [(each.status_code, each.url) for each in response.history] == [(int(status[:3]), server.url + "/here")]
        last = server.exchanges[-1]
        assert last.request_line == f"{then} /there?a=1 HTTP/1.1"
        assert last.header("x-own") == "1"
        assert last.body == (b"body" if body and status[:3] in ("307", "308") else b"")
        assert server.connections == 1
    assert counted(environment) == {"/here": (1, 0)}


def test_redirects_are_not_followed_when_that_is_not_wanted(make_session) -> None:
    with ScriptedServer(location("/b", "302 Found")) as server:
        response = make_session(server.url).get("/a", allow_redirects=False)
        assert (response.status_code, response.is_redirect, response.headers["location"]) == (302, True, "/b")


def test_redirects_without_end(make_session) -> None:
    with ScriptedServer(location("/b", "302 Found")) as server:
        response = make_session(server.url, max_redirects=3).get("/a")
        assert "more than 3 redirects" in str(response.error)
        assert len(server.exchanges) == 4


def test_credentials_and_cookies_do_not_go_to_another_origin(make_session) -> None:
    with ScriptedServer(answer(b"other")) as other:
        with ScriptedServer(location(other.url.replace("127.0.0.1", "localhost") + "/x", "302 Found")) as server:
            session = make_session(server.url)
            response = session.get("/", auth=("u", "p"), cookies={"secret": "1"}, headers={"X-Kept": "1"})
            assert response.content == b"other"
        assert server.exchanges[0].header("authorization") == "Basic dTpw"
        assert server.exchanges[0].header("cookie") == "secret=1"
        seen = other.exchanges[0].headers
        assert "authorization" not in seen
        assert "cookie" not in seen
        assert seen["x-kept"] == "1"


@pytest.mark.parametrize("where", ["ftp://example.com/", "http://:80/", "http://[bad", "http+unix://%2Ftmp%2Fx/"])
def test_a_redirect_to_nowhere_is_a_failure(make_session, where: str) -> None:
    with ScriptedServer(location(where, "302 Found")) as server:
        response = make_session(server.url.replace("//", "//user:PLANTED@")).get("/")
        assert "redirects to" in str(response.error)
        assert "PLANTED" not in str(response.error)


def test_a_body_that_can_be_read_once_only_cannot_be_redirected(make_session) -> None:
    with ScriptedServer(location("/b", "307 Temporary"), answer(b"x")) as server:
        session = make_session(server.url)
        assert "cannot be sent again" in str(session.post("/a", data=(piece for piece in [b"a", b"b"])).error)
        server.scripts.insert(0, location("/b", "307 Temporary")[:])
        assert session.post("/a", data=io.BytesIO(b"file")).content == b"x"
        assert server.exchanges[-1].body == b"file"


# Cookies


def test_cookies_are_kept_by_domain_path_and_expiry_and_sent_back(make_session) -> None:
    set_all = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2; Path=/deep\r\n"
        b"SET-COOKIE: c=3; Secure\r\nSet-Cookie: d=4; Max-Age=1\r\nSet-Cookie: e=5; Domain=example.com\r\n\r\n"
    ]
    with ScriptedServer(set_all, answer()) as server:
        session = make_session(server.url)
        response = session.get("/")
        assert response.cookies.get_dict() == {"a": "1", "b": "2", "c": "3", "d": "4"}
        for path in ("/", "/deep/x", "/"):
            session.get(path)
        assert [set(exchange.header("cookie").split("; ")) for exchange in server.exchanges[1:]] == [
            {"a=1", "d=4"},
            {"a=1", "b=2", "d=4"},
            {"a=1", "d=4"},
        ]
        session.cookies.set("mine", "x")
        session.get("/")
        assert "mine=x" in server.exchanges[-1].header("cookie")
        session.get("/", cookies={"once": "y", "a": "override"})
        assert {"once=y", "mine=x"} <= set(server.exchanges[-1].header("cookie").split("; "))
        session.get("/", headers={"Cookie": "own=1"})
        assert server.exchanges[-1].header("cookie") == "own=1"
        session.cookies.clear()
        session.get("/")
        assert server.exchanges[-1].header("cookie") is None


def test_a_cookie_expires(make_session, monkeypatch) -> None:
    with ScriptedServer(answer(Set_Cookie="a=1; Max-Age=5"), answer()) as server:
        session = make_session(server.url)
        session.get("/")
        session.get("/")
        now = time.time()
        monkeypatch.setattr("time.time", lambda: now + 6)
        monkeypatch.setattr("obswarm.clock.wall", lambda: now + 6)
        session.get("/")
        assert [exchange.header("cookie") for exchange in server.exchanges] == [None, "a=1", None]


def test_a_cookie_set_by_a_redirect_goes_with_the_next_hop(make_session) -> None:
    with ScriptedServer(
        answer(status="302 Found", Location="/home", Set_Cookie="session=1"), answer(b"home")
    ) as server:
        assert make_session(server.url).post("/login", data={"user": "u"}).content == b"home"
        assert server.exchanges[1].header("cookie") == "session=1"


# Bodies that are sent


def test_bodies_from_iterators_and_files(make_session, tmp_path) -> None:
    path = tmp_path / "upload.bin"
    path.write_bytes(b"0123456789" * 20_000)
    with ScriptedServer(answer()) as server, open(path, "rb") as file, open(path, "rb") as rest:
        session = make_session(server.url)
        session.post("/", data=iter([b"one", "zwei", b"", bytearray(b"3")]))
        session.post("/", data=file)
        rest.seek(199_990)
        session.put("/", data=rest)
        session.post("/", data=b"x" * 3_000_000)
        sent = server.exchanges
        assert (sent[0].body, sent[0].header("transfer-encoding")) == (b"onezwei3", "chunked")
        assert (len(sent[1].body), sent[1].header("content-length")) == (200_000, "200000")
        assert (sent[2].body, sent[2].header("content-length")) == (b"0123456789", "10")
        assert len(sent[3].body) == 3_000_000
        assert server.connections == 1


def test_an_answer_that_comes_before_the_body_is_through_is_heard(make_session) -> None:
    from gevent import socket
    from gevent.server import StreamServer

    def refuse(connection: socket.socket, address: object) -> None:
        connection.recv(1000)
        connection.sendall(answer(b"too large", status="413 Content Too Large", Connection="close")[0])
        gevent.sleep(0.2)
        connection.close()

    server = StreamServer(("127.0.0.1", 0), refuse)
    server.start()
    response = make_session(f"http://127.0.0.1:{server.server_port}").post(
        "/", data=(b"x" * 100_000 for _ in range(200))
    )
    server.stop()
    # Either the answer was read, or the connection was reset under it; a hang or another error it must not be.
    assert response.status_code == 413 or "broke" in str(response.error)


# Streams


def test_a_streamed_body_is_read_as_it_comes(make_session, environment) -> None:
    one_is_read = gevent.event.Event()

    def drip(exchange: Exchange) -> None:
        exchange.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for line in (b"one\n", b"two\r\n", b"drei\n", b"rest"):
            exchange.connection.sendall(b"%x\r\n%b\r\n" % (len(line), line))
            one_is_read.wait()
            gevent.sleep(0.05)
        exchange.connection.sendall(b"0\r\n\r\n")

    with ScriptedServer(drip) as server, StallMeter() as stalls:
        session = make_session(server.url)
        response = session.get("/", stream=True)
        lines = response.iter_lines()
        assert next(lines) == b"one", "before the rest is sent"
        one_is_read.set()
        assert not environment.recorder.take().endpoints
        assert list(lines) == [b"two", b"drei", b"rest"]
        assert counted(environment) == {"/": (1, 0)}
        assert response.elapsed_s < response.download_s + stalls.stalled_s()
        with pytest.raises(StreamConsumed):
            list(response.iter_lines())
        assert b"".join(session.get("/", stream=True).iter_content(3)) == b"one\ntwo\r\ndrei\nrest"
        assert list(session.iter_lines("/")) == ["one", "two", "drei", "rest"]
        assert session.get("/", stream=True).content == b"one\ntwo\r\ndrei\nrest"
        assert server.connections == 1


def test_a_stream_that_is_closed_early_costs_its_connection(make_session, environment) -> None:
    with ScriptedServer([b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello", HANG]) as server:
        session = make_session(server.url)
        with session.get("/with", stream=True) as response:
            assert next(response.iter_content()) == b"hello"
        session.get("/closed", stream=True).close()
        session.get("/dropped", stream=True)
        assert session.pool.open_connections == 0
        assert server.connections == 3
    assert counted(environment) == {"/with": (1, 0), "/closed": (1, 0), "/dropped": (1, 0)}


def test_a_stream_that_breaks_is_a_failure(make_session, environment) -> None:
    with ScriptedServer([b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello"], close=True) as server:
        session = make_session(server.url)
        response = session.get("/", stream=True)
        with pytest.raises(Exception, match="in the middle of its answer's body"):
            list(response.iter_content())
    assert counted(environment) == {"/": (1, 1)}


def test_a_judged_stream(make_session, environment) -> None:
    with ScriptedServer(answer(b"hello")) as server:
        session = make_session(server.url)
        with session.get("/", stream=True, catch_response=True) as response:
            if b"".join(response.iter_content()) == b"hello":
                response.failure("said hello")
    table = environment.recorder.take()
    assert [(key.message, seen.count) for key, seen in table.errors.items()] == [("said hello", 1)]
    assert sum(stats.response_bytes for stats in table.endpoints.values()) == 5


# rest()


def test_rest_judges_by_assertions(make_session, environment) -> None:
    with ScriptedServer(answer(b'{"a": 1}', Content_Type="application/json")) as server:
        session = make_session(server.url)
        with session.rest("GET", "/good") as response:
            assert response.js == {"a": 1}
        with session.rest("POST", "/bad", json={"x": 1}) as response:
            assert response.js["a"] == 2, "a is not 2"
        with session.rest("GET", "/worse") as response:
            _ = response.js["missing"]
        with session.rest_("GET", "/fresh?x=1") as response:
            pass
        assert server.exchanges[0].header("accept") == "application/json"
        assert server.exchanges[3].request_line.startswith("GET /fresh?x=1&_=1")
        server.scripts[:] = [answer(b"<html>")]
        with session.rest("GET", "/html") as response:
            assert response.js is None
        server.scripts[:] = [answer(b"[" * 100_000)]
        with session.rest("GET", "/deep") as response:
            assert response.js is None
    table = environment.recorder.take()
    messages = {key.name: key.message for key in table.errors}
    assert messages["/bad"].startswith("a is not 2")
    assert messages["/worse"].startswith("KeyError: 'missing' in test_behaviour.py:")
    assert "is not JSON" in messages["/html"]
    assert "'<html>'" in messages["/html"]
    assert "is not JSON" in messages["/deep"]
    assert table.endpoints["GET", "/fresh?x=1", ""].failures == 0
    assert table.endpoints["GET", "/good", ""].failures == 0


def test_a_user_has_rest_of_its_own(environment) -> None:
    with ScriptedServer(answer(b'{"a": 1}')) as server:

        class Visitor(FastHttpUser):
            host = server.url

        user = Visitor(environment)
        with user.rest("GET", "/x") as response:
            assert response.js == {"a": 1}
        user.client.close()


# Judging, timings, names


def test_judging(make_session, environment) -> None:
    with ScriptedServer(answer(b"x", status="500 No")) as server:
        session = make_session(server.url)
        with session.get("/saved", catch_response=True) as response:
            response.success()
        assert session.get("/lost").status_code == 500
        with pytest.raises(NotCatching):
            session.get("/lost").success()
        with session.rename_request("renamed"):
            session.get("/lost")
    assert counted(environment) == {"/saved": (1, 0), "/lost": (2, 2), "renamed": (1, 1)}


def test_timings_say_where_the_time_went(make_session, environment) -> None:
    slow = [PAUSE, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", PAUSE, PAUSE, b"llo"]
    with ScriptedServer(slow) as server:
        session = make_session(server.url)
        first, second = session.get("/").timings, session.get("/").timings
    assert first.connect_s is not None
    assert 0 < first.connect_s < 0.05
    assert first.tls_s is None
    assert 0.09 < first.first_byte_s < 0.18
    assert 0.19 < first.download_s < 0.28
    assert second.connect_s is None
    (stats,) = environment.recorder.take().endpoints.values()
    assert set(stats.timings.means_s()) == {"connect", "first_byte", "download"}


# Wrong calls


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"url": "ftp://example.com/"}, "ftp://example.com/"),
        ({"url": "/a\r\nX: y"}, r"'http://127.0.0.1:1/a\r\nX: y'"),
        ({"url": "http://[::1/"}, "http://[::1/"),
        ({"url": "http://a b/"}, "http://a b/"),
        ({"url": "http://:80/"}, "http://:80/"),
        ({"url": "http://example.com:99999/"}, "http://example.com:99999/"),
        ({"url": None}, "None"),
        ({"url": 7}, "7"),
        ({"method": "GE T"}, "'GE T'"),
        ({"method": "GET\r\nX"}, r"'GET\r\nX'"),
        ({"method": None}, "None"),
        ({"headers": {"X": "a\r\nY: b"}}, r"'a\r\nY: b'"),
        ({"headers": {"X\r\nY": "a"}}, r"'X\r\nY'"),
        ({"headers": {"X": 5}}, "5"),
        ({"headers": {"": "a"}}, "''"),
        ({"headers": ["X"]}, "['X']"),
        ({"data": 5}, "data=5"),
        ({"data": object()}, "data=<object object"),
        ({"data": {1, 2}}, "data={1, 2}"),
        ({"data": ["a"]}, "data=['a']"),
        ({"json": {1, 2}}, "json={1, 2}"),
        ({"json": float("nan")}, "json=nan"),
        ({"data": b"x", "json": {}}, "either data or json"),
        ({"files": 5}, "files=5"),
        ({"files": {"f": 5}}, "'f'"),
        ({"auth": "user"}, "auth='user'"),
        ({"auth": ("user",)}, "auth=('user',)"),
        ({"params": 5}, "params=5"),
        ({"cookies": 5}, "cookies=5"),
        ({"timeout": -1}, "timeout=-1"),
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": "5"}, "timeout='5'"),
        ({"timeout": (1, 2, 3)}, "timeout=(1, 2, 3)"),
        ({"total_timeout": float("nan")}, "total_timeout=nan"),
    ],
)
def test_a_wrong_call_raises_and_names_what_is_wrong(environment, arguments: dict, named: str) -> None:
    with ScriptedServer(answer()) as server:
        session = FastHttpSession(environment, "http://127.0.0.1:1")
        if "data" in arguments and hasattr(arguments["data"], "__next__"):
            session = FastHttpSession(environment, server.url)
        with pytest.raises(InvalidRequest) as caught:
            session.request(**{"method": "GET", "url": "/", **arguments})
        assert named in str(caught.value)
        session.close()
    assert not environment.recorder.take().endpoints


def broken_body():
    yield b"one"
    raise KeyError("no more")


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (broken_body, KeyError, "KeyError: 'no more'"),
        (lambda: iter([5]), InvalidRequest, "a streamed body gave 5; its pieces have to be bytes or text"),
    ],
)
def test_a_body_that_breaks_on_its_way_reaches_the_task_and_is_a_failure(
    make_session, environment, body, error: type[Exception], message: str
) -> None:
    with ScriptedServer(answer()) as server:
        session = make_session(server.url)
        with pytest.raises(error, match="no more|gave 5"):
            session.post("/", data=body())
        assert session.pool.open_connections == 0
    table = environment.recorder.take()
    assert ([key.message for key in table.errors], table.interrupted) == ([message], 0)
    assert table.total().requests == 1


def test_sampled_requests_carry_a_trace(make_session, environment) -> None:
    environment.trace_sampler = TraceSampler(0.5, iter([0.1, 0.9, 0.2, 0.3]).__next__)
    with ScriptedServer(answer()) as server:
        session = make_session(server.url)
        responses = [session.get("/"), session.get("/"), session.get("/", headers={"Traceparent": "mine"})]
        with pytest.raises(InvalidRequest, match="give a dict"):
            session.get("/", headers=["X"])
        sent = [exchange.header("traceparent") for exchange in server.exchanges]
    assert re.fullmatch(rf"00-{responses[0].trace_id}-[0-9a-f]{{16}}-01", sent[0])
    assert (responses[1].trace_id, sent[1]) == (None, None)
    assert sent[2] == "mine"
    (stats,) = environment.recorder.take().endpoints.values()
    assert responses[2].trace_id is None
    assert [each.trace_id for each in stats.exemplars()] == [responses[0].trace_id]


def test_no_host(environment) -> None:
    with pytest.raises(MissingHost, match="-H/--host"):
        FastHttpSession(environment, None).get("/x")


def test_headers_of_the_session(make_session) -> None:
    with ScriptedServer(answer()) as server:
        session = make_session(server.url, default_headers={"X-Class": "c", "user-agent": "mine"})
        session.get("/")
        session.headers["X-User"] = "u"
        session.get("/")
        session.get("/", headers={"x-user": "call", "Accept": None})
        session.headers.update({"X-User": "later"})
        del session.headers["X-Class"]
        session.auth = ("name", "word")
        session.post("/")
        first, second, third, fourth = [exchange.headers for exchange in server.exchanges]
        assert (first["x-class"], first["user-agent"], first["accept"]) == ("c", "mine", "*/*")
        assert "x-user" not in first
        assert second["x-user"] == "u"
        assert third["x-user"] == "call"
        assert "accept" not in third
        assert (fourth["x-user"], fourth["authorization"]) == ("later", "Basic bmFtZTp3b3Jk")
        assert "x-class" not in fourth
        assert fourth["content-length"] == "0"
        session.headers["X"] = "a\nb"
        with pytest.raises(InvalidRequest, match="line break"):
            session.get("/")


@pytest.mark.parametrize("kind", [FastHttpUser, HttpUser])
def test_headers_of_the_session_frame_no_body_either(user_of, kind: type) -> None:
    recorded = {"Content-Length": "4", "Transfer-Encoding": "chunked", ":authority": "shop.example", "X-Kept": "1"}
    with ScriptedServer(answer(b"fine")) as server:
        client = user_of(kind, server.url).client
        client.headers.update(recorded)
        for call in (lambda: client.get("/"), lambda: client.post("/", data=b"hello body"), lambda: client.get("/")):
            assert call().content == b"fine"
        assert [exchange.body for exchange in server.exchanges] == [b"", b"hello body", b""]
        lengths = [exchange.header("content-length") for exchange in server.exchanges]
        assert lengths == [None, "10", None]
        assert {exchange.header("transfer-encoding") for exchange in server.exchanges} == {None}
        assert {exchange.header("x-kept") for exchange in server.exchanges} == {"1"}


def test_what_is_wrong_with_a_class_is_said_with_its_name(make_session) -> None:
    from obswarm.api import ObswarmError

    for attribute, value in {
        "connection_timeout": -1,
        "network_timeout": None,
        "concurrency": 0,
        "max_redirects": "many",
        "proxy": "ftp://proxy",
        "default_headers": {"X": "a\nb"},
        "dns_ttl": 0,
    }.items():
        with pytest.raises(ObswarmError) as caught:
            make_session("http://127.0.0.1:1", **{attribute: value})
        assert attribute in str(caught.value) or repr(value) in str(caught.value)

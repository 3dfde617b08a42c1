"""Requests that a target does not answer are under way: exactly so many, of both clients, streamed or not."""

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from obswarm.api import Environment
from obswarm.clock import monotonic
from obswarm.stats import CutOffKey, EndpointKey
from tests.support.patience import wait_until
from tests.support.scripted_server import HANG, ScriptedServer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
ANSWER = HEAD + b"0123456789"
REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def in_flight(environment: Environment) -> Callable[[], dict[EndpointKey, tuple[int, int]]]:
    """By endpoint, the number under way, and of how many of them no answer has come."""

    def look() -> dict[EndpointKey, tuple[int, int]]:
        found = environment.recorder.in_flight(monotonic())
        return {key: (each.count, each.ages.count) for key, each in found.items()}

    return look


def reached(server: ScriptedServer, exchanges: int) -> None:
    wait_until(lambda: len(server.exchanges) >= exchanges, every_s=0.01)


def test_hung_requests_are_under_way_until_they_are_cut_off(session_of, environment, in_flight) -> None:
    with ScriptedServer([HANG]) as server:
        clients = [session_of(server.url) for _ in range(7)]
        calls = [gevent.spawn(client.get, "/hang?id=1&x=ä b") for client in clients]
        calls += [gevent.spawn(client.post, "/login", name="login", data="x") for client in clients[:3]]
        reached(server, 10)
        hang, login = EndpointKey("GET", "/hang?id=1&x=%C3%A4%20b"), EndpointKey("POST", "login")
        assert in_flight() == {hang: (7, 7), login: (3, 3)}
        oldest_s = environment.recorder.in_flight(monotonic() + 5)[hang].oldest_s
        assert 5 < oldest_s < 15
        gevent.killall(calls)
        assert in_flight() == {}
    table = environment.recorder.take()
    assert {key: seen.count for key, seen in table.cut_off.items()} == {
        CutOffKey("request", hang.method, hang.name): 7,
        CutOffKey("request", login.method, login.name): 3,
    }
    assert not table.endpoints


def test_the_name_under_way_is_the_name_that_is_counted(session_of, environment) -> None:
    with ScriptedServer([REDIRECT], [ANSWER], [ANSWER], [ANSWER]) as server:
        client = session_of(server.url)
        names = environment.recorder.pending
        for call in (
            lambda: client.get("/from"),
            lambda: client.get("/q", params={"a": "b c", "d": "ü"}),
            lambda: client.get("/named", name="one"),
        ):
            greenlet = gevent.spawn(call)
            while not names:
                gevent.sleep(0)
            (under_way,) = {EndpointKey(method, name) for method, name, *_ in names.values()}
            greenlet.join()
            assert not names
            assert set(environment.recorder.take().endpoints) == {under_way}


def test_what_fails_or_is_no_request_is_not_under_way_afterwards(session_of, environment, in_flight) -> None:
    with ScriptedServer([b"nonsense\r\n\r\n"], close=True) as server:
        client = session_of(server.url)
        assert client.get("/").status_code == 0
        for url, arguments in (("http://[", {}), ("/", {"headers": {"a\n": "b"}})):
            with pytest.raises(Exception, match=r".+"):
                client.get(url, **arguments)
        assert in_flight() == {}


def test_a_streamed_answer_is_under_way_until_it_is_read_or_closed(session_of, environment, in_flight) -> None:
    key = EndpointKey("GET", "/")
    with ScriptedServer([HEAD, HANG]) as server:
        client = session_of(server.url)
        ends: list[Callable[[object], object]] = [
            lambda response: response.close(),
            lambda response: response.__exit__(),
            lambda response: None,
        ]
        for end in ends:
            response = client.get("/", stream=True)
            # Its duration, that to the end of the head, is known.
            assert in_flight() == {key: (1, 0)}
            end(response)
            del response
            assert in_flight() == {}
            assert environment.recorder.take().endpoints[key].requests == 1
        reading = gevent.spawn(lambda: client.get("/", stream=True).content)
        reached(server, 4)
        # Once the head has come.
        wait_until(lambda: in_flight() == {key: (1, 0)}, in_flight)
        reading.kill()
        assert in_flight() == {}
        assert environment.recorder.take().endpoints[key].requests == 1


def test_an_answer_that_is_being_judged_is_not_under_way(session_of, environment, in_flight) -> None:
    with ScriptedServer([ANSWER]) as server, session_of(server.url).get("/", catch_response=True) as response:
        assert in_flight() == {}
        response.failure("no good")
    assert environment.recorder.take().total().failures == 1


@pytest.mark.parametrize("context", [5, "text", [1]])
def test_a_request_whose_context_is_none_is_counted_before_the_fault_is_raised(
    session_of, environment, context: Any
) -> None:
    told = []
    environment.events.request.add_listener(lambda **event: told.append(event))
    with ScriptedServer([ANSWER]) as server:
        with pytest.raises((TypeError, ValueError)):
            session_of(server.url).get("/page", context=context)
        assert len(server.exchanges) == 1
    assert environment.recorder.take().endpoints[EndpointKey("GET", "/page")].requests == 1
    assert len(told) == 1

"""Whatever a load test gives its client, and raises: each request that has reached the target is counted exactly once."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import gevent
import pytest
import requests

from obswarm.api import Environment
from obswarm.killed import Supervised
from tests.support.anything import ANYTHING_TABLE, FAULTS, Raises
from tests.support.patience import wait_until
from tests.support.scripted_server import HANG, ScriptedServer

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def check(environment: Environment, server: ScriptedServer, call: Callable[[], Any]) -> BaseException | None:
    """Make the call; what it raised."""
    raised: BaseException | None = None
    before = len(server.exchanges)
    try:
        call()
    except BaseException as error:
        raised = error
    served = len(server.exchanges) - before
    table = environment.recorder.take()
    assert table.total().requests + table.interrupted == served, (raised, table.errors)
    assert not environment.recorder.pending
    return raised


def judge(client: Any, reason: Any) -> None:
    with client.get("/", catch_response=True) as response:
        response.failure(reason)


@pytest.mark.parametrize("listens", [False, True])
def test_names_failures_and_contexts_of_any_kind(session_of, environment, listens: bool) -> None:
    if listens:
        environment.events.request.add_listener(lambda **_: None)
    with ScriptedServer([ANSWER]) as server:
        client = session_of(server.url)
        for make in ANYTHING_TABLE:
            check(environment, server, partial(client.get, "/", name=make()))
            check(environment, server, partial(client.get, "/", context=make()))
            assert check(environment, server, partial(judge, client, make())) is None


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_raised_in_a_block_or_by_the_users_context(session_of, environment, fault: type) -> None:
    class TextRaises(fault):  # type: ignore[misc]
        def __str__(self) -> str:
            raise fault

    class HttpErrorWhoseTextRaises(requests.HTTPError):
        def __str__(self) -> str:
            raise fault

    def block(error: BaseException) -> None:
        with client.get("/", catch_response=True):
            raise error

    def context() -> None:
        raise fault

    with ScriptedServer([ANSWER]) as server:
        client = session_of(server.url)
        for listeners in ([], [lambda **_: None]):
            environment.events.request.listeners = listeners
            for error in (fault(), TextRaises(), Raises(fault), HttpErrorWhoseTextRaises()):
                check(environment, server, partial(block, error))
            client.user.context = context
            check(environment, server, lambda: client.get("/"))
            check(environment, server, lambda: client.get("/", catch_response=True))
            del client.user.context


@pytest.mark.parametrize(
    ("data", "is_sent"),
    [(object, False), (lambda: 5, False), (lambda: iter([5]), True)],
)
def test_a_body_that_is_none_is_refused_or_counted(session_of, environment, data, is_sent: bool) -> None:
    with ScriptedServer([ANSWER]) as server:
        client = session_of(server.url)
        raised = check(environment, server, lambda: client.post("/", data=data())) if not is_sent else None
        if is_sent:
            with suppress(ValueError):
                client.post("/", data=data())
        else:
            assert isinstance(raised, TypeError | ValueError)
    table = environment.recorder.take()
    assert (table.total().requests, table.total().failures) == (is_sent, is_sent)


def test_a_redirect_to_where_nothing_can_be_is_a_failure(session_of, environment) -> None:
    for location in (b"http://[\x1b/", b"ftp://x/", b"http://a:99999/"):
        answer = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
        with ScriptedServer([answer]) as server:
            session_of(server.url).get("/")
        assert environment.recorder.take().total().failures == 1


@pytest.mark.parametrize("listens", [False, True])
def test_a_time_out_of_the_load_tests_own_is_a_failure_and_goes_on(session_of, environment, listens: bool) -> None:
    told: list[Any] = []
    if listens:
        environment.events.request.add_listener(lambda **kwargs: told.append(kwargs))
    with ScriptedServer([HANG]) as server:
        client = session_of(server.url)
        with gevent.Timeout(0.1) as timeout, pytest.raises(gevent.Timeout):
            client.get("/", name="slow")
    table = environment.recorder.take()
    assert [key.message for key in table.errors] == ["Timeout: 0.1 seconds"]
    assert (table.total().requests, table.interrupted) == (1, 0)
    assert [each["exception"] for each in told] == [timeout] * listens
    assert [each["response"].status_code for each in told] == [0] * listens


def test_a_time_out_while_a_streamed_body_is_read_is_its_failure(make_session, environment) -> None:
    with ScriptedServer([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123", HANG]) as server:
        response = make_session(server.url).get("/", stream=True)
        with gevent.Timeout(0.1), pytest.raises(gevent.Timeout):
            _ = response.content
    table = environment.recorder.take()
    assert [key.message for key in table.errors] == ["Timeout: 0.1 seconds"]


def test_a_user_who_is_ended_while_its_names_text_is_made_ends_after_the_request_was_counted(
    make_session, environment
) -> None:
    class Slow:
        def __str__(self) -> str:
            asked.append(1)
            gevent.sleep(10)
            return "never"

    asked: list[int] = []
    after: list[str] = []

    def work() -> None:
        make_session(server.url).get("/", name=Slow())
        after.append("counted")
        gevent.sleep(10)
        after.append("went on")

    with ScriptedServer([ANSWER]) as server:
        greenlet = Supervised.spawn(work)
        wait_until(lambda: asked)
        greenlet.kill()
    assert after == ["counted"]
    assert environment.recorder.take().total().requests == 1

"""discard_body=True: read to the end, counted, timed, and thrown away; with both clients."""

import pickle
from typing import Any

import pytest

from obswarm.http import FastHttpUser, HttpUser
from tests.support.scripted_server import PAUSE, RESET, ScriptedServer, answer

pytestmark = [
    pytest.mark.usefixtures("no_leaked_socket"),
    pytest.mark.parametrize("kind", [FastHttpUser, HttpUser]),
]

LARGE = b"x" * 3_000_000


def test_a_discarded_body_is_counted_and_its_connection_is_reused(user_of: Any, environment: Any, kind: type) -> None:
    with ScriptedServer(answer(LARGE, X="y"), answer(b"small"), answer(b"next")) as server:
        client = user_of(kind, server.url).client
        # One that is larger than max_response_bytes, and one that comes with its head.
        for path in ("/large", "/small"):
            response = client.get(path, discard_body=True)
            assert (response.status_code, response.error, response.ok) == (200, None, True)
            for read in (lambda each: each.content, lambda each: each.text, lambda each: each.json()):
                with pytest.raises(RuntimeError, match="thrown away|already consumed"):
                    read(response)
        assert pickle.loads(pickle.dumps(response)).status_code == 200
        assert client.get("/next").content == b"next"
        assert server.connections == 1
    counted = {key.name: stats.response_bytes for key, stats in environment.recorder.take().endpoints.items()}
    assert counted == {"/large": len(LARGE), "/small": 5, "/next": 4}


def test_its_time_is_that_to_the_end(user_of: Any, environment: Any, kind: type) -> None:
    slow = [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", PAUSE, b"cd"]
    with ScriptedServer(slow) as server:
        response = user_of(kind, server.url).client.get("/", discard_body=True)
    assert response.timings.download_s > 0.09
    (stats,) = environment.recorder.take().endpoints.values()
    assert stats.max_s > 0.09


def test_a_body_that_breaks_off_is_a_failure(user_of: Any, environment: Any, kind: type) -> None:
    with ScriptedServer([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", PAUSE, RESET]) as server:
        response = user_of(kind, server.url).client.get("/", discard_body=True)
    assert (response.status_code, "reset by peer" in str(response.error)) == (0, True)
    (stats,) = environment.recorder.take().endpoints.values()
    assert (stats.requests, stats.failures) == (1, 1)


def test_redirects_and_judging(user_of: Any, environment: Any, kind: type) -> None:
    moved = [b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 4\r\n\r\nmo", PAUSE, b"ed"]
    with ScriptedServer(moved, answer(LARGE)) as server:
        client = user_of(kind, server.url).client
        with client.get("/", discard_body=True, catch_response=True) as response:
            assert [each.status_code for each in response.history] == [302]
            response.failure("no good")
        assert [exchange.request_line for exchange in server.exchanges] == ["GET / HTTP/1.1", "GET /there HTTP/1.1"]
        assert server.connections == 1
    table = environment.recorder.take()
    assert [(key.name, key.message) for key in table.errors] == [("/", "no good")]
    assert table.total().response_bytes == len(LARGE)

"""Errors of requests, as they are told to people."""

from typing import Any

import pytest
import requests
from gevent import socket
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError

from obswarm.http import ApiSession, plain_reason
from tests.support.scripted_server import HANG, RESET, ScriptedServer

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ([HANG], "no answer in time"),
        ([OK, HANG], "no answer in time"),
        ([OK + b"secret"], "the answer was cut off"),
        ([OK, RESET], "Connection reset by peer"),
        ([b"secret\r\n\r\n"], "what answers is not HTTP"),
        ([], "the connection was closed without an answer"),
    ],
)
def test_a_reason_shows_neither_objects_nor_the_answers_text(pieces: list[bytes], reason: str) -> None:
    with ScriptedServer(pieces, close=True) as server, ApiSession(1000, 20) as session:
        with pytest.raises(requests.RequestException) as raised:
            session.get(server.url, timeout=0.1 if HANG in pieces else 20)
        assert plain_reason(raised.value) == reason


def test_nor_when_nobody_takes_the_connection() -> None:
    with socket.socket() as listener, ApiSession(1000, 5) as session:
        listener.bind(("127.0.0.1", 0))
        with pytest.raises(requests.RequestException) as raised:
            session.get(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        assert plain_reason(raised.value) == "Connection refused"
    pool: Any = None
    late = MaxRetryError(pool, "/", ConnectTimeoutError(object(), "Connection to 127.0.0.1 timed out."))
    assert plain_reason(requests.ConnectTimeout(late)) == "no connection in time"

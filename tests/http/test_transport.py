"""SocketStream, over connections of this machine."""

import socket
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.event import AsyncResult
from gevent.exceptions import BlockingSwitchOutError

from obswarm.http.transport import SocketStream


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def stream(listener: socket.socket) -> Iterator[SocketStream]:
    made = SocketStream(socket.AF_INET)
    made.connect(listener.getsockname())
    yield made
    made.close()


def in_the_loop(function: Callable[[], object]) -> BaseException | object:
    """Call a function as a callback of the event loop, and return its result or its exception."""
    result: AsyncResult[BaseException | object] = AsyncResult()

    def call() -> None:
        try:
            result.set(function())
        except BaseException as error:
            result.set(error)

    gevent.get_hub().loop.run_callback(call)
    return result.get(timeout=60)


def test_a_callback_of_the_loop_cannot_wait_for_bytes(stream: SocketStream) -> None:
    assert isinstance(in_the_loop(stream.receive), BlockingSwitchOutError)


def test_a_callback_of_the_loop_cannot_wait_to_send(listener: socket.socket, stream: SocketStream) -> None:
    # More than the buffers of both sides take.
    assert isinstance(in_the_loop(lambda: stream.send(bytes(64 << 20))), BlockingSwitchOutError)


def test_a_stream_works_as_before_after_a_callback_could_not_wait(
    listener: socket.socket, stream: SocketStream
) -> None:
    in_the_loop(stream.receive)
    accepted, _ = listener.accept()
    with accepted:
        stream.send(b"ping")
        assert accepted.recv(10) == b"ping"
        receiving = gevent.spawn(stream.receive)
        gevent.idle()
        assert not receiving.ready()
        accepted.sendall(b"pong")
        assert receiving.get(timeout=60) == b"pong"

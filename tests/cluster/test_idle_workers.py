"""Workers that wait for a run: who is listed, for how long, and what they are answered."""

from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from obswarm import __version__
from obswarm.api import ObswarmError
from obswarm.cluster.master.idle_workers import IdleWorkers
from obswarm.cluster.wire.messages import (
    LARGEST_JOINING_FRAME_BYTES,
    PROTOCOL_VERSION,
    Hello,
    Leaving,
    Refused,
    Reregister,
    Wait,
    encode,
)
from tests.support.fake_time import FakeTime
from tests.support.made_up_worker import Letters
from tests.support.patience import HANG_S


class Router(Letters):
    """In place of a RouterSocket: hands on what a test says that a peer sent."""

    taken = 0
    made: list["Router"]

    def __init__(self, context: Any, endpoint: str, keys: Any, received: Any) -> None:
        super().__init__()
        if Router.taken:
            Router.taken -= 1
            raise ObswarmError(f"{endpoint} is in use")
        self.receive = received
        self.gone: set[bytes] = set()
        self.is_closed = False
        Router.made.append(self)

    def send(self, peer: bytes, frame: bytes) -> bool:
        return peer not in self.gone and super().send(peer, frame)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    monkeypatch.setattr("obswarm.cluster.master.idle_workers.RouterSocket", Router)
    monkeypatch.setattr("obswarm.cluster.master.idle_workers.new_context", lambda: None)
    Router.made, Router.taken = [], 0
    return FakeTime(monkeypatch)


@pytest.fixture
def idle(time: FakeTime) -> Iterator[IdleWorkers]:
    with IdleWorkers("tcp://127.0.0.1:5557", None) as made:
        yield made


def hello(name: str, processes: int = 1) -> bytes:
    return encode(Hello(PROTOCOL_VERSION, __version__, "incarnation", name, processes, "", ""))


def test_workers_are_listed_with_their_processes_and_told_to_wait(idle: IdleWorkers) -> None:
    (router,) = Router.made
    router.receive(b"1", hello("a", 4))
    router.receive(b"2", hello("b\x1b[31m"))
    assert list(idle.workers.values()) == [4, 1]
    assert "\x1b" not in str(idle.workers)
    assert router.of(b"1", Wait)


def test_a_worker_that_says_nothing_for_four_seconds_is_no_longer_listed(time: FakeTime, idle: IdleWorkers) -> None:
    (router,) = Router.made
    router.receive(b"1", hello("a"))
    time.advance(3)
    router.receive(b"2", hello("b"))
    time.advance(1)
    assert set(idle.workers) == {"a", "b"}
    time.advance(0.1)
    assert set(idle.workers) == {"b"}
    router.receive(b"1", hello("a"))
    assert set(idle.workers) == {"a", "b"}


def test_a_worker_whose_connection_is_closed_is_not_listed(idle: IdleWorkers) -> None:
    (router,) = Router.made
    router.receive(b"1", hello("a"))
    router.gone.add(b"1")
    assert idle.workers == {}


def test_more_processes_than_a_worker_can_have_are_not_believed(idle: IdleWorkers) -> None:
    (router,) = Router.made
    router.receive(b"1", hello("a", 10**9))
    assert idle.workers["a"] < 10**6


def test_a_worker_of_a_run_that_is_over_is_asked_who_it_is(idle: IdleWorkers) -> None:
    (router,) = Router.made
    router.receive(b"1", encode(Leaving("bye")))
    assert router.of(b"1", Reregister)
    assert idle.workers == {}


def test_another_version_is_refused_and_noise_is_dropped(idle: IdleWorkers) -> None:
    (router,) = Router.made
    # [type of Hello, version of the protocol, what that version wants to say].
    router.receive(b"1", b"\x93\x00\x63\xa5hello")
    (refused,) = router.of(b"1", Refused)
    assert "it uses protocol version 99" in refused.reason
    router.receive(b"2", b"\xc1")
    router.receive(b"3", b"x" * (LARGEST_JOINING_FRAME_BYTES + 1))
    assert router.of(b"2", object) == router.of(b"3", object) == []


def test_the_number_of_idle_workers_is_bounded_and_room_is_reused(time: FakeTime, idle: IdleWorkers) -> None:
    (router,) = Router.made
    for number in range(16_385):
        router.receive(b"%d" % number, hello(f"w{number}"))
    assert len(idle.workers) == 16_384
    time.advance(5)
    router.receive(b"late", hello("late"))
    assert set(idle.workers) == {"late"}


def test_a_port_that_the_last_run_still_has_is_tried_again(time: FakeTime) -> None:
    Router.taken = 3
    entering = gevent.spawn(IdleWorkers("tcp://127.0.0.1:5557", None).__enter__)
    time.advance(0.25)
    assert not entering.ready()
    time.advance(0.1)
    assert entering.get(timeout=HANG_S).workers == {}


def test_a_port_that_stays_in_use_is_an_error(time: FakeTime) -> None:
    Router.taken = 1000
    entering = gevent.spawn(_error_of_entering)
    time.advance(3.1)
    assert str(entering.get(timeout=HANG_S)) == "tcp://127.0.0.1:5557 is in use"


def _error_of_entering() -> ObswarmError | None:
    try:
        IdleWorkers("tcp://127.0.0.1:5557", None).__enter__()
    except ObswarmError as error:
        return error
    return None


def test_nobody_waits_any_more_once_it_has_ended(time: FakeTime) -> None:
    with IdleWorkers("tcp://127.0.0.1:5557", None) as idle:
        Router.made[0].receive(b"1", hello("a"))
    assert idle.workers == {}
    assert Router.made[0].is_closed

"""How workers leave at a signal, on a connection that notes what it is told."""

import os
import signal
from typing import Any

import gevent
import pytest

from obswarm.cluster.wire.messages import Leaving, Message
from obswarm.cluster.worker import departure as departure_module
from obswarm.cluster.worker.departure import Departure
from obswarm.greenlets import Supervisor
from tests.support.patience import HANG_S


class Link:
    def __init__(self) -> None:
        self.supervisor = Supervisor()
        self.sent: list[Message] = []
        self.code: int | None = None

    def send(self, message: Message) -> None:
        self.sent.append(message)

    def finish(self, code: int) -> None:
        self.code = code


class Leaver:
    def __init__(self, stop_timeout_s: float | None = 0.01) -> None:
        self.link: Any = Link()
        self.stopped_with_s: list[float] = []
        self.departure = Departure(self.link, lambda: stop_timeout_s, self.stopped_with_s.append)


def test_users_end_within_the_stop_timeout_and_the_master_is_told() -> None:
    leaver = Leaver(3.0)
    leaver.departure.leave()
    assert leaver.stopped_with_s == [3.0]
    assert [type(message) for message in leaver.link.sent] == [Leaving]
    assert leaver.link.code is None
    assert leaver.departure.was_requested


def test_a_worker_that_has_not_loaded_anything_ends_at_once() -> None:
    leaver = Leaver(None)
    leaver.departure.leave()
    assert (leaver.link.code, leaver.link.sent, leaver.stopped_with_s) == (130, [], [])
    assert leaver.departure.was_requested


@pytest.mark.parametrize(("kind", "code"), [(signal.SIGTERM, 130), (signal.SIGINT, 130), (signal.SIGHUP, None)])
def test_a_second_signal_ends_it_at_once_unless_a_terminal_was_closed(kind: signal.Signals, code: int | None) -> None:
    leaver = Leaver(3.0)
    leaver.departure.leave(signal.SIGHUP)
    leaver.departure.leave(kind)
    assert leaver.link.code == code
    assert len(leaver.stopped_with_s) == len(leaver.link.sent) == 1


@pytest.mark.parametrize("kind", [signal.SIGHUP, signal.SIGTERM])
def test_a_hangup_while_it_ends_after_another_one_does_nothing(
    kind: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal that is closed sends it more than once, and the second may come when the master has let it go."""
    monkeypatch.setattr(departure_module, "ending_signals", lambda: (signal.SIGHUP, signal.SIGTERM))
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        leaver = Leaver(3.0)
        with leaver.departure.at_signals():
            leaver.departure.leave(kind)
        assert (signal.getsignal(signal.SIGHUP) is signal.SIG_IGN) == (kind is signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_master_that_does_not_let_it_go_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departure_module, "LEAVING_S", 0.01)
    leaver = Leaver()
    leaver.departure.leave()
    gevent.sleep(0.2)
    assert leaver.link.code == 4


def test_signals_are_heard_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departure_module, "ending_signals", lambda: (signal.SIGTERM,))
    leaver = Leaver(3.0)
    with leaver.departure.at_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        with gevent.Timeout(HANG_S):
            while not leaver.departure.was_requested:
                gevent.sleep(0.01)
    assert leaver.stopped_with_s == [3.0]

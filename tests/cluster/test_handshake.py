"""Workers that join: who is welcomed, who gets the load-test files, who is refused, and what is dropped."""

import logging
from pathlib import Path
from typing import Any

import pytest

from obswarm import __version__
from obswarm.cluster.bundle import Packed
from obswarm.cluster.master.events import LoadFailed
from obswarm.cluster.master.handshake import Handshake
from obswarm.cluster.master.run_spec import RunSpec
from obswarm.cluster.wire.messages import (
    PROTOCOL_VERSION,
    Bundle,
    BundleRequest,
    Failed,
    Heartbeat,
    Hello,
    NotAMessage,
    Ready,
    Refused,
    Report,
    Retransmit,
    Welcome,
)
from tests.support.fake_time import FakeTime
from tests.support.made_up_worker import Letters

PEER = b"peer"
BUNDLE = Packed(Path("/loadtests"), ("loadtest.py",), "d" * 64, b"content")


class Joining:
    """A handshake with everything that it is given."""

    def __init__(self, bundle: Packed | None = BUNDLE, file_hash: str = "") -> None:
        self.letters = Letters()
        spec = RunSpec("run-1", b"job", bundle, file_hash, orphan_timeout_s=7.0)
        self.handshake = Handshake(spec, self.letters.send)

    def hello(self, peer: bytes = PEER, acked: int = 0, **changed: Any) -> None:
        values = {"name": "w", "processes": 2, "file_hash": "", "run_id": ""} | changed
        self.handshake.hello(peer, Hello(PROTOCOL_VERSION, __version__, "incarnation", **values), acked)

    def got(self, kind: type[Any], peer: bytes = PEER) -> list[Any]:
        return self.letters.of(peer, kind)

    @property
    def nonce(self) -> str:
        nonce: str = self.got(Welcome)[-1].nonce
        return nonce


def ready(nonce: str) -> Ready:
    return Ready(nonce, 100.0, 1.0, {}, ("w",), 0)


@pytest.fixture
def joining() -> Joining:
    return Joining()


def test_a_welcome_says_what_to_run_and_what_has_been_counted(joining: Joining) -> None:
    joining.hello(acked=5)
    (welcome,) = joining.got(Welcome)
    assert welcome == Welcome(joining.nonce, __version__, "run-1", 5, 7.0, BUNDLE.digest, b"job")
    assert len(welcome.nonce) == 16
    assert PEER in joining.handshake


def test_without_a_bundle_no_digest_is_sent_and_none_can_be_requested() -> None:
    joining = Joining(bundle=None)
    joining.hello()
    assert joining.got(Welcome)[0].bundle_hash == ""
    assert joining.handshake.take(PEER, BundleRequest("")) is None
    assert joining.got(Bundle) == []
    assert joining.handshake.dropped_frames == 1


def test_a_worker_that_is_ready_has_joined_and_is_no_longer_joining(joining: Joining) -> None:
    joining.hello(name="w\x1b[31m1")
    joined = joining.handshake.take(PEER, ready(joining.nonce))
    assert joined is not None
    hello, message = joined
    assert (hello.processes, message.capacity) == (2, 100.0)
    assert "\x1b" not in hello.name
    assert PEER not in joining.handshake


def test_a_worker_without_a_name_is_called_worker(joining: Joining) -> None:
    joining.hello(name="")
    joined = joining.handshake.take(PEER, ready(joining.nonce))
    assert joined is not None
    assert joined[0].name == "worker"


def test_only_the_nonce_of_the_last_welcome_counts(joining: Joining) -> None:
    joining.hello()
    first = joining.nonce
    joining.hello()
    assert joining.nonce != first
    for message in (ready(first), ready("made up"), Failed(first, "late")):
        assert joining.handshake.take(PEER, message) is None
    assert joining.handshake.dropped_frames == 3
    assert joining.handshake.take(PEER, ready(joining.nonce)) is not None


def test_the_bundle_is_sent_to_those_that_request_it_by_its_digest(joining: Joining) -> None:
    for peer in (b"a", b"b"):
        joining.hello(peer)
        joining.handshake.take(peer, BundleRequest(BUNDLE.digest))
        assert joining.got(Bundle, peer) == [Bundle(BUNDLE.digest, b"content")]
    joining.handshake.take(b"a", BundleRequest("0" * 64))
    assert len(joining.got(Bundle, b"a")) == 1
    assert joining.handshake.dropped_frames == 1


def test_a_worker_that_could_not_load_the_test_is_reported_once_with_a_clean_reason(joining: Joining) -> None:
    joining.hello()
    failed = Failed(joining.nonce, "No such file\x1b[31m\nsecond line")
    reported = joining.handshake.take(PEER, failed)
    assert isinstance(reported, LoadFailed)
    name, reason = reported.name, reported.reason
    assert name == "w"
    assert reason.splitlines()[-1] == "second line"
    assert "\x1b" not in reason
    assert PEER not in joining.handshake


@pytest.mark.parametrize(
    ("workers", "masters", "refused"),
    [("a", "a", False), ("", "a", False), ("a", "", False), ("a", "b", True)],
)
def test_a_load_test_file_that_differs_from_the_masters_is_refused(workers: str, masters: str, refused: bool) -> None:
    joining = Joining(file_hash=masters)
    joining.hello(file_hash=workers)
    assert bool(joining.got(Refused)) == refused
    assert bool(joining.got(Welcome)) != refused
    if refused:
        assert "the load-test file of the worker w differs from the master's" in joining.got(Refused)[0].reason


def test_another_version_of_the_protocol_is_refused_with_what_to_do(joining: Joining) -> None:
    joining.handshake.drop(PEER, NotAMessage("version 99 of the protocol", version=99))
    (refused,) = joining.got(Refused)
    assert "this worker uses version 99 of the protocol" in refused.reason
    assert "Install the same release" in refused.reason
    assert joining.handshake.dropped_frames == 1


def test_noise_is_counted_and_logged_once(joining: Joining, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3):
        joining.handshake.drop(PEER, NotAMessage(f"noise {number}"))
        joining.handshake.drop_large(10**6)
    assert joining.handshake.dropped_frames == 6
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert joining.got(Refused) == []


def test_each_reason_is_logged_once_and_only_so_many_reasons(
    joining: Joining, caplog: pytest.LogCaptureFixture
) -> None:
    for number in [*range(150), *range(150)]:
        joining.handshake.refuse(PEER, f"reason {number}.")
    assert len(joining.got(Refused)) == 300
    assert len(caplog.records) == 100


def test_statistics_of_a_worker_that_has_to_join_again_are_not_counted_as_noise(joining: Joining) -> None:
    joining.hello()
    joining.handshake.take(PEER, Report(0, 1, b"", {}, 0, 0.1, 0.0, 1, False, 0, 1, False))
    joining.handshake.take(PEER, Retransmit(1, b""))
    assert joining.handshake.dropped_frames == 0
    joining.handshake.take(PEER, Heartbeat(1, 0, True))
    assert joining.handshake.dropped_frames == 1


def test_the_number_of_handshakes_is_bounded_and_old_ones_expire_after_two_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    time = FakeTime(monkeypatch)
    joining = Joining()
    for number in range(4_097):
        joining.hello(b"%d" % number)
    assert joining.handshake.dropped_frames == 1
    assert b"4096" not in joining.handshake
    # Who is joining already may start again.
    joining.hello(b"0")
    assert len(joining.got(Welcome, b"0")) == 2
    time.advance(119)
    joining.handshake.look_after(time.monotonic())
    assert b"0" in joining.handshake
    time.advance(1)
    joining.handshake.look_after(time.monotonic())
    assert b"0" not in joining.handshake
    joining.hello(b"4096")
    assert b"4096" in joining.handshake

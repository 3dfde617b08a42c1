"""A worker's connection to its master: joining, deltas that are sent again, and a master that is not there any more."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from obswarm import __version__
from obswarm.api import ObswarmError
from obswarm.cluster.bundle import Packed, pack
from obswarm.cluster.wire.messages import (
    PROTOCOL_VERSION,
    Bundle,
    BundleRequest,
    End,
    Failed,
    Heartbeat,
    Hello,
    Message,
    Ready,
    Refused,
    Report,
    Reregister,
    Retransmit,
    StartRun,
    Wait,
    Welcome,
    WorkerEvent,
)
from obswarm.cluster.worker.connection import MasterConnection, Prepared
from obswarm.cluster.worker.identity import Identity
from tests.support.fake_time import FakeTime
from tests.support.jobs import RunsBeside
from tests.support.stub_sockets import StubDealer

ENDPOINT = "tcp://master.example:5557"


class Worker:
    """In place of the worker: remembers what it was called for."""

    def __init__(self) -> None:
        self.collected: list[int] = []
        self.heartbeats = 0
        self.messages: list[Message] = []
        self.prepared: list[tuple[Welcome, list[str]]] = []
        self.orphaned = 0
        self.other_runs = 0
        self.error: Exception | None = None
        self.loading_s = 0.0

    def prepare(self, welcome: Welcome, folder: Path | None) -> Prepared:
        if self.loading_s:
            gevent.sleep(self.loading_s)
        if self.error is not None:
            raise self.error
        files = sorted(path.name for path in folder.glob("*.py")) if folder is not None else []
        self.prepared.append((welcome, files))
        return Prepared(100.0, 2.0, ("node",))

    def assigned_users(self) -> dict[str, int]:
        return {"Visitor": 3}

    def on_heartbeat(self) -> None:
        self.heartbeats += 1

    def collect(self, heartbeat: int) -> None:
        self.collected.append(heartbeat)

    def on_message(self, message: Message) -> None:
        self.messages.append(message)

    def on_orphaned(self) -> None:
        self.orphaned += 1

    def on_other_run(self) -> None:
        self.other_runs += 1


class Connected(RunsBeside):
    """A connection that runs, on a clock that the test moves."""

    def __init__(self, time: FakeTime, keys: Any = None, **settings: Any) -> None:
        self.time = time
        self.worker = Worker()
        self.connection = MasterConnection(
            None, ENDPOINT, keys, Identity("incarnation", "w", 2, "hash"), self.worker, **settings
        )
        self.begin(self.connection.run)
        self.time.advance(0)

    @property
    def socket(self) -> StubDealer:
        return StubDealer.made[-1]

    def sent(self, kind: type[Any]) -> list[Any]:
        return [message for socket in StubDealer.made for message in socket.sent if isinstance(message, kind)]

    def deliver(self, message: Message) -> None:
        self.socket.deliver(message)
        self.time.advance(0)

    def join(self, acked: int = 0, run_id: str = "run-1", bundle_hash: str = "", nonce: str = "nonce") -> None:
        self.deliver(Welcome(nonce, __version__, run_id, acked, 5.0, bundle_hash, b"job"))

    def report(self, delta: bytes | None) -> None:
        def make(sequence: int, delta: bytes, last: int) -> Report:
            return Report(0, sequence, delta, {}, 0, 0.1, 0.0, 1, False, 0, last, False)

        self.connection.report(make, delta)

    def close(self) -> None:
        self._running.kill()
        self.connection.clean_up()


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    monkeypatch.setattr("obswarm.cluster.worker.connection.DealerSocket", StubDealer)
    StubDealer.made = []
    return FakeTime(monkeypatch)


@pytest.fixture
def connected(time: FakeTime) -> Iterator[Connected]:
    made = Connected(time, give_up_after_s=30.0)
    yield made
    made.close()


def bundle(folder: Path) -> Packed:
    (folder / "loadtest.py").write_text("")
    return pack(folder, [folder / "loadtest.py"])


def test_hello_names_the_worker_until_the_master_answers(connected: Connected) -> None:
    hello = Hello(PROTOCOL_VERSION, __version__, "incarnation", "w", 2, "hash", "")
    assert connected.sent(Hello) == [hello]
    connected.time.advance(1.4)
    assert connected.sent(Hello) == [hello], "it has only just asked"
    connected.time.advance(1.6)
    assert len(connected.sent(Hello)) == 3


def test_a_worker_without_a_bundle_prepares_and_is_ready(connected: Connected) -> None:
    connected.join()
    ((welcome, files),) = connected.worker.prepared
    assert (welcome.job, files) == (b"job", [])
    assert connected.sent(Ready) == [Ready("nonce", 100.0, 2.0, {"Visitor": 3}, ("node",), 0)]
    assert connected.connection.run_id == "run-1"
    assert connected.sent(BundleRequest) == []


def test_the_bundle_is_requested_unpacked_and_not_requested_again(connected: Connected, tmp_path: Path) -> None:
    packed = bundle(tmp_path)
    connected.join(bundle_hash=packed.digest)
    assert connected.sent(BundleRequest) == [BundleRequest(packed.digest)]
    assert connected.worker.prepared == []
    connected.deliver(Bundle("0" * 64, packed.content))
    assert connected.worker.prepared == [], "it is not the one of the welcome"
    connected.deliver(Bundle(packed.digest, packed.content))
    connected.deliver(Bundle(packed.digest, packed.content))
    assert [files for _, files in connected.worker.prepared] == [["loadtest.py"]]
    connected.join(bundle_hash=packed.digest, nonce="second")
    assert len(connected.sent(BundleRequest)) == 1
    assert [ready.nonce for ready in connected.sent(Ready)] == ["nonce", "second"]


def test_a_bundle_that_is_not_what_its_digest_says_fails_the_worker(connected: Connected) -> None:
    digest = hashlib.sha256(b"another").hexdigest()
    connected.join(bundle_hash=digest)
    connected.deliver(Bundle(digest, b"noise"))
    (failed,) = connected.sent(Failed)
    assert failed.nonce == "nonce"
    connected.time.advance(0.2)
    assert str(connected.outcome) == failed.reason


def test_ready_has_the_nonce_of_the_newest_welcome(connected: Connected) -> None:
    connected.worker.loading_s = 2.0
    connected.join(nonce="first")
    connected.time.advance(1)
    connected.join(nonce="second")
    connected.time.advance(1)
    assert [ready.nonce for ready in connected.sent(Ready)] == ["second"]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ObswarmError("No such class."), "No such class."),
        (KeyError("x"), "The worker w could not prepare: KeyError('x')"),
    ],
)
def test_a_worker_that_cannot_prepare_says_why_and_ends(connected: Connected, error: Exception, text: str) -> None:
    connected.worker.error = error
    connected.join()
    assert connected.sent(Failed) == [Failed("nonce", text)]
    connected.time.advance(0.2)
    assert str(connected.outcome) == text


def test_a_refused_worker_ends_with_the_masters_reason(connected: Connected) -> None:
    connected.deliver(Refused("the file differs."))
    assert str(connected.outcome) == "The master at master.example:5557 refuses this worker: the file differs."


def test_heartbeats_are_answered_with_a_report_once_the_worker_is_ready(connected: Connected) -> None:
    connected.deliver(Heartbeat(1, 0, True))
    connected.join()
    connected.deliver(Heartbeat(2, 0, False))
    connected.deliver(Heartbeat(3, 0, True))
    assert connected.worker.collected == [3]


def test_messages_of_a_run_reach_the_worker(connected: Connected) -> None:
    connected.join()
    connected.deliver(StartRun("run-1"))
    assert connected.worker.messages == [StartRun("run-1")]


def test_deltas_are_kept_until_the_master_acknowledges_them(connected: Connected) -> None:
    connected.join()
    for delta in (b"a", b"b", None):
        connected.report(delta)
    assert [(report.sequence, report.last_sequence) for report in connected.sent(Report)] == [(1, 1), (2, 2), (0, 2)]
    connected.deliver(Heartbeat(1, 1, True))
    assert connected.connection.unacked.waiting() == [(2, b"b")]
    connected.deliver(Heartbeat(2, 2, True))
    assert not connected.connection.unacked


def test_deltas_that_stay_unacknowledged_are_sent_again(connected: Connected) -> None:
    connected.join()
    connected.report(b"a")
    connected.report(b"b")
    for _ in range(3):
        connected.time.advance(1)
        connected.deliver(Heartbeat(1, 0, True))
    assert connected.sent(Retransmit) == []
    connected.time.advance(0.1)
    connected.deliver(Heartbeat(2, 0, True))
    assert connected.sent(Retransmit) == [Retransmit(1, b"a"), Retransmit(2, b"b")]
    connected.deliver(Heartbeat(3, 0, True))
    assert len(connected.sent(Retransmit)) == 2, "not with every heartbeat"


def test_a_master_that_is_back_gets_what_it_has_not_counted(connected: Connected) -> None:
    connected.join()
    connected.report(b"a")
    connected.report(b"b")
    connected.deliver(Reregister())
    assert connected.sent(Hello)[-1].run_id == "run-1"
    connected.join(acked=1, nonce="second")
    assert connected.sent(Retransmit) == [Retransmit(2, b"b")]
    assert connected.sent(Ready)[-1].acked == 1


def test_another_run_of_the_master_is_left_to_the_worker(connected: Connected) -> None:
    connected.deliver(Wait())
    assert connected.worker.other_runs == 0, "it has no run yet"
    connected.join()
    connected.deliver(Wait())
    connected.join(run_id="run-2")
    assert connected.worker.other_runs == 2
    assert len(connected.sent(Ready)) == 1


def test_the_end_of_a_run_gives_its_exit_code(connected: Connected, caplog: pytest.LogCaptureFixture) -> None:
    connected.join()
    connected.report(b"a")
    connected.deliver(End(1, 3))
    assert connected.outcome == 3
    assert connected.socket.is_closed
    assert caplog.text == ""


def test_reports_that_the_end_of_a_run_leaves_out_are_logged(
    connected: Connected, caplog: pytest.LogCaptureFixture
) -> None:
    connected.join()
    connected.report(b"a")
    connected.report(b"b")
    connected.deliver(End(1, 0))
    assert connected.outcome == 0
    assert "The run has ended without the last 1 report of this worker." in caplog.text


def test_users_end_after_the_orphan_timeout_and_the_worker_gives_up_later(connected: Connected) -> None:
    connected.join()
    connected.report(b"a")
    connected.time.advance(4.9)
    assert connected.worker.orphaned == 0
    connected.time.advance(0.3)
    assert connected.worker.orphaned == 1, "five seconds, as the welcome said"
    connected.time.advance(24)
    assert connected.runs
    connected.time.advance(1)
    assert str(connected.outcome) == (
        "No contact with the master at master.example:5557 for 30s. It has not received the last 1 report of this worker."
    )
    assert connected.worker.orphaned == 1


def test_a_master_that_speaks_again_can_fall_silent_again(connected: Connected) -> None:
    connected.join()
    for count in (1, 2):
        connected.time.advance(5.2)
        assert connected.worker.orphaned == count
        connected.deliver(Heartbeat(count, 0, False))


def test_a_silent_connection_is_made_anew_where_the_master_is_now(time: FakeTime) -> None:
    connected = Connected(time, look_up=lambda: "tcp://10.0.0.7:5557")
    connected.time.advance(4)
    first, second = StubDealer.made
    assert (first.is_closed, second.endpoint) == (True, "tcp://10.0.0.7:5557")
    assert len(second.sent) == 1
    connected.close()


def test_a_name_that_cannot_be_resolved_for_a_moment_does_no_harm(time: FakeTime) -> None:
    def fail() -> str:
        raise ObswarmError("cannot be resolved")

    connected = Connected(time, look_up=fail)
    connected.time.advance(4)
    assert [socket.endpoint for socket in StubDealer.made] == [ENDPOINT, ENDPOINT]
    assert connected.runs
    connected.close()


def test_time_in_which_this_process_did_not_run_is_no_silence(connected: Connected) -> None:
    connected.join()
    # As after SIGSTOP: the clock has gone on, and no greenlet was called meanwhile.
    connected.time.now += 100
    connected.time.advance(0.05)
    assert (connected.worker.orphaned, connected.runs) == (0, True)
    connected.deliver(Heartbeat(1, 0, False))
    connected.time.advance(1)
    assert connected.worker.orphaned == 0


@pytest.mark.parametrize(
    ("failures", "text"),
    [
        (0, "No master responds at master.example:5557. Check that it is running and reachable from this machine."),
        (
            1,
            "The master at master.example:5557 refuses the connection of this worker. Check that both have the same secret; this worker"
            " has none (--secret-file, OBSWARM_SECRET).",
        ),
    ],
)
def test_without_any_answer_the_worker_gives_up(connected: Connected, failures: int, text: str) -> None:
    connected.socket.handshake_failures = failures
    connected.time.advance(31)
    assert str(connected.outcome) == text


def test_failed_handshakes_of_all_connections_count(time: FakeTime, caplog: pytest.LogCaptureFixture) -> None:
    connected = Connected(time)
    StubDealer.made[0].handshake_failures = 2
    connected.time.advance(4)
    StubDealer.made[1].handshake_failures = 2
    connected.time.advance(1)
    assert caplog.text == ""
    StubDealer.made[1].handshake_failures = 3
    connected.time.advance(1)
    assert caplog.text.count("closes connections during the handshake") == 1
    connected.close()


def test_handshakes_that_fail_are_warned_of_once(connected: Connected, caplog: pytest.LogCaptureFixture) -> None:
    connected.socket.handshake_failures = 4
    connected.time.advance(1)
    assert caplog.text == ""
    connected.socket.handshake_failures = 5
    connected.time.advance(5)
    assert caplog.text.count("closes connections during the handshake") == 1


def test_noise_is_dropped_counted_and_logged_once(connected: Connected, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        connected.socket.deliver_frame(b"\xc1")
    assert connected.connection.dropped_frames == 3
    assert caplog.text.count("an invalid message (") == 1


def test_messages_that_cannot_be_queued_are_counted_and_logged_once(
    connected: Connected, caplog: pytest.LogCaptureFixture
) -> None:
    connected.socket.is_full = True
    for _ in range(2):
        connected.connection.send(WorkerEvent("error", "x"))
    assert connected.connection.unsent_messages == 2
    assert caplog.text.count("A message (WorkerEvent) cannot be sent") == 1


@pytest.mark.parametrize("is_ready", [False, True])
def test_a_part_of_the_worker_that_dies_ends_it_and_the_master_hears_why(time: FakeTime, is_ready: bool) -> None:
    connected = Connected(time)
    if is_ready:
        connected.join()
    else:
        connected.worker.loading_s = 60.0
        connected.join()

    def die() -> None:
        raise RuntimeError("boom")

    connected.connection.supervisor.spawn("The reader", die)
    connected.time.advance(0)
    (message,) = connected.sent(WorkerEvent if is_ready else Failed)
    assert "The reader failed: RuntimeError: boom." in (message.detail if is_ready else message.reason)
    assert connected.runs, "the message has to be on its way before the connection is closed"
    connected.time.advance(0.1)
    assert "The reader failed: RuntimeError: boom." in str(connected.outcome)
    connected.close()

"""The life of workers in a registry, on a fake clock: joining, missing, back again, leaving, lost, and the end of a run."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from obswarm import __version__
from obswarm.cluster.master.events import (
    CameBack,
    Joined,
    Left,
    Lost,
    Missing,
    Received,
    RegistryEvent,
    WorkerRefused,
)
from obswarm.cluster.master.registry import WorkerRegistry
from obswarm.cluster.master.run_spec import RunSpec
from obswarm.cluster.master.worker_state import WorkerState, WorkerStatus
from obswarm.cluster.wire.messages import (
    PROTOCOL_VERSION,
    Admitted,
    Assign,
    Custom,
    End,
    Heartbeat,
    Hello,
    Leaving,
    Refused,
    Reregister,
    StartRun,
    Stop,
    Wait,
    Welcome,
    WorkerEvent,
    encode,
)
from obswarm.engine import Assignment
from tests.support.fake_time import FakeTime
from tests.support.made_up_worker import Letters, MadeUpWorker


@dataclass
class Master:
    """A registry with its clock, its wire, and the events that it has returned."""

    time: FakeTime
    wire: Letters = field(default_factory=Letters)
    events: list[RegistryEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.registry = WorkerRegistry(RunSpec("run-1", b"", None, ""), self.wire, missing_after_s=3.0)

    def received(self, peer: bytes, frame: bytes) -> None:
        self.events += self.registry.received(peer, frame)

    def worker(self, name: str = "a", joins: bool = True) -> MadeUpWorker:
        return MadeUpWorker(self, self.wire, name, joins)

    def state(self, worker: MadeUpWorker) -> WorkerState:
        return self.registry.workers[worker.incarnation]

    def assign(self, users: dict[str, int]) -> int:
        """Until all of them have been given out, as the spawn rate allows."""
        number = self.registry.assign(Assignment(users, 1000.0))
        while self.registry.is_assigning:
            self.time.advance(0.01)
            number = self.registry.assign(Assignment(users, 1000.0))
        return number

    def hello(self, worker: MadeUpWorker) -> None:
        worker.echo(Hello(PROTOCOL_VERSION, __version__, worker.incarnation, worker.name, 1, "", ""))

    def pass_s(self, seconds: float) -> None:
        self.time.advance(seconds)
        self.events += self.registry.look_after(self.time.monotonic())

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch) -> Master:
    return Master(FakeTime(monkeypatch))


def test_workers_are_numbered_as_they_join(master: Master) -> None:
    workers = [master.worker(name) for name in "ab"]
    assert [worker.got(Admitted) for worker in workers] == [[Admitted(0)], [Admitted(1)]]
    assert [(event.worker.name, event.again) for event in master.of(Joined)] == [("a", False), ("b", False)]
    assert [state.name for state in master.registry.ready] == ["a", "b"]


def test_a_worker_that_joins_a_run_under_way_is_told_to_start(master: Master) -> None:
    before = master.worker("before")
    assert before.got(StartRun) == []
    master.registry.begin()
    late = master.worker("late")
    assert before.got(StartRun) == late.got(StartRun) == [StartRun("run-1")]


def test_users_are_assigned_to_those_that_are_ready(master: Master) -> None:
    a, b = master.worker("a"), master.worker("b")
    number = master.assign({"Visitor": 4})
    assert [worker.got(Assign)[-1].users for worker in (a, b)] == [{"Visitor": 2}, {"Visitor": 2}]
    assert not master.registry.settled(number)
    for worker in (a, b):
        worker.report(users={"Visitor": 2}, settled=number)
    assert master.registry.settled(number)
    assert master.registry.user_counts() == {"Visitor": 4}


def test_a_silent_worker_is_missing_after_three_seconds_and_its_users_do_not_count(
    master: Master, caplog: pytest.LogCaptureFixture
) -> None:
    worker = master.worker()
    master.registry.assign(Assignment({"Visitor": 1}, 1000.0))
    worker.report(users={"Visitor": 1})
    master.pass_s(3)
    assert master.of(Missing) == []
    master.pass_s(0.1)
    assert [event.worker.name for event in master.of(Missing)] == ["a"]
    assert "The worker a is missing: no message for 3s. Its 1 user moves to others." in caplog.text
    assert (master.registry.user_counts(), master.registry.ready) == ({}, [])
    master.pass_s(10)
    assert len(master.of(Missing)) == 1


def test_a_missing_worker_that_speaks_is_back_and_assigned_anew(master: Master) -> None:
    worker = master.worker()
    master.registry.assign(Assignment({"Visitor": 1}, 1000.0))
    master.pass_s(4)
    worker.report(users={"Visitor": 1})
    assert [event.worker.name for event in master.of(CameBack)] == ["a"]
    assert master.state(worker).state is WorkerStatus.READY
    master.registry.assign(Assignment({"Visitor": 1}, 1000.0))
    assert len(worker.got(Assign)) == 2


def test_a_worker_that_connects_again_keeps_its_index_and_its_statistics(master: Master) -> None:
    worker = master.worker()
    worker.report(requests=5)
    worker.peer = b"another connection"
    worker.join(acked=0)
    assert [event.again for event in master.of(Joined)] == [False, True]
    assert worker.got(Welcome)[-1].acked == 0
    assert worker.got(Admitted)[-1] == Admitted(0)
    worker.report(requests=2)
    assert sum(stats.requests for stats in master.registry.take(10).endpoints.values()) == 7


def test_a_leaving_worker_is_let_go_when_all_that_it_measured_is_safe(master: Master) -> None:
    worker = master.worker()
    worker.echo(Leaving("SIGTERM"))
    assert [event.worker.name for event in master.of(Left)] == ["a"]
    assert master.registry.ready == []
    worker.report(requests=3, ended=True)
    master.pass_s(1)
    assert worker.got(End) == [], "what it measured is not safe yet"
    master.registry.take(10)
    master.registry.acknowledge()
    master.pass_s(1)
    assert worker.got(End) == [End(1, 0)]
    assert master.state(worker).state is WorkerStatus.GONE


def test_a_lost_worker_is_not_asked_for_reports(master: Master) -> None:
    worker, other = master.worker("a"), master.worker("b")
    master.events += master.registry.lose(master.state(worker))
    master.events += master.registry.lose(master.state(worker))
    assert [event.worker.name for event in master.of(Lost)] == ["a"]
    master.registry.beat(collect=True)
    assert (len(worker.got(Heartbeat)), len(other.got(Heartbeat))) == (0, 1)
    worker.report(requests=1)
    assert worker.got(Reregister), "it has to join again before anything of it counts"
    assert not master.registry.has_statistics


def test_reports_that_have_been_asked_for_are_waited_for(master: Master) -> None:
    a, b = master.worker("a"), master.worker("b")
    master.registry.beat(collect=True)
    number = a.got(Heartbeat)[-1].number
    heartbeats = master.registry.heartbeats
    a.report(heartbeat=number)
    assert heartbeats._awaited == {b.incarnation}
    b.report(heartbeat=number - 1)
    assert heartbeats._awaited == {b.incarnation}, "it answers an earlier one"
    b.report(heartbeat=number)
    heartbeats.wait_for_reports(1000)


def test_a_refused_worker_is_lost_and_told_why_as_often_as_it_comes(master: Master) -> None:
    worker = master.worker()
    worker.report(delta=b"noise")
    (event,) = master.of(WorkerRefused)
    assert event.worker.refused == worker.got(Refused)[0].reason
    assert len(master.of(Lost)) == 1
    master.hello(worker)
    assert len(worker.got(Refused)) == 2
    assert len(worker.got(Welcome)) == 1


def test_messages_for_the_owner_are_returned_with_their_worker(master: Master) -> None:
    worker = master.worker()
    worker.echo(Custom("answer", b"\xc0", "a"))
    worker.echo(WorkerEvent("error", "x\x1b[31m"))
    custom, event = master.of(Received)
    assert (custom.worker.name, custom.message.kind) == ("a", "answer")
    assert event.message.detail.startswith("x")
    assert "\x1b" not in event.message.detail


def test_a_message_goes_to_the_worker_of_a_node(master: Master) -> None:
    worker = master.worker("a")
    assert master.registry.send_to("a", Custom("x", b"", ""))
    assert worker.got(Custom) == [Custom("x", b"", "")]
    assert not master.registry.send_to("nobody", Custom("x", b"", ""))


def test_at_the_end_of_a_run_new_workers_wait_and_those_of_the_run_stop(master: Master) -> None:
    worker = master.worker("a")
    master.registry.stop(2.0)
    assert worker.got(Stop) == [Stop(2.0)]
    late = master.worker("late", joins=False)
    master.hello(late)
    assert late.got(Wait) == [Wait()]
    assert master.registry.end(3)
    assert worker.got(End) == [End(0, 3)]
    assert late.got(End) == [End(0, 3)]
    master.hello(late)
    assert len(late.got(End)) == 2


def test_what_strangers_send_is_dropped_and_counted(master: Master) -> None:
    master.received(b"stranger", b"\xc1")
    master.received(b"stranger", encode(Wait()))
    master.received(b"stranger", b"x" * 10**6)
    assert master.registry.dropped_frames == 3
    assert master.wire.of(b"stranger", Reregister)
    assert master.events == []

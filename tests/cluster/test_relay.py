"""A relay: several processes of a machine that are one worker to their master, on a fake clock and without a process."""

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gevent
import pytest
from gevent.event import Event

from obswarm import __version__
from obswarm.cluster.master.losses import unpack_losses
from obswarm.cluster.wire.messages import (
    Admitted,
    Assign,
    Custom,
    End,
    Failed,
    Heartbeat,
    Leaving,
    Message,
    Ready,
    Refused,
    Report,
    SpawningComplete,
    StartRun,
    StatsReset,
    Stop,
    StopUsers,
    Wait,
    Welcome,
    WorkerEvent,
)
from obswarm.cluster.worker import relay as relay_module
from obswarm.cluster.worker.identity import Identity
from obswarm.cluster.worker.relay import Relay
from obswarm.cluster.worker.unacked import MOST_UNACKED
from obswarm.stats.codec import DeltaSum
from tests.support.fake_time import FakeTime
from tests.support.jobs import RunsBeside, made_up_job
from tests.support.made_up_worker import MadeUpWorker
from tests.support.patience import HANG_S
from tests.support.stub_sockets import StubDealer, StubRouter

JOB = made_up_job(user_classes=("Visitor",))
ORPHAN_TIMEOUT_S = 8.0


class Processes:
    """In place of WorkerProcesses: those that run are names, and end when the test says so."""

    endpoint = "ipc://nowhere"
    made: "Processes"

    def __init__(self, command: list[str], on_exit: Any) -> None:
        self.shares: list[float] = []
        self.running: list[str] = []
        self.waited_s: list[float] = []
        self.are_killed = False
        self._on_exit = on_exit
        Processes.made = self

    def __len__(self) -> int:
        return len(self.running)

    def start(self, share: float) -> str:
        self.shares.append(share)
        self.running.append(f"process-{len(self.shares)}")
        return self.running[-1]

    def die(self, incarnation: str, code: int) -> None:
        self.running.remove(incarnation)
        self._on_exit(incarnation, code)

    def wait(self, longest_s: float) -> bool:
        self.waited_s.append(longest_s)
        return not self.running

    def end(self) -> None:
        self.are_killed = True


class Machine(RunsBeside):
    """A relay that runs, the master that commands it, and its processes."""

    def __init__(self, time: FakeTime, processes: int = 2) -> None:
        self.time = time
        self.count = processes
        self.relay = Relay(
            "tcp://master.example:5557",
            None,
            processes,
            ["obswarm"],
            identity=Identity("incarnation", "machine", processes, ""),
            give_up_after_s=600.0,
        )
        self.processes = Processes.made
        self._heartbeats = 0
        self.begin(self.relay.run)
        self.time.advance(0)

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """For what a real time limit of some milliseconds brings about."""
        with gevent.Timeout(HANG_S):
            while not is_so():
                Event().wait(0.002)

    # The master.
    def deliver(self, message: Message) -> None:
        StubDealer.made[-1].deliver(message)
        self.time.advance(0)

    def welcome(self) -> None:
        self.deliver(Welcome("nonce", __version__, "run-1", 0, ORPHAN_TIMEOUT_S, "", JOB.pack()))

    def sent(self, kind: type[Any]) -> list[Any]:
        """What the master was sent, of that kind."""
        return [message for socket in StubDealer.made for message in socket.sent if isinstance(message, kind)]

    def collect(self, acked: int = 0) -> None:
        """A heartbeat that asks for a report."""
        self._heartbeats += 1
        self.deliver(Heartbeat(self._heartbeats, acked, True))

    def report(self, *workers: MadeUpWorker, requests: int = 0, acked: int = 0, **changed: Any) -> Report:
        """What it reports when the master asks and these of its processes answer: at once, if they are all."""
        before = len(self.sent(Report))
        self.collect(acked)
        for worker in workers:
            worker.report(requests, heartbeat=worker.got(Heartbeat)[-1].number, **changed)
        self.wait_until(lambda: len(self.sent(Report)) > before)
        reports = self.sent(Report)[before:]
        assert len(reports) == 1
        report: Report = reports[0]
        return report

    # The processes.
    def worker(self, number: int) -> MadeUpWorker:
        made = MadeUpWorker(StubRouter.made, StubRouter.made, f"machine-{number}", joins=False)
        made.incarnation = f"process-{number}"
        return made

    def join(self, capacities: Sequence[float] | None = None) -> list[MadeUpWorker]:
        """The master welcomes it, and all of its processes are ready."""
        self.welcome()
        workers = [self.worker(number) for number in range(1, self.count + 1)]
        for worker, capacity in zip(workers, capacities or [1000.0] * self.count, strict=True):
            worker.join(capacity=capacity)
        self.time.advance(0)
        return workers

    def close(self) -> None:
        self._running.kill()


def requests_in(*reports: Report) -> int:
    deltas = DeltaSum()
    for report in reports:
        if report.delta:
            deltas.add(report.delta)
    return sum(stats.requests for stats in deltas.take(100).endpoints.values())


def stubbed(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """Put stubs in place of a relay's sockets and processes, and a fake clock."""
    monkeypatch.setattr("obswarm.cluster.worker.connection.DealerSocket", StubDealer)
    monkeypatch.setattr(relay_module, "RouterSocket", StubRouter)
    monkeypatch.setattr(relay_module, "WorkerProcesses", Processes)
    monkeypatch.setattr(relay_module, "new_context", lambda: None)
    # The one limit that is not the fake clock's.
    monkeypatch.setattr(relay_module, "_REPORTS_S", 0.01)
    StubDealer.made = []
    return FakeTime(monkeypatch)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    return stubbed(monkeypatch)


@pytest.fixture
def machine(time: FakeTime) -> Iterator[Machine]:
    made = Machine(time)
    yield made
    made.close()


def test_processes_are_started_when_a_master_has_welcomed_them_and_share_the_cpus(machine: Machine) -> None:
    assert machine.processes.shares == []
    machine.welcome()
    assert machine.processes.shares == [0.5, 0.5]


def test_it_is_ready_when_all_processes_are_with_the_sum_of_what_they_can(machine: Machine) -> None:
    machine.welcome()
    machine.worker(1).join(capacity=100.0, cpus=1.0)
    machine.time.advance(1)
    assert machine.sent(Ready) == []
    machine.worker(2).join(capacity=50.0, cpus=0.5)
    machine.time.advance(0)
    assert machine.sent(Ready) == [Ready("nonce", 150.0, 1.5, {}, ("machine-1", "machine-2"), 0)]


def test_processes_that_are_not_ready_within_a_minute_are_not_waited_for(machine: Machine) -> None:
    machine.welcome()
    machine.worker(1).join()
    machine.time.advance(61)
    (ready,) = machine.sent(Ready)
    assert (ready.nodes, ready.capacity) == (("machine-1",), 1000.0)


@pytest.mark.parametrize("happens", ["nothing", "cannot load", "ends"])
def test_without_a_process_that_is_ready_the_master_hears_why(machine: Machine, happens: str) -> None:
    machine.welcome()
    if happens == "cannot load":
        worker = machine.worker(1)
        worker.join(nonce="another")
        worker.echo(Failed(worker.got(Welcome)[-1].nonce, "No such class."))
        reason = "No such class."
    elif happens == "ends":
        machine.processes.die("process-1", 3)
        machine.processes.die("process-2", 4)
        reason = "A process of this worker ended with the exit code 3."
    else:
        machine.time.advance(61)
        reason = "No process of this worker was ready within 1m."
    machine.time.advance(0)
    assert machine.sent(Failed) == [Failed("nonce", reason)]
    machine.time.advance(0.2)
    assert str(machine.outcome) == reason
    assert machine.processes.are_killed
    assert StubRouter.made.is_closed


def test_a_connection_made_anew_starts_no_further_processes(machine: Machine) -> None:
    machine.join()
    machine.deliver(Assign(1, {"Visitor": 2}, 1000.0))
    machine.welcome()
    assert len(machine.processes.shares) == 2
    assert machine.sent(Ready)[-1].users == {"Visitor": 2}


def test_the_processes_have_indices_from_that_of_the_worker_on(machine: Machine) -> None:
    first, second = machine.join()
    machine.deliver(Admitted(10))
    assert (first.got(Admitted), second.got(Admitted)) == ([Admitted(10)], [Admitted(11)])
    second.join()
    assert second.got(Admitted) == [Admitted(11)] * 2, "its connection was made anew"


def test_a_run_is_started_once_however_often_the_master_says_so(machine: Machine) -> None:
    workers = machine.join()
    for _ in range(2):
        machine.deliver(StartRun("run-1"))
    assert [worker.got(StartRun) for worker in workers] == [[StartRun("run-1")]] * 2


def test_an_assignment_is_shared_out_and_settled_when_every_process_has_carried_it_out(machine: Machine) -> None:
    first, second = machine.join()
    machine.deliver(Assign(7, {"Visitor": 4}, 1000.0))
    machine.time.advance(0.1)
    assert [worker.got(Assign)[-1].users for worker in (first, second)] == [{"Visitor": 2}] * 2
    number = second.got(Assign)[-1].number
    first.report(users={"Visitor": 2}, settled=number)
    report = machine.report(second, users={"Visitor": 1}, settled=number - 1)
    assert (report.settled, report.users) == (0, {"Visitor": 3})
    report = machine.report(second, users={"Visitor": 2}, settled=number)
    assert (report.settled, report.users) == (7, {"Visitor": 4})


def test_users_that_the_spawn_rate_does_not_allow_yet_are_given_out_later(machine: Machine) -> None:
    workers = machine.join()
    machine.deliver(Assign(1, {"Visitor": 20}, 10.0))

    def given() -> int:
        return sum(worker.got(Assign)[-1].users["Visitor"] for worker in workers if worker.got(Assign))

    assert given() < 10
    machine.time.advance(0.5)
    assert given() < 15
    machine.time.advance(2)
    assert given() == 20


def test_what_processes_measured_goes_to_the_master_as_one_report(machine: Machine) -> None:
    first, second = machine.join()
    machine.collect()
    heartbeat = first.got(Heartbeat)[-1]
    number = heartbeat.number
    assert heartbeat.collect
    assert machine.sent(Report) == []
    first.report(3, heartbeat=number, cpu_ratio=0.2, loop_lag_s=0.5, memory_bytes=10, strained_s=4, saturated=True)
    second.report(4, heartbeat=number, cpu_ratio=0.9, loop_lag_s=0.1, memory_bytes=5, strained_s=2)
    machine.time.advance(0)
    (report,) = machine.sent(Report)
    assert requests_in(report) == 7
    assert (report.heartbeat, report.sequence, report.last_sequence, report.users) == (1, 1, 1, {"Visitor": 2})
    assert (report.cpu_ratio, report.loop_lag_s, report.memory_bytes) == (0.9, 0.5, 15)
    assert (report.saturated, report.strained_s, report.ended) == (True, 2, False)


def test_a_report_that_comes_late_counts_in_the_next_one(machine: Machine) -> None:
    first, second = machine.join()
    before = machine.report(first, requests=3)
    second.report(4)
    reports = [before, machine.report(first, second, requests=1)]
    assert [requests_in(report) for report in reports] == [3, 6]


def test_heartbeats_that_come_while_reports_are_awaited_are_answered_by_one_report(machine: Machine) -> None:
    workers = machine.join()
    machine.collect()
    machine.collect()
    for worker in workers:
        worker.report(1, heartbeat=worker.got(Heartbeat)[-1].number)
    machine.time.advance(0)
    assert len(machine.sent(Report)) == 1


def test_statistics_wait_while_the_master_acknowledges_nothing_and_none_is_lost(machine: Machine) -> None:
    first, second = machine.join()
    reports = [machine.report(first, second, requests=1) for _ in range(MOST_UNACKED + 2)]
    assert [report.sequence for report in reports] == [*range(1, MOST_UNACKED + 1), 0, 0]
    reports.append(machine.report(first, second, acked=MOST_UNACKED))
    assert (reports[-1].sequence, requests_in(reports[-1])) == (MOST_UNACKED + 1, 4)
    assert requests_in(*reports) == 2 * (MOST_UNACKED + 2)


def test_deltas_of_a_process_are_acknowledged_once_they_are_on_their_way_to_the_master(machine: Machine) -> None:
    first, second = machine.join()
    machine.report(first, second, requests=1)
    machine.time.advance(1.1)
    assert [worker.got(Heartbeat)[-1].acked for worker in (first, second)] == [1, 1]


def test_the_processes_hear_of_it_every_second_whatever_the_master_does(machine: Machine) -> None:
    first, _ = machine.join()
    machine.time.advance(5)
    assert len(first.got(Heartbeat)) in (4, 5, 6)
    assert not any(heartbeat.collect for heartbeat in first.got(Heartbeat))


def test_the_users_of_a_process_that_ends_go_to_the_others_and_what_is_missing_is_named(machine: Machine) -> None:
    first, second = machine.join()
    machine.deliver(Assign(1, {"Visitor": 4}, 1000.0))
    machine.report(first, second, requests=1, users={"Visitor": 2})
    machine.time.advance(0.7)
    machine.processes.die(first.incarnation, -9)
    machine.time.advance(1)
    assert second.got(Assign)[-1].users == {"Visitor": 4}
    report = machine.report(second, users={"Visitor": 4})
    (loss,) = unpack_losses(report.losses)
    assert (loss.worker, loss.users) == ("machine-1", 2)
    assert loss.detail == "a process of the worker machine: it ended with the exit code -9"
    assert loss.unreported_s == pytest.approx(0.7)
    assert report.users == {"Visitor": 4}


def test_a_process_whose_report_makes_no_sense_is_refused_and_named(machine: Machine) -> None:
    liar, honest = machine.join()
    machine.deliver(Assign(1, {"Visitor": 2}, 1000.0))
    liar.report(users={"Nobody": 1})
    machine.time.advance(1)
    assert liar.got(Refused)
    assert honest.got(Assign)[-1].users == {"Visitor": 2}
    (loss,) = unpack_losses(machine.report(honest).losses)
    assert "refused, since" in loss.detail
    assert "Nobody" in loss.detail


def test_the_last_statistics_leave_before_a_worker_without_processes_ends(machine: Machine) -> None:
    first, second = machine.join()
    for worker in (first, second):
        worker.report(2)
        machine.processes.die(worker.incarnation, 1)
    (report,) = machine.sent(Report)
    assert (requests_in(report), report.ended) == (4, False)
    assert len(unpack_losses(report.losses)) == 2
    machine.time.advance(0.4)
    assert machine.runs
    machine.time.advance(0.2)
    assert str(machine.outcome) == "All processes of this worker have ended."


def test_a_worker_ends_when_the_last_of_its_processes_was_one_that_never_joined(machine: Machine) -> None:
    machine.welcome()
    first = machine.worker(1)
    first.join()
    machine.time.advance(61)
    machine.processes.die("process-1", 1)
    machine.processes.die("process-2", 1)
    machine.time.advance(1)
    assert str(machine.outcome) == "All processes of this worker have ended."


def test_users_end_when_the_master_is_silent_and_the_processes_stay(machine: Machine) -> None:
    workers = machine.join()
    machine.deliver(Assign(1, {"Visitor": 2}, 1000.0))
    machine.time.advance(ORPHAN_TIMEOUT_S - 1)
    assert [worker.got(StopUsers) for worker in workers] == [[], []]
    machine.time.advance(2)
    assert [worker.got(StopUsers) for worker in workers] == [[StopUsers()]] * 2
    assert [worker.got(Assign)[-1].users.get("Visitor", 0) for worker in workers] == [0, 0]
    machine.welcome()
    assert machine.sent(Ready)[-1].users == {}, "the master has to give them out anew"


def test_a_silent_master_of_a_worker_without_users_matters_to_nobody(machine: Machine) -> None:
    workers = machine.join()
    machine.time.advance(ORPHAN_TIMEOUT_S + 1)
    assert [worker.got(StopUsers) for worker in workers] == [[], []]


def test_the_end_of_all_users_is_reported_at_once(machine: Machine) -> None:
    first, second = machine.join()
    machine.deliver(Assign(1, {"Visitor": 2}, 1000.0))
    machine.deliver(Stop(5.0))
    assert [worker.got(Stop) for worker in (first, second)] == [[Stop(5.0)]] * 2
    assigned = [len(worker.got(Assign)) for worker in (first, second)]
    machine.deliver(Assign(2, {"Visitor": 4}, 1000.0))
    assert [len(worker.got(Assign)) for worker in (first, second)] == assigned, "it comes too late"
    first.report(2, ended=True, users={})
    machine.time.advance(0.1)
    assert machine.sent(Report) == []
    second.report(3, ended=True, users={})
    machine.time.advance(0.1)
    (report,) = machine.sent(Report)
    assert (report.ended, requests_in(report)) == (True, 5)


def test_a_process_that_never_ends_its_users_is_not_waited_for_without_end(machine: Machine) -> None:
    first, second = machine.join()
    machine.deliver(Stop(5.0))
    first.report(ended=True)
    machine.time.advance(JOB.config.load.stop_timeout + relay_module.LEAVING_S + 1)
    second.report(ended=True)
    machine.time.advance(1)
    assert machine.sent(Report) == []
    assert machine.report(first, second, ended=True).ended


def test_a_signal_makes_it_leave_with_all_of_its_processes(machine: Machine) -> None:
    first, second = machine.join()
    machine.relay.departure.leave(signal.SIGTERM)
    assert [type(message) for message in machine.sent(Leaving)] == [Leaving]
    assert [worker.got(Stop) for worker in (first, second)] == [[Stop(JOB.config.load.stop_timeout)]] * 2


def test_a_signal_before_there_is_a_run_ends_it_at_once(machine: Machine) -> None:
    machine.relay.departure.leave(signal.SIGTERM)
    assert machine.outcome == 130


def test_at_the_end_of_a_run_its_processes_hear_the_exit_code_and_get_time_to_end(machine: Machine) -> None:
    workers = machine.join()
    machine.deliver(End(0, 3))
    assert machine.outcome == 3
    assert [worker.got(End)[-1].exit_code for worker in workers] == [3, 3]
    assert machine.processes.waited_s == [10.0]
    assert machine.processes.are_killed, "those that are left"


def test_processes_that_end_after_the_run_are_no_failure(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.join()
    machine.deliver(End(0, 0))
    assert machine.outcome == 0
    machine.processes.die("process-1", 0)
    assert caplog.text == ""


def test_messages_reach_the_process_that_they_are_for_or_all(machine: Machine) -> None:
    first, second = machine.join()
    machine.deliver(Custom("order", b"\xc0", "machine-2"))
    assert (len(first.got(Custom)), len(second.got(Custom))) == (0, 1)
    for message in (Custom("order", b"\xc0", ""), SpawningComplete(4), StatsReset()):
        machine.deliver(message)
        assert [worker.got(type(message))[-1] for worker in (first, second)] == [message] * 2


def test_messages_of_processes_reach_the_master(machine: Machine) -> None:
    first, _ = machine.join()
    first.echo(Custom("answer", b"\xc0", "machine-1"))
    first.echo(WorkerEvent("stop_test", "enough"))
    assert machine.sent(Custom) == [Custom("answer", b"\xc0", "machine-1")]
    assert machine.sent(WorkerEvent) == [WorkerEvent("stop_test", "enough")]


def test_what_is_said_before_there_is_a_run_does_no_harm(machine: Machine) -> None:
    for message in (StartRun("run-1"), Assign(1, {"Visitor": 1}, 1.0), Stop(1.0), Heartbeat(1, 0, True), Wait()):
        machine.deliver(message)
    machine.time.advance(5)
    assert machine.runs
    assert machine.sent(Report) == []


class BecomesNew(BaseException):
    """In place of the process becoming a new one."""


@pytest.mark.parametrize(
    ("unsent", "level"), [(0, logging.WARNING), (1, logging.ERROR)], ids=["nothing is lost", "statistics are lost"]
)
def test_another_run_of_the_master_ends_the_processes_of_this_one(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, unsent: int, level: int
) -> None:
    def become_new() -> None:
        raise BecomesNew

    monkeypatch.setattr(relay_module, "reexec", become_new)
    first, _ = machine.join()
    if unsent:
        first.report(2)
    with pytest.raises(BecomesNew):
        machine.deliver(Wait())
    assert machine.processes.are_killed
    assert [record.levelno for record in caplog.records] == [level]
    machine.processes.die("process-1", -9)
    assert len(caplog.records) == 1

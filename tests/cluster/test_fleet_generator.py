"""The generator of a master's run: what it makes of workers that come, report, stay away and end, on a fake clock."""

import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from obswarm import __version__
from obswarm.api import Environment, Events, InternalError, ObswarmError, User, task
from obswarm.cluster.master import generator as generator_module
from obswarm.cluster.master.expectation import Expectation
from obswarm.cluster.master.generator import FleetGenerator
from obswarm.cluster.master.local_workers import LocalWorkers
from obswarm.cluster.master.run_spec import RunSpec
from obswarm.cluster.wire.custom_content import pack_content
from obswarm.cluster.wire.messages import (
    PROTOCOL_VERSION,
    Assign,
    Custom,
    CustomReport,
    End,
    Failed,
    Heartbeat,
    Hello,
    SpawningComplete,
    StartRun,
    StatsReset,
    Stop,
    Welcome,
    WorkerEvent,
)
from obswarm.engine import (
    Assignment,
    GeneratorWarning,
    HealthMonitor,
    Progress,
    RunFailed,
    StopReason,
    StopRequested,
    WorkerLoss,
)
from obswarm.record import StopKind, WorkerStatus
from obswarm.stats import WORKER_LOST, Recorder
from tests.support.fake_time import FakeTime
from tests.support.made_up_worker import MadeUpWorker
from tests.support.patience import wait_until

pytestmark = pytest.mark.usefixtures("no_network")
ORPHAN_TIMEOUT_S = 10.0


class Visitor(User):
    @task
    def nothing(self) -> None: ...


class Fleet:
    """A generator on a clock that the test moves."""

    def __init__(self, time: FakeTime, **options: Any) -> None:
        self.time = time
        self.environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Visitor])
        self.generator = FleetGenerator(
            self.environment,
            RunSpec("a-run", b"", None, "", ORPHAN_TIMEOUT_S),
            endpoint="tcp://127.0.0.1:*",
            **options,
        )
        self.listener: Any = self.generator.listener

    def join(self, name: str = "w", **ready: Any) -> MadeUpWorker:
        worker = MadeUpWorker(self.generator, self.listener, name, joins=False)
        worker.join(**ready)
        return worker

    def state(self, worker: MadeUpWorker) -> Any:
        return self.generator.registry.workers[worker.incarnation]

    def assign(self, users: int) -> int:
        """Until all have been given out. Returns the number of the assignment."""
        generator = self.generator
        generator.apply(Assignment({"Visitor": users}, 1_000.0), self.time.now)
        while generator.registry.is_assigning:
            self.time.advance(0.01)
            generator.apply(Assignment({"Visitor": users}, 1_000.0), self.time.now)
        return generator._number

    def pass_s(self, seconds: float, *speaking: MadeUpWorker) -> None:
        """Let time pass, interval by interval, in which those workers report."""
        for _ in range(round(seconds)):
            self.time.advance(1.0)
            for worker in speaking:
                users = self.state(worker).assigned or {"Visitor": 0}
                worker.report(users=users, settled=self.generator._number)
            self.generator.refresh(0)
            self.generator.end_interval()

    def events(self) -> list[Any]:
        return self.generator.take_events()

    def losses(self) -> list[tuple[str, str, int]]:
        return [(loss.worker, loss.detail, loss.users) for loss in self.generator.totals().losses]

    def waiting(self, function: Callable[..., Any], *arguments: Any) -> gevent.Greenlet:
        """Call something that waits for time to pass."""
        called = gevent.spawn(function, *arguments)
        self.time.advance(0)
        return called


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    # It would be woken twenty times a second.
    monkeypatch.setattr(HealthMonitor, "_measure_lag", lambda self: None)
    return FakeTime(monkeypatch)


Make = Callable[..., Fleet]


@pytest.fixture
def make(time: FakeTime) -> Iterator[Make]:
    made: list[Fleet] = []

    def one(**options: Any) -> Fleet:
        made.append(Fleet(time, **options))
        return made[-1]

    yield one
    for each in made:
        each.generator.close()


@pytest.fixture
def fleet(make: Make) -> Fleet:
    """A generator that has started, without a worker yet."""
    made = make()
    made.generator.start()
    return made


# Before the run.
def test_a_run_waits_for_the_workers_that_it_expects(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    fleet = make(expect=Expectation(2))
    with caplog.at_level(logging.INFO):
        fleet.generator.prepare()
        fleet.join("first")
    assert "Waiting for 2 workers at nowhere." in caplog.text
    assert "Worker first has joined: 1 process." in caplog.text
    assert not fleet.generator.is_ready(fleet.time.now)
    second = fleet.join("second")
    assert fleet.generator.is_ready(fleet.time.now)
    assert second.got(StartRun) == []
    fleet.generator.start()
    assert second.got(StartRun) == [StartRun("a-run")]


def test_workers_that_do_not_come_in_time_are_an_error_that_counts_those_that_did(make: Make) -> None:
    fleet = make(expect=Expectation(2, longest_s=10.0))
    fleet.time.advance(100)
    fleet.generator.prepare()
    gone = fleet.join()
    assert not fleet.generator.is_ready(fleet.time.now), "it waits from the time when it is prepared"
    fleet.time.advance(8)
    assert fleet.state(gone).state is WorkerStatus.MISSING
    fleet.join("in time")
    fleet.time.advance(2.5)
    with pytest.raises(ObswarmError, match=r"^1 of 2 workers were ready after 10s\.$"):
        fleet.generator.is_ready(fleet.time.now)


def test_workers_are_asked_for_reports_before_the_run_so_that_missing_ones_are_noticed(make: Make) -> None:
    fleet = make()
    worker = fleet.join()
    fleet.time.advance(1.3)
    assert worker.got(Heartbeat)[-1].collect
    fleet.time.advance(30)
    assert fleet.state(worker).state is WorkerStatus.MISSING


def test_an_error_of_a_load_test_on_a_worker_is_logged_and_the_run_waits_for_others(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = make()
    worker = MadeUpWorker(fleet.generator, fleet.listener, "w", joins=False)
    worker.echo(Hello(PROTOCOL_VERSION, __version__, worker.incarnation, "w", 1, "", ""))
    worker.echo(Failed(worker.got(Welcome)[-1].nonce, "no module named shop"))
    assert "The worker w cannot run this load test: no module named shop" in caplog.text
    assert fleet.events() == []


def test_somebody_without_the_secret_is_warned_of_once(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    fleet = make()
    fleet.time.advance(1)
    assert caplog.records == []
    fleet.listener.handshake_failures = 3
    fleet.time.advance(5)
    assert [record.getMessage() for record in caplog.records] == [
        "A peer without the right secret tried to connect to nowhere; refused and counted."
    ]
    assert fleet.generator.totals().refused_handshakes == 3


# While it goes on.
def test_users_have_settled_when_every_worker_has_said_so(fleet: Fleet) -> None:
    assert not fleet.generator.has_settled(), "nobody could have carried anything out"
    first, second = fleet.join("first"), fleet.join("second")
    number = fleet.assign(4)
    assert [worker.got(Assign)[-1].users for worker in (first, second)] == [{"Visitor": 2}] * 2
    first.report(users={"Visitor": 2}, settled=number)
    assert not fleet.generator.has_settled()
    second.report(users={"Visitor": 2}, settled=number)
    assert fleet.generator.has_settled()
    assert fleet.generator.user_counts() == {"Visitor": 4}
    assert fleet.generator.users_max() == 4
    assert not fleet.generator.everyone_has_left()


def test_the_same_users_are_not_given_out_again(fleet: Fleet) -> None:
    worker = fleet.join()
    number = fleet.assign(3)
    fleet.generator.apply(Assignment({"Visitor": 3}, 5.0), fleet.time.now)
    fleet.generator.apply(Assignment({"Visitor": 3}, 7.0), fleet.time.now)
    assert fleet.generator._number == number
    sent = len(worker.got(Assign))
    fleet.join("another")
    fleet.generator.apply(Assignment({"Visitor": 3}, 5.0), fleet.time.now)
    assert fleet.generator._number > number, "there is somebody else to have some of them"
    assert len(worker.got(Assign)) > sent


def test_users_that_have_ended_by_themselves_are_known_once_workers_have_settled(fleet: Fleet) -> None:
    worker = fleet.join()
    number = fleet.assign(5)
    worker.report(users={"Visitor": 2}, settled=0)
    assert fleet.generator.users_ended() == 0, "it may be on its way"
    worker.report(users={"Visitor": 2}, settled=number)
    assert fleet.generator.users_ended() == 3
    worker.report(users={}, settled=number)
    assert fleet.generator.users_ended() == 5
    assert fleet.generator.everyone_has_left()


def test_users_that_workers_have_not_started_yet_are_counted(fleet: Fleet) -> None:
    assert fleet.generator.users_not_started(fleet.time.now) == 0
    worker = fleet.join()
    number = fleet.assign(10)
    worker.report(users={"Visitor": 4}, settled=0)
    assert fleet.generator.users_not_started(fleet.time.now) == 6
    worker.report(users={"Visitor": 10}, settled=number)
    assert fleet.generator.users_not_started(fleet.time.now) == 0


def test_the_users_of_a_worker_that_is_missing_go_to_the_others(fleet: Fleet) -> None:
    first, second = fleet.join("first"), fleet.join("second")
    fleet.assign(4)
    fleet.pass_s(1, first, second)
    fleet.events()
    assert not fleet.generator.happened.is_set()
    fleet.pass_s(10, first)
    assert fleet.state(second).state is WorkerStatus.MISSING
    assert fleet.generator.happened.is_set(), "the run is to assign again"
    fleet.assign(4)
    assert first.got(Assign)[-1].users == {"Visitor": 4}


def test_what_workers_say_about_the_run_is_handed_on(fleet: Fleet) -> None:
    worker = fleet.join()
    for kind, detail in [
        ("error", "no such class"),
        ("internal", "the reader failed"),
        ("stop_test", "enough"),
        ("stop_test", ""),
        ("quit", "the load-test file called runner.quit()"),
        ("warning", "few descriptors"),
        ("of a later version", "?"),
    ]:
        worker.echo(WorkerEvent(kind, detail))
    error, internal, *others = fleet.events()
    assert (type(error), type(error.error), str(error.error)) == (RunFailed, ObswarmError, "no such class")
    assert (type(internal.error), str(internal.error)) == (InternalError, "the reader failed")
    assert others == [
        StopRequested(StopReason(StopKind.USER, "enough")),
        StopRequested(StopReason(StopKind.USER, "a user raised StopTest")),
        StopRequested(StopReason(StopKind.USER, "the load-test file called runner.quit()")),
        GeneratorWarning("The worker w: few descriptors"),
    ]


def test_what_listeners_on_workers_have_added_is_in_the_next_worker_report_and_in_no_other(fleet: Fleet) -> None:
    reported: list[tuple[str, dict[str, Any]]] = []
    fleet.environment.events.worker_report.add_listener(lambda client_id, data, **_: reported.append((client_id, data)))
    worker = fleet.join()
    worker.report(users={"Visitor": 2})
    worker.echo(CustomReport("w", pack_content({"baskets": 3})))
    worker.echo(CustomReport("w", pack_content([1])))
    fleet.generator.refresh(0)
    fleet.generator.refresh(0)
    plain = {"user_count": 2, "user_classes_count": {"Visitor": 2}}
    assert reported == [("w", {**plain, "baskets": 3}), ("w", plain)]


def test_reports_of_a_relays_processes_are_told_one_by_one_also_the_last_ones(fleet: Fleet) -> None:
    told: list[tuple[str, Any]] = []
    fleet.environment.events.worker_report.add_listener(
        lambda client_id, data, **_: told.append((client_id, data.get("a")))
    )
    worker = fleet.join()
    fleet.state(worker).nodes = ("w-1", "w-2")
    for name, value in (("w-1", 1), ("w-2", 2), ("w-1", 3), ("stranger", 4)):
        worker.echo(CustomReport(name, pack_content({"a": value})))
    fleet.generator.refresh(0)
    assert told == [("w-1", 1), ("w-2", 2), ("w-1", 3), ("w", 4)]
    worker.echo(CustomReport("w-2", pack_content({"a": 5})))
    fleet.waiting(fleet.generator.end, 0)
    fleet.time.advance(5)
    assert told[4:] == [("w-2", 5)]


def test_workers_send_statistics_if_somebody_listens_for_their_reports(fleet: Fleet) -> None:
    worker = fleet.join()
    fleet.environment.events.worker_report.add_listener(lambda **_: None)
    fleet.generator.start()
    assert worker.got(StartRun)[-1].with_statistics
    assert [each.with_statistics for each in fleet.join("late").got(StartRun)] == [True]


def test_listeners_hear_of_each_heartbeat(fleet: Fleet) -> None:
    heard: list[str] = []
    fleet.environment.events.heartbeat_sent.add_listener(lambda client_id, timestamp: heard.append(client_id))
    fleet.join()
    fleet.join("other")
    fleet.generator.refresh(0)
    wait_until(lambda: len(heard) >= 2, every_s=0.01)
    assert heard[:2] == ["w", "other"]


def test_a_worker_whose_report_data_cannot_be_read_is_refused_and_counts_as_lost(fleet: Fleet) -> None:
    worker = fleet.join()
    worker.report(users={"Visitor": 2})
    fleet.time.advance(0.5)
    worker.echo(CustomReport("w", b"\xc1"))
    assert fleet.state(worker).state is WorkerStatus.LOST
    ((name, detail, users),) = fleet.losses()
    assert (name, users) == ("w", 2)
    assert detail.startswith("refused: ")
    (loss,) = fleet.generator.totals().losses
    assert loss.unreported_s == pytest.approx(0.5)


def test_a_message_of_the_load_test_reaches_its_listener(fleet: Fleet) -> None:
    heard: list[Any] = []
    runner = fleet.generator.make_runner(SimpleNamespace())  # type: ignore[arg-type]
    runner.register_message("done", lambda environment, msg, **_: heard.append((msg.data, msg.node_id)))
    worker = fleet.join()
    worker.echo(Custom("done", pack_content(7), "w"))
    assert heard == [(7, "w")]
    runner.send_message("go", [1])
    assert worker.got(Custom) == [Custom("go", pack_content([1]), "")]


def test_the_listeners_of_worker_connect_are_called_for_each_worker_once(fleet: Fleet) -> None:
    connected: list[str] = []
    fleet.environment.events.worker_connect.add_listener(lambda client_id, **_: connected.append(client_id))
    worker = fleet.join()
    worker.peer = b"another connection"
    worker.join()
    assert connected == ["w"]


def test_what_is_measured_is_added_up_and_acknowledged_when_that_is_said(fleet: Fleet) -> None:
    assert fleet.generator.collect().is_empty()
    first, second = fleet.join("first"), fleet.join("second")
    first.report(requests=3)
    second.report(requests=4)
    fleet.environment.recorder.record("GET", "/own", 0.1, 1, 200, None)
    table = fleet.generator.collect()
    assert sum(stats.requests for stats in table.endpoints.values()) == 8
    assert fleet.state(first).acked == 0
    fleet.generator.acknowledge()
    assert fleet.state(first).acked == fleet.state(second).acked == 1
    status = fleet.generator.status(fleet.time.now)
    assert [health.worker for health in status.workers] == ["first", "second"]


def test_workers_hear_of_the_end_of_spawning_and_of_statistics_that_begin_anew(fleet: Fleet) -> None:
    worker = fleet.join()
    fleet.generator.spawning_complete(5)
    fleet.generator.statistics_reset()
    assert worker.got(SpawningComplete) == [SpawningComplete(5)]
    assert len(worker.got(StatsReset)) == 1


def test_a_master_that_is_busy_itself_warns(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usage: list[float] = []
    fleet.environment.events.usage_monitor.add_listener(lambda cpu_usage, **_: usage.append(cpu_usage))
    health = SimpleNamespace(cpu_ratio=0.97, memory_bytes=1)
    monkeypatch.setattr(fleet.generator._health, "read", lambda users: (health, True))
    fleet.generator._health.watch.reason = "its CPU"
    fleet.generator.refresh(0)
    assert usage == [97.0]
    assert "The master itself is busy (its CPU): statistics are delayed." in caplog.text


def test_a_master_with_many_workers_gives_out_users_less_often(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.join()
    few = fleet.generator.step_s
    monkeypatch.setattr(generator_module, "_MANY_WORKERS", 0)
    assert fleet.generator.step_s > few
    assert fleet.generator.burst_s >= fleet.generator.step_s


def test_a_run_whose_workers_are_all_gone_ends_after_their_own_timeout(fleet: Fleet) -> None:
    worker = fleet.join()
    fleet.pass_s(1, worker)
    fleet.pass_s(ORPHAN_TIMEOUT_S)
    assert not [event for event in fleet.events() if isinstance(event, StopRequested)]
    fleet.pass_s(10)
    assert StopRequested(StopReason(StopKind.LOST, "no worker is left")) in fleet.events()


def test_a_run_whose_worker_comes_back_goes_on(fleet: Fleet) -> None:
    worker = fleet.join()
    fleet.pass_s(ORPHAN_TIMEOUT_S - 2)
    fleet.pass_s(1, worker)
    fleet.pass_s(ORPHAN_TIMEOUT_S - 2)
    assert not [event for event in fleet.events() if isinstance(event, StopRequested)]


# At the end.
def test_the_end_waits_until_every_worker_has_delivered_everything(fleet: Fleet) -> None:
    first, second = fleet.join("first"), fleet.join("second")
    stop = fleet.waiting(fleet.generator.stop, 5.0)
    assert first.got(Stop) == [Stop(5.0)]
    first.report(requests=2, ended=True)
    fleet.time.advance(3)
    assert not stop.dead
    second.report(ended=True, last_sequence=4)
    fleet.time.advance(1)
    assert not stop.dead, "some of what it has measured is still to come"
    second.report(ended=True, last_sequence=0)
    fleet.state(second).last_sequence = 0
    fleet.time.advance(0.1)
    assert stop.dead
    assert fleet.generator.totals().losses == ()


def test_the_end_does_not_wait_for_ever_and_names_who_did_not_report(fleet: Fleet) -> None:
    worker = fleet.join()
    worker.report(users={"Visitor": 3})
    stop = fleet.waiting(fleet.generator.stop, 5.0)
    for _ in range(10):
        fleet.time.advance(1)
        worker.report(users={"Visitor": 3})
        assert not stop.dead
    fleet.time.advance(1.1)
    worker.report(users={"Visitor": 3})
    fleet.time.advance(0.1)
    assert stop.dead
    end = fleet.waiting(fleet.generator.end, 0)
    fleet.time.advance(5)
    assert end.dead
    assert fleet.losses() == [("w", "it did not report again", 3)]
    assert worker.got(End)


def test_a_worker_that_is_cut_off_at_the_end_has_its_own_timeout_to_come_back(fleet: Fleet) -> None:
    worker = fleet.join()
    fleet.pass_s(5)
    assert fleet.state(worker).state is WorkerStatus.MISSING
    stop = fleet.waiting(fleet.generator.stop, 1.0)
    fleet.time.advance(8)
    assert not stop.dead
    worker.report(requests=2, ended=True)
    fleet.time.advance(0.1)
    assert stop.dead
    assert fleet.generator.collect().endpoints


def test_a_worker_that_stays_away_ends_the_wait(fleet: Fleet) -> None:
    fleet.join()
    fleet.pass_s(5)
    stop = fleet.waiting(fleet.generator.stop, 1.0)
    fleet.time.advance(ORPHAN_TIMEOUT_S + 10)
    assert stop.dead


def test_a_run_that_is_aborted_waits_a_few_seconds_only(fleet: Fleet) -> None:
    worker = fleet.join()
    stop = fleet.waiting(fleet.generator.stop, 60.0)
    fleet.time.advance(2)
    fleet.generator.kill()
    assert worker.got(Stop) == [Stop(60.0), Stop(0.0)]
    fleet.time.advance(2.5)
    assert not stop.dead
    fleet.time.advance(1)
    assert stop.dead


def test_workers_are_told_of_the_end_until_they_have_closed_their_connections(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = fleet.join()
    send = fleet.listener.send
    end = fleet.waiting(fleet.generator.end, 3)
    fleet.time.advance(0.5)
    assert not end.dead
    reported = len(worker.got(End))
    assert reported > 1
    assert worker.got(End)[-1].exit_code == 3
    monkeypatch.setattr(fleet.listener, "send", lambda peer, frame: send(peer, frame) and False)
    fleet.time.advance(0.1)
    assert end.dead
    assert fleet.losses() == [], "of a run that failed nothing was to be had"


def test_after_the_end_nothing_is_asked_for(fleet: Fleet) -> None:
    worker = fleet.join()
    worker.report(ended=True)
    end = fleet.waiting(fleet.generator.end, 0)
    fleet.time.advance(3)
    assert end.dead
    beats = len(worker.got(Heartbeat))
    fleet.generator.refresh(0)
    assert len(worker.got(Heartbeat)) == beats


def test_the_progress_that_is_kept_has_the_losses_and_the_most_users(fleet: Fleet) -> None:
    worker = fleet.join()
    worker.report(users={"Visitor": 4})
    worker.echo(CustomReport("w", b"\xc1"))
    plain = Progress(0.0, 1.0, 1.0, 1.0, False, {}, None, 0, None, [])
    complete = fleet.generator.complete(plain)
    assert complete.users_max == 4
    ((name, detail, _, users),) = complete.losses
    assert WorkerLoss(name, detail, 0.0, users).worker == "w"


# Processes of this machine.
class Processes:
    """In place of WorkerProcesses: counts those that are started."""

    made: "Processes"

    def __init__(self, command: Any, on_exit: Callable[[str, int], None], supervisor: Any) -> None:
        self.endpoint = "ipc:///nowhere"
        self.on_exit = on_exit
        self.shares: list[float] = []
        self.waited_s: list[float] = []
        self.was_ended = False
        Processes.made = self

    def __len__(self) -> int:
        return len(self.shares)

    def start(self, share: float) -> None:
        self.shares.append(share)

    def wait(self, longest_s: float) -> bool:
        self.waited_s.append(longest_s)
        return False

    def end(self) -> None:
        self.was_ended = True


@pytest.fixture
def local(make: Make, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """A run with processes of this machine, one of which is started."""
    monkeypatch.setattr("obswarm.cluster.master.local_workers.WorkerProcesses", Processes)
    monkeypatch.setattr("obswarm.cluster.master.local_workers.usable_cpus", lambda: 4.0)
    made = make(local=LocalWorkers(["obswarm"], None))
    made.generator.prepare()
    return made


def test_one_process_is_started_and_the_run_begins_when_it_is_ready(
    local: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    assert Processes.made.shares == [0.25]
    assert not local.generator.is_ready(local.time.now)
    with caplog.at_level(logging.INFO):
        local.join()
    assert local.generator.is_ready(local.time.now)
    assert "has joined" not in caplog.text, "users of this machine have not asked for workers"


def test_another_process_is_started_when_the_first_one_is_busy(local: Fleet) -> None:
    worker = local.join()
    local.generator.start()
    local.assign(10)
    for _ in range(3):
        worker.report(users={"Visitor": 10}, cpu_ratio=0.9)
        local.generator.end_interval()
    assert len(Processes.made.shares) == 2


def test_a_process_that_ends_before_it_is_ready_fails_the_run(local: Fleet) -> None:
    Processes.made.on_exit("unknown", 1)
    (failed,) = local.events()
    assert str(failed.error) == "A worker process ended with the exit code 1 before it was ready."


def test_a_load_test_that_a_process_cannot_load_fails_the_run(local: Fleet) -> None:
    worker = MadeUpWorker(local.generator, local.listener, "w", joins=False)
    worker.echo(Hello(PROTOCOL_VERSION, __version__, worker.incarnation, "w", 1, "", ""))
    worker.echo(Failed(worker.got(Welcome)[-1].nonce, "no module named shop"))
    (failed,) = local.events()
    assert (type(failed), str(failed.error)) == (RunFailed, "no module named shop")


def test_a_process_that_dies_is_a_loss_and_the_last_one_ends_the_run(local: Fleet) -> None:
    first, second = local.join("first"), local.join("second")
    local.generator.start()
    first.report(users={"Visitor": 2})
    Processes.made.on_exit(first.incarnation, -9)
    assert local.losses() == [("first", "its process ended with the exit code -9", 2)]
    assert local.events() == []
    Processes.made.on_exit(second.incarnation, -9)
    assert local.events() == [StopRequested(StopReason(StopKind.LOST, "no worker process is left"))]
    Processes.made.on_exit(second.incarnation, -9)
    assert len(local.losses()) == 2, "each counts once"


def test_the_share_of_a_process_that_died_is_counted_as_dropped(local: Fleet) -> None:
    """From its last report until others take it over, so that finished and dropped ones are what was planned."""
    first, second = local.join("first"), local.join("second")
    local.generator.start()
    local.generator.apply(Assignment({}, 1.0, rates={"Visitor": 80.0}), local.time.now)
    for worker in (first, second):
        worker.report()
    local.time.advance(1.5)
    second.report()
    Processes.made.on_exit(first.incarnation, -9)
    assert local.generator.collect().dropped == {("Visitor", WORKER_LOST): 60}
    local.generator.apply(Assignment({}, 1.0, rates={"Visitor": 80.0}), local.time.now)
    assert second.got(Assign)[-1].rates == {"Visitor": 80.0}
    # The load has ended after half a second: only so much was left.
    local.generator.apply(Assignment({}, 1.0, rates={"Visitor": 80.0}, ends={"Visitor": local.time.now + 0.5}), 0.0)
    local.time.advance(2)
    Processes.made.on_exit(second.incarnation, -9)
    assert local.generator.collect().dropped == {("Visitor", WORKER_LOST): 40}


def test_a_missing_worker_that_comes_back_has_lost_nothing_and_one_that_does_not_its_share_until_others_had_it(
    fleet: Fleet,
) -> None:
    worker, other = fleet.join("w"), fleet.join("other")
    fleet.generator.start()
    fleet.generator.apply(Assignment({}, 1.0, rates={"Visitor": 10.0}), fleet.time.now)
    worker.report()
    fleet.pass_s(4, other)
    assert fleet.state(worker).state is WorkerStatus.MISSING
    worker.report()
    assert fleet.state(worker).unreported_iterations() == {}
    fleet.generator.apply(Assignment({}, 1.0, rates={"Visitor": 10.0}), fleet.time.now)
    fleet.pass_s(9, other)
    assert fleet.state(worker).unreported_iterations() == {"Visitor": 20}, "after four seconds the other one has it"


def test_a_process_that_has_delivered_everything_may_end(local: Fleet) -> None:
    worker = local.join()
    worker.report(requests=1, ended=True)
    Processes.made.on_exit(worker.incarnation, 0)
    assert (local.events(), local.losses()) == ([], [])


def test_processes_are_ended_with_the_run_and_what_they_say_then_is_nothing(
    local: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    worker = local.join()
    worker.report(ended=True)
    local.generator.end(0)
    assert Processes.made.waited_s, "they have a moment to end by themselves"
    assert Processes.made.was_ended
    assert "A worker process did not end by itself." in caplog.text
    Processes.made.on_exit("unknown", 1)
    assert local.events() == []


def test_processes_of_this_machine_that_are_silent_do_not_end_the_run(local: Fleet) -> None:
    local.join()
    local.generator.start()
    local.pass_s(ORPHAN_TIMEOUT_S + 10)
    assert not [event for event in local.events() if isinstance(event, StopRequested)]

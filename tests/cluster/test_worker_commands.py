"""What a worker process does at each message of its master, and what it tells the master by itself."""

import argparse
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import pytest

from obswarm.api import Environment, Events, LoadTestError, ObswarmError
from obswarm.bounded_msgpack import unpack_content
from obswarm.cluster.job import Job
from obswarm.cluster.wire.custom_content import pack_content
from obswarm.cluster.wire.messages import (
    Admitted,
    Assign,
    Custom,
    CustomReport,
    End,
    Failed,
    Heartbeat,
    Message,
    Ready,
    Refused,
    Report,
    SpawningComplete,
    StartRun,
    StatsReset,
    Stop,
    StopUsers,
    Welcome,
    WorkerEvent,
)
from obswarm.cluster.worker import identity as identity_module
from obswarm.cluster.worker import loading
from obswarm.cluster.worker import worker as worker_module
from obswarm.cluster.worker.identity import new_identity
from obswarm.cluster.worker.worker import Worker
from obswarm.engine import GeneratorWarning, PartFailed, PartRestarted, RunFailed
from obswarm.greenlets import kill_all
from obswarm.stats.codec import DeltaSum
from tests.support import patience
from tests.support.jobs import RunsBeside, made_up_job
from tests.support.stub_sockets import StubDealer

_VISITOR = """
import gevent

from obswarm import User, constant, task

class Visitor(User):
    wait_time = constant(60)

    @task
    def nothing(self):
        pass

class Busy(User):
    @task
    def long(self):
        gevent.sleep(60)
"""
wait_until = partial(patience.wait_until, every_s=0.002)


class Commanded:
    """A worker whose connection leads nowhere: `sent` has what its master would get."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, **options: Any) -> None:
        self.folder = folder
        self.worker = Worker("tcp://127.0.0.1:1", None, **options)
        self.events: Events = loading.events
        self.sent: list[Message] = []
        self._started: list[gevent.Greenlet] = []
        patch.setattr(self.worker.link, "send", self.sent.append)
        spawn = self.worker.link.supervisor.spawn

        def noted(*arguments: Any) -> gevent.Greenlet:
            self._started.append(spawn(*arguments))
            return self._started[-1]

        patch.setattr(self.worker.link.supervisor, "spawn", noted)

    def job(self, **changed: Any) -> Job:
        loglevel = logging.getLevelName(logging.getLogger().level)
        return made_up_job(**{"root": str(self.folder), "loglevel": loglevel} | changed)

    def prepare(self, folder: Path | None = None, **changed: Any) -> Any:
        return self.worker.prepare(self.welcome(**changed), folder)

    def welcome(self, **changed: Any) -> Welcome:
        return Welcome("nonce", "", "run-7", 0, 60.0, "", self.job(**changed).pack())

    def echo(self, *messages: Message) -> None:
        for message in messages:
            self.worker.on_message(message)

    def run_users(self, **users: int) -> None:
        self.echo(StartRun("run-7"), Assign(1, users, 1_000.0))
        wait_until(lambda: self.runner.user_count == sum(users.values()))

    @property
    def environment(self) -> Environment:
        environment = self.worker._environment
        assert environment is not None
        return environment

    @property
    def runner(self) -> Any:
        return self.environment.runner

    def reports(self) -> list[Report]:
        return [message for message in self.sent if isinstance(message, Report)]

    def close(self) -> None:
        kill_all(self._started)
        if self.worker._environment is not None:
            self.worker._generator.stop(0)
            self.worker._generator.end()


Make = Callable[..., Commanded]


@pytest.fixture
def make(tmp_path: Path, loadtest: Any, monkeypatch: pytest.MonkeyPatch, own_imports: None) -> Iterator[Make]:
    """Makes workers that have loaded nothing yet."""
    monkeypatch.setattr(loading, "events", Events())
    monkeypatch.setattr(worker_module, "requests_per_cpu_second", lambda classes: 1_000.0)
    monkeypatch.setattr(worker_module, "usable_cpus", lambda: 4.0)
    monkeypatch.setattr(worker_module, "new_context", lambda: None)
    loadtest(_VISITOR)
    made: list[Commanded] = []

    def one(**options: Any) -> Commanded:
        made.append(Commanded(tmp_path, monkeypatch, **options))
        return made[-1]

    yield one
    for each in made:
        each.close()


@pytest.fixture
def commanded(make: Make) -> Commanded:
    """A worker that is ready."""
    made = make()
    made.prepare()
    return made


def fired(commanded: Commanded, *names: str) -> list[str]:
    """The names of those events, in the order in which they are fired from now on."""
    order: list[str] = []
    for name in names:
        getattr(commanded.events, name).add_listener(lambda name=name, **_: order.append(name))
    return order


# Loading.
def test_a_worker_says_how_much_it_can_do_on_its_part_of_the_cpus(make: Make) -> None:
    prepared = make(share=0.125).prepare()
    assert (prepared.capacity, prepared.cpus) == (500.0, 0.5)
    whole = make(share=1.0).prepare()
    assert (whole.capacity, whole.cpus) == (1_000.0, 1.0), "a process uses one CPU at most"


def test_a_worker_that_is_welcomed_again_does_not_load_again(commanded: Commanded) -> None:
    environment = commanded.environment
    first = commanded.worker._prepared
    assert commanded.prepare() is first
    assert commanded.environment is environment


def test_the_job_says_what_the_environment_has(make: Make) -> None:
    made = make()
    made.prepare(
        user_classes=("Busy",),
        host="http://shop.example",
        timings=True,
        trace_sample=0.5,
        options={"basket": 3},
        exclude_tags=("slow",),
        stop_timeout=7.0,
    )
    environment = made.environment
    (cls,) = environment.user_classes
    assert (cls.__name__, cls.host, environment.host) == ("Busy", "http://shop.example", "http://shop.example")
    assert (environment.run_id, environment.stop_timeout) == ("run-7", 7.0)
    assert (environment.tags, environment.exclude_tags) == (None, ["slow"])
    assert environment.recorder._detailed_timings
    assert environment.trace_sampler is not None
    assert environment.parsed_options == argparse.Namespace(**vars(environment.parsed_options) | {"basket": 3})


def test_files_that_the_master_sent_are_loaded_from_their_folder_and_find_their_data_there(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "sent"
    folder.mkdir()
    (folder / "names.txt").write_text("Ada")
    (folder / "sent_test.py").write_text(
        "from obswarm import User, task\n"
        "from pathlib import Path\n"
        "NAMES = Path('names.txt').read_text()\n"
        "class Sent(User):\n    name = NAMES\n    @task\n    def nothing(self): ...\n"
    )
    made = make()
    made.prepare(folder, files=("sent_test.py",), root="")
    (cls,) = made.environment.user_classes
    assert (cls.__name__, cls.name) == ("Sent", "Ada")  # type: ignore[attr-defined]
    assert Path.cwd() == folder


def test_a_worker_that_was_given_files_of_its_own_loads_these(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own_test.py"
    own.write_text("from obswarm import User, task\nclass Own(User):\n    @task\n    def nothing(self): ...\n")
    before = Path.cwd()
    made = make(files=[own])
    made.prepare(tmp_path)
    assert [cls.__name__ for cls in made.environment.user_classes] == ["Own"]
    assert Path.cwd() == before


def test_a_user_class_that_is_not_in_the_files_is_an_error(make: Make) -> None:
    with pytest.raises(ObswarmError, match="Buyer"):
        make().prepare(user_classes=("Buyer",))


def test_what_cannot_be_understood_is_an_error(make: Make) -> None:
    with pytest.raises(ObswarmError, match="cannot be decoded"):
        make().worker.prepare(Welcome("nonce", "", "run-7", 0, 60.0, "", b"\xc1"), None)


def test_identities_are_new_each_time_and_begin_with_the_name_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity_module.socket, "gethostname", lambda: "loader\x1b[1m")
    first, second = new_identity(), new_identity(3, "hash")
    assert first.incarnation != second.incarnation
    assert first.name.startswith("loader")
    assert first.name.endswith(f"_{first.incarnation[:8]}")
    assert "\x1b" not in first.name
    assert (second.processes, second.file_hash) == (3, "hash")


# Commands.
def test_messages_before_a_load_test_is_loaded_do_nothing(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    made = make()
    order = fired(made, "test_start", "init", "test_stopping")
    made.echo(StartRun("run-7"), Admitted(1), Assign(1, {"Visitor": 1}, 1.0), Stop(1.0), StopUsers())
    made.worker.collect(1)
    made.worker.on_orphaned()
    gevent.sleep(0)
    assert (order, made.sent, caplog.records) == ([], [], [])
    assert made.worker._stop_timeout() is None


def test_init_is_fired_once_when_the_worker_knows_its_number(commanded: Commanded) -> None:
    seen: list[tuple[Any, int]] = []
    commanded.events.init.add_listener(lambda environment, runner, **_: seen.append((environment, runner.worker_index)))
    assert commanded.runner.worker_index == -1
    commanded.echo(Admitted(4), Admitted(5))
    assert seen == [(commanded.environment, 4)]
    assert commanded.runner.worker_index == 5, "after a restart of the master it may be another one"


def test_users_start_when_the_listeners_of_test_start_have_run(commanded: Commanded) -> None:
    seen: list[tuple[int, str]] = []

    def take_a_while(**_: object) -> None:
        gevent.sleep(0.05)
        seen.append((commanded.runner.user_count, commanded.runner.state))

    commanded.events.test_start.add_listener(take_a_while)
    commanded.echo(StartRun("run-7"), Assign(1, {"Visitor": 2}, 1_000.0), StartRun("run-7"))
    wait_until(lambda: commanded.runner.user_count == 2)
    assert seen == [(0, "ready")], "once, whatever the master repeats"
    wait_until(lambda: commanded.runner.state == "running")
    assert commanded.worker.assigned_users() == {"Visitor": 2, "Busy": 0}


def test_the_newest_assignment_counts_and_is_reported_when_it_has_been_carried_out(commanded: Commanded) -> None:
    commanded.run_users(Visitor=3)
    commanded.echo(Assign(2, {"Visitor": 1}, 1_000.0))
    commanded.worker.collect(8)
    assert commanded.reports()[-1].settled <= 1
    wait_until(lambda: commanded.worker._settled == 2)
    wait_until(lambda: commanded.runner.user_count == 1)
    commanded.worker.collect(9)
    report = commanded.reports()[-1]
    assert (report.heartbeat, report.settled, report.users) == (9, 2, {"Visitor": 1, "Busy": 0})
    assert not report.ended


def test_spawning_complete_and_reset_stats_are_fired_on_workers(commanded: Commanded) -> None:
    users: list[int] = []
    commanded.events.spawning_complete.add_listener(lambda user_count, **_: users.append(user_count))
    order = fired(commanded, "reset_stats")
    commanded.echo(SpawningComplete(40), StatsReset())
    assert (users, order) == ([40], ["reset_stats"])


def test_a_message_of_the_load_test_reaches_its_listener(commanded: Commanded) -> None:
    heard: list[Any] = []
    commanded.runner.register_message("users", lambda environment, msg, **_: heard.append((msg.data, msg.node_id)))
    commanded.echo(Custom("users", pack_content([1, 2]), "master"))
    assert heard == [([1, 2], "master")]


def test_a_message_and_a_quit_of_the_load_test_are_sent_to_the_master(commanded: Commanded) -> None:
    commanded.runner.send_message("done", {"n": 1})
    commanded.runner.quit()
    name = commanded.runner.client_id
    assert commanded.sent == [
        Custom("done", pack_content({"n": 1}), name),
        WorkerEvent("quit", f"the load-test file called runner.quit() on the worker {name}"),
    ]
    with pytest.raises(LoadTestError, match="cannot be sent"):
        commanded.runner.send_message("done", object())


# The end.
def test_a_stop_ends_users_between_its_two_events_and_reports_the_end(commanded: Commanded) -> None:
    commanded.run_users(Visitor=2)
    order = fired(commanded, "test_stopping", "test_stop")
    states: list[str] = []
    for hook in (commanded.events.test_stopping, commanded.events.test_stop):
        hook.add_listener(lambda **_: states.append(commanded.runner.state))
    wait_until(lambda: commanded.runner.state == "running")
    commanded.echo(Stop(5.0), Assign(2, {"Visitor": 9}, 1_000.0))
    wait_until(lambda: commanded.runner.state == "stopped")
    wait_until(commanded.reports)
    assert order == ["test_stopping", "test_stop"]
    assert states == ["running", "stopped"], "as in Locust"
    report = commanded.reports()[-1]
    assert (report.ended, report.heartbeat, sum(report.users.values())) == (True, 0, 0)
    assert commanded.worker.assigned_users() == {"Visitor": 0, "Busy": 0}


def test_a_second_stop_with_less_time_ends_tasks_at_once_and_one_with_more_time_does_not(commanded: Commanded) -> None:
    commanded.run_users(Busy=1)
    commanded.echo(Stop(50.0), Stop(55.0))
    gevent.sleep(0.05)
    assert commanded.runner.user_count == 1
    commanded.echo(Stop(0.0))
    wait_until(lambda: commanded.runner.state == "stopped")
    assert commanded.runner.user_count == 0


def test_users_of_a_worker_that_lost_its_master_end_and_start_again_when_it_is_back(
    commanded: Commanded, caplog: pytest.LogCaptureFixture
) -> None:
    commanded.run_users(Visitor=2)
    commanded.worker.on_orphaned()
    wait_until(lambda: commanded.runner.user_count == 0)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        "No contact with the master for too long: stopping 2 users."
    ]
    assert commanded.runner.state == "running"
    commanded.echo(Assign(1, {"Visitor": 2}, 1_000.0))
    wait_until(lambda: commanded.runner.user_count == 2)


def test_a_worker_without_users_says_nothing_of_a_master_that_is_silent(
    commanded: Commanded, caplog: pytest.LogCaptureFixture
) -> None:
    commanded.echo(StartRun("run-7"), StopUsers())
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_worker_whose_master_has_another_run_becomes_a_new_process(
    commanded: Commanded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    order: list[str] = []
    monkeypatch.setattr(worker_module, "reexec", lambda: order.append(f"reexec with {commanded.runner.user_count}"))
    monkeypatch.setattr(commanded.worker.link, "clean_up", lambda: order.append("clean up"))
    commanded.run_users(Visitor=2)
    commanded.worker.link.unacked.put(b"delta")
    commanded.worker.on_other_run()
    assert order == ["clean up", "reexec with 0"]
    assert "The master has another run now; the result of the last one lacks 1 report." in caplog.text


def test_a_worker_without_a_load_test_becomes_a_new_process_as_well(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    order: list[str] = []
    monkeypatch.setattr(worker_module, "reexec", lambda: order.append("reexec"))
    make().worker.on_other_run()
    assert order == ["reexec"]
    assert "The master has another run now; joining." in caplog.text


# What it tells.
def test_what_happens_to_its_users_is_told_to_the_master(
    commanded: Commanded, caplog: pytest.LogCaptureFixture
) -> None:
    note = commanded.worker._generator._note
    note(RunFailed(LoadTestError("no such class")))
    note(GeneratorWarning("few descriptors are left"))
    note(PartFailed("The reader", ValueError("odd")))
    note(PartRestarted("The watch", ValueError("odd")))
    wait_until(lambda: len(commanded.sent) == 3)
    error, warning, internal = commanded.sent
    assert error == WorkerEvent("error", "no such class")
    assert warning == WorkerEvent("warning", "few descriptors are left")
    assert isinstance(internal, WorkerEvent)
    assert (internal.kind, internal.detail.partition(" failed: ")[0]) == ("internal", "The reader")
    assert "The watch failed and was restarted: ValueError: odd." in caplog.text


def test_what_listeners_add_to_a_report_is_sent_with_the_counts_of_users(commanded: Commanded) -> None:
    def add(client_id: str, data: dict[str, Any]) -> None:
        data["who"] = client_id

    commanded.events.report_to_master.add_listener(add)
    commanded.worker.collect(1)
    name = commanded.runner.client_id
    (data,) = report_data(commanded)
    assert set(data) == {"stats", "stats_total", "errors", "user_count", "user_classes_count", "who"}
    assert (data["who"], data["user_count"], data["user_classes_count"]) == (name, 0, {"Visitor": 0, "Busy": 0})


def report_data(commanded: Commanded) -> list[dict[str, Any]]:
    """The data for listeners that the worker has sent, report by report."""
    return [unpack_content(each.content, 10_000) for each in commanded.sent if isinstance(each, CustomReport)]


@pytest.mark.parametrize("by", ["its master", "itself"])
def test_statistics_are_part_of_the_data_each_request_once(commanded: Commanded, by: str) -> None:
    record = commanded.environment.recorder.record
    if by == "its master":
        commanded.echo(StartRun("run-7", with_statistics=True))
    else:
        commanded.events.worker_report.add_listener(lambda **_: None)
    # Also those that are counted while listeners run.
    commanded.events.report_to_master.add_listener(lambda **_: record("GET", "/", 0.02, 10, 500, "HTTP 500"))
    record("GET", "/", 0.01, 10, 200, None)
    commanded.worker.collect(1)
    commanded.worker.collect(2)
    first, second = report_data(commanded)
    assert [each["num_requests"] for each in (*first["stats"], *second["stats"])] == [2, 1]
    assert (first["stats_total"]["num_failures"], first["stats_total"]["total_content_length"]) == (1, 20)
    (error,) = first["errors"].values()
    assert (error["error"], error["occurrences"]) == ("HTTP 500", 1)
    measured = DeltaSum()
    for report in commanded.reports():
        measured.add(report.delta)
    assert measured.take(100).total().requests == 3


def test_without_listeners_only_the_report_is_sent(commanded: Commanded) -> None:
    commanded.echo(StartRun("run-7"))
    commanded.worker.collect(1)
    assert report_data(commanded) == []


def test_listeners_hear_of_heartbeats_and_a_slow_one_delays_nothing(commanded: Commanded) -> None:
    heard: list[tuple[str, float]] = []

    def slow(client_id: str, timestamp: float) -> None:
        gevent.sleep(0.05)
        heard.append((client_id, timestamp))

    commanded.events.heartbeat_received.add_listener(slow)
    commanded.worker.on_heartbeat()
    commanded.worker.on_heartbeat()
    assert heard == []
    wait_until(lambda: len(heard) == 2, every_s=0.01)
    assert {client_id for client_id, _ in heard} == {commanded.runner.client_id}
    assert heard[-1][1] == commanded.runner.last_heartbeat_timestamp


def test_what_listeners_add_that_cannot_be_sent_is_an_error_of_the_load_test(commanded: Commanded) -> None:
    commanded.events.report_to_master.add_listener(lambda client_id, data: data.update(bad=object()))
    commanded.worker.collect(1)
    assert [each for each in commanded.sent if isinstance(each, CustomReport)] == []
    (report,) = commanded.reports()
    measured = DeltaSum()
    measured.add(report.delta)
    (exception,) = measured.take(100).exceptions.values()
    assert exception.message.startswith("report_to_master: ")


def test_measured_requests_are_in_one_report_and_kept_until_they_are_acknowledged(commanded: Commanded) -> None:
    record = commanded.environment.recorder.record
    record("GET", "/", 0.01, 10, 200, None)
    commanded.worker.collect(1)
    commanded.worker.collect(2)
    first, second = commanded.reports()
    assert (first.sequence, second.sequence, second.last_sequence) == (1, 0, 1)
    assert first.delta
    assert not second.delta
    assert len(commanded.worker.link.unacked) == 1


def test_a_worker_whose_master_acknowledges_nothing_keeps_what_it_measures_for_later(commanded: Commanded) -> None:
    """Its end is not reported as long as there is more to be sent."""
    link, recorder = commanded.worker.link, commanded.environment.recorder
    while not link.unacked.is_full:
        link.unacked.put(b"delta")
    recorder.record("GET", "/", 0.01, 10, 200, None)
    commanded.echo(Stop(5.0))
    wait_until(commanded.reports)
    report = commanded.reports()[-1]
    assert (report.sequence, report.ended) == (0, False)
    link.unacked.acknowledge(link.unacked.last_sequence)
    commanded.worker.collect(3)
    report = commanded.reports()[-1]
    assert (bool(report.delta), report.ended) == (True, True)


# The whole, over a socket that is made up.
class Running(RunsBeside):
    """A worker in `run`."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.worker = Worker("tcp://master.example:5557", None, **options)
        self.folder = folder
        self.begin(self.worker.run)
        wait_until(lambda: StubDealer.made)
        (self.socket,) = StubDealer.made

    def sent(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.socket.sent if isinstance(message, kind)]


@pytest.fixture
def running(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Running, Commanded]]:
    """A worker that runs, and one that only says which messages it would be sent."""
    StubDealer.made = []
    monkeypatch.setattr("obswarm.cluster.worker.connection.DealerSocket", StubDealer)
    monkeypatch.setattr("obswarm.cluster.worker.connection._WATCH_S", 0.005)
    made = Running(tmp_path)
    yield made, make()
    made.worker.link.finish(0)
    assert made.outcome is not None
    if made.worker._environment is not None:
        made.worker._generator.stop(0)
        made.worker._generator.end()


@pytest.mark.parametrize(("own", "code"), [(None, 3), (0, 0), (9, 9)])
def test_the_exit_code_is_the_masters_unless_the_load_test_sets_one(
    running: tuple[Running, Commanded], own: int | None, code: int
) -> None:
    made, commanded = running
    made.socket.deliver(commanded.welcome())
    wait_until(lambda: made.sent(Ready))
    reported: list[int] = []
    order = fired(commanded, "quitting")
    commanded.events.quit.add_listener(lambda exit_code, **_: reported.append(exit_code))
    assert made.worker._environment is not None
    made.worker._environment.process_exit_code = own
    made.socket.deliver(Heartbeat(1, 0, True))
    made.socket.deliver(End(0, 3))
    assert made.outcome == code
    assert (order, reported) == (["quitting"], [code])
    assert [report.heartbeat for report in made.sent(Report)] == [1]
    assert made.socket.is_closed


def test_a_worker_that_is_refused_ends_with_the_reason(running: tuple[Running, Commanded]) -> None:
    made, commanded = running
    order = fired(commanded, "quitting", "quit")
    made.socket.deliver(Refused("obswarm 0.1.0 here"))
    assert str(made.outcome) == "The master at master.example:5557 refuses this worker: obswarm 0.1.0 here"
    assert order == [], "no load test is there to be told"


def test_a_load_test_that_cannot_be_loaded_is_told_to_the_master(
    running: tuple[Running, Commanded], loadtest: Any
) -> None:
    made, commanded = running
    loadtest("import no_such_module_anywhere\n", "broken.py")
    made.socket.deliver(commanded.welcome(files=("broken.py",)))
    outcome = made.outcome
    assert isinstance(outcome, ObswarmError)
    assert "no_such_module_anywhere" in str(outcome)
    (failed,) = made.sent(Failed)
    assert failed == Failed("nonce", str(outcome))


def test_a_user_that_raises_stop_test_is_told_to_the_master(running: tuple[Running, Commanded]) -> None:
    made, commanded = running
    (made.folder / "loadtest.py").write_text(
        "from obswarm import StopTest, User, constant, task\n"
        "class Ends(User):\n    wait_time = constant(60)\n    @task\n    def end(self):\n        raise StopTest()\n"
    )
    made.socket.deliver(commanded.welcome())
    wait_until(lambda: made.sent(Ready))
    made.socket.deliver(StartRun("run-7"))
    made.socket.deliver(Assign(1, {"Ends": 1}, 100.0))
    wait_until(lambda: made.sent(WorkerEvent))
    assert made.sent(WorkerEvent)[0] == WorkerEvent("stop_test", "a user raised StopTest")

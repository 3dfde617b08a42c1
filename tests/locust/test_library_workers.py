"""Programs that are a master and workers themselves, as Locust's documentation has it."""

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from obswarm import LoadTestShape, ObswarmError, User, __version__, constant, task
from obswarm.clock import monotonic
from obswarm.cluster.master import generator as generator_module
from obswarm.cluster.wire.messages import PROTOCOL_VERSION, Custom, End, Hello, Ready, Welcome
from obswarm.locust import library
from obswarm.locust.env import Environment
from obswarm.locust.exception import RunnerAlreadyExistsError
from obswarm.locust.library_worker import MASTER_QUITS
from obswarm.locust.runners import MasterRunner, WorkerRunner
from tests.support.made_up_worker import MadeUpWorker
from tests.support.nginx import free_port
from tests.support.stub_sockets import StubRouter

HOST = "http://127.0.0.1:1"


class Visitor(User):
    wait_time = constant(0.01)

    @task
    def page(self) -> None:
        with self.environment.request("GET", "/page"):
            pass


class Fleet:
    """A master and two workers, each with an environment of its own, as in programs of their own."""

    def __init__(self, **of_the_master: Any) -> None:
        port = free_port()
        self.master = Environment(user_classes=[Visitor], host=HOST, **of_the_master).create_master_runner(
            "127.0.0.1", port
        )
        self.workers = [Environment(user_classes=[Visitor]).create_worker_runner("127.0.0.1", port) for _ in range(2)]
        self.seen: list[tuple[str, str]] = []
        for runner in (self.master, *self.workers):
            for name in ("init", "test_start", "test_stopping", "test_stop", "quitting"):
                self._note(runner, name)

    def _note(self, runner: Any, name: str) -> None:
        who = "master" if runner is self.master else "worker"
        getattr(runner.environment.events, name).add_listener(lambda **_: self.seen.append((who, name)))

    def wait(self) -> None:
        until(lambda: len(self.master.clients.ready) == 2)


def until(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + 60
    while not condition():
        assert monotonic() < deadline
        gevent.sleep(0.01)


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    fleet = Fleet()
    yield fleet
    fleet.master.quit()
    fleet.master.greenlet.join(60)
    gevent.joinall([greenlet for worker in fleet.workers for greenlet in worker.greenlet], 60)


def test_a_master_and_its_workers_make_one_run_after_the_other(fleet: Fleet) -> None:
    master, workers = fleet.master, fleet.workers
    assert isinstance(master, MasterRunner)
    assert isinstance(workers[0], WorkerRunner)
    assert (master.state, master.user_count, master.worker_index) == ("ready", 0, -1)
    fleet.wait()
    names = {worker.client_id for worker in workers}
    assert set(master.clients) == names
    for number in (1, 2):
        master.start(6, spawn_rate=1000, wait=True)
        assert (master.user_count, master.target_user_count, master.state) == (6, 6, "running")
        assert sum(worker.user_count for worker in workers) == 6
        assert {worker.environment.host for worker in workers} == {HOST}
        until(lambda: master.stats.get("/page", "GET").num_requests > 20)
        master.stop()
        assert (master.state, master.user_count) == ("stopped", 0)
        assert [worker.user_count for worker in workers] == [0, 0]
        for name in ("test_start", "test_stopping", "test_stop"):
            assert fleet.seen.count(("master", name)) == number
            assert fleet.seen.count(("worker", name)) == number * 2
        # They keep their names, and are there for the next run.
        assert set(master.clients) == names
        assert master.worker_count == 2
    # A program fires these itself.
    assert not {name for _, name in fleet.seen} & {"init", "quitting"}


def test_messages_reach_programs(fleet: Fleet) -> None:
    heard: list[object] = []
    fleet.master.register_message("answer", lambda environment, msg, **_: heard.append((msg.node_id, msg.data)))
    for worker in fleet.workers:
        worker.register_message("question", lambda environment, msg, **_: environment.runner.send_message("answer", 7))
    fleet.wait()
    fleet.master.start(2, 1000, wait=True)
    first = fleet.workers[0].client_id
    fleet.master.send_message("question", {"a": 1}, client_id=first)
    until(lambda: bool(heard))
    assert heard == [(first, 7)]


def test_quit_ends_master_and_workers_during_a_run_and_before_one(fleet: Fleet) -> None:
    fleet.wait()
    fleet.master.start(4, 1000, wait=True)
    fleet.master.quit()
    fleet.master.greenlet.join(60)
    assert len(fleet.master.greenlet) == 0
    assert fleet.master.state == "stopped"
    without_a_run = Fleet()
    without_a_run.wait()
    without_a_run.master.quit()
    for runner in (*fleet.workers, without_a_run.master, *without_a_run.workers):
        runner.greenlet.join(60)
        assert len(runner.greenlet) == 0


def test_quit_in_a_listener_of_test_stop_ends_the_workers() -> None:
    fleet = Fleet()
    fleet.wait()
    # The workers have been told by then that the run is over, and join for another one.
    fleet.master.environment.events.test_stop.add_listener(lambda environment, **_: environment.runner.quit())
    fleet.master.start(4, 1000, wait=True)
    fleet.master.stop()
    for runner in (fleet.master, *fleet.workers):
        runner.greenlet.join(60)
        assert len(runner.greenlet) == 0
    assert fleet.seen.count(("worker", "test_stop")) == 2


@pytest.mark.parametrize("has_joined", [True, False])
def test_a_master_that_quits_between_two_runs_dismisses_workers_that_come_back(
    has_joined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator_module, "RouterSocket", StubRouter)
    monkeypatch.setattr(generator_module, "new_context", lambda: None)
    # A stub's peers do not close their connections when they have received End.
    monkeypatch.setattr(generator_module, "_END_S", 0.01)
    master = Environment(user_classes=[Visitor]).create_master_runner("127.0.0.1", 1)
    told = MadeUpWorker(master._fleet, StubRouter.made)
    # As a run does at its end.
    master._fleet.end()
    assert told.got(End)
    assert told.got(Custom) == []
    monkeypatch.setattr(library, "_WORKERS_ARE_BACK_S", 60.0 if has_joined else 0.1)
    master._quit.set()
    ending = gevent.spawn(master._ended)
    until(lambda: not StubRouter.made.is_closed)
    back = MadeUpWorker(master._fleet, StubRouter.made, joins=False)
    back.echo(Hello(PROTOCOL_VERSION, __version__, back.incarnation, back.name, 1, "", ""))
    if has_joined:
        back.echo(Ready(back.got(Welcome)[-1].nonce, 1000.0, 1.0, {}, (back.name,), 0))
    ending.get(timeout=60)
    assert back.got(Custom) == [MASTER_QUITS]
    assert back.got(End)
    master.greenlet.join(60)
    assert len(master.greenlet) == 0


def test_a_worker_that_quits_leaves_and_the_others_go_on(fleet: Fleet) -> None:
    fleet.wait()
    fleet.master.start(4, 1000, wait=True)
    leaving, staying = fleet.workers
    leaving.quit()
    leaving.greenlet.join(60)
    assert len(leaving.greenlet) == 0
    until(lambda: staying.user_count == 4)
    assert fleet.master.state == "running"
    assert set(fleet.master.clients) == {staying.client_id}


def test_a_run_without_workers_does_not_start(caplog: pytest.LogCaptureFixture) -> None:
    master = Environment(user_classes=[Visitor]).create_master_runner("127.0.0.1", free_port())
    master.start(4, 1000)
    assert master.state == "ready"
    assert "A run needs workers" in caplog.text
    master.quit()
    master.greenlet.join(60)
    assert len(master.greenlet) == 0


def test_a_shape_with_workers() -> None:
    class Short(LoadTestShape):
        def tick(self) -> tuple[int, float] | None:
            return (3, 1000) if self.get_run_time() < 1 else None

    fleet = Fleet(shape_class=Short())
    fleet.wait()
    of_the_run = fleet.master._registry
    fleet.master.start_shape()
    until(lambda: fleet.master.result is not None)
    assert fleet.master.stats.total.num_requests > 3
    # Not those of the run that has ended.
    until(lambda: fleet.master._registry is not of_the_run)
    fleet.wait()
    fleet.master.quit()
    for runner in (fleet.master, *fleet.workers):
        runner.greenlet.join(60)
        assert len(runner.greenlet) == 0


def test_custom_options_and_tags_are_those_of_the_master() -> None:
    from argparse import Namespace

    fleet = Fleet(parsed_options=Namespace(password="x", stop_timeout=3.5))
    fleet.wait()
    fleet.master.start(2, 1000, wait=True)
    for worker in fleet.workers:
        assert worker.environment.parsed_options.password == "x"
        assert worker.environment.stop_timeout == 3.5
    fleet.master.quit()
    for runner in (fleet.master, *fleet.workers):
        runner.greenlet.join(60)


def test_an_address_that_others_reach_needs_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OBSWARM_SECRET", raising=False)
    with pytest.raises(ObswarmError, match="OBSWARM_SECRET"):
        Environment(user_classes=[Visitor]).create_master_runner("0.0.0.0", free_port())
    port = free_port()
    master = Environment(user_classes=[Visitor]).create_master_runner(master_bind_port=port)
    with pytest.raises(ObswarmError, match="in use"):
        Environment(user_classes=[Visitor]).create_master_runner("127.0.0.1", port)
    with pytest.raises(RunnerAlreadyExistsError):
        master.environment.create_worker_runner("127.0.0.1", port)
    master.quit()
    master.greenlet.join(60)

"""A worker process, commanded by the messages of a master that is not there."""

import logging
from collections.abc import Iterator

import gevent
import pytest

from obswarm.cluster.wire.messages import Assign, Message, StartRun, Stop, Welcome, WorkerEvent
from obswarm.cluster.worker import worker as worker_module
from obswarm.cluster.worker.worker import Worker
from obswarm.engine import Assignment, StopReason, StopRequested
from obswarm.greenlets import kill_all
from obswarm.record import StopKind
from tests.support.jobs import made_up_job
from tests.support.patience import wait_until

_VISITOR = """
import gevent

from obswarm import User, constant, task

class Visitor(User):
    wait_time = constant(60)

    @task
    def nothing(self):
        pass

class Stuck(Visitor):
    def __init__(self, environment):
        super().__init__(environment)
        gevent.sleep(60)
"""


@pytest.fixture
def worker(loadtest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """A worker that is ready, without a connection."""
    monkeypatch.setattr(worker_module, "requests_per_cpu_second", lambda classes: 1_000.0)
    monkeypatch.setattr(worker_module, "new_context", lambda: None)
    worker = Worker("tcp://127.0.0.1:1", None)
    spawn, started = worker.link.supervisor.spawn, []

    def noted(*arguments):
        started.append(spawn(*arguments))
        return started[-1]

    monkeypatch.setattr(worker.link.supervisor, "spawn", noted)
    file = loadtest(_VISITOR)
    loglevel = logging.getLevelName(logging.getLogger().level)
    job = made_up_job(files=(file.name,), root=str(file.parent), loglevel=loglevel)
    worker.prepare(Welcome("nonce", "", "run", 0, 60.0, "", job.pack()), None)
    yield worker
    kill_all(started)
    worker._generator.stop(0)
    worker._generator.end()


def test_users_run_until_the_listeners_of_test_stopping_have_run(worker: Worker) -> None:
    """As in a process without a master."""
    runner = worker._runner
    seen: list[int] = []

    def take_a_while(**_: object) -> None:
        gevent.sleep(0.6)
        seen.append(runner.user_count)

    runner.environment.events.test_stopping.add_listener(take_a_while)
    worker.on_message(StartRun("run"))
    worker.on_message(Assign(1, {"Visitor": 3}, 1_000.0))
    wait_until(lambda: runner.user_count == 3)
    worker.on_message(Stop(5.0))
    wait_until(lambda: runner.state == "stopped")
    assert seen == [3]
    assert runner.user_count == 0


def test_what_a_user_asks_for_is_told_while_the_constructor_of_another_one_waits(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Message] = []
    monkeypatch.setattr(worker.link, "send", sent.append)
    worker.on_message(StartRun("run"))
    worker.on_message(Assign(1, {"Stuck": 1}, 1_000.0))
    wait_until(lambda: worker.assigned_users()["Stuck"] == 1)
    worker._generator._note(StopRequested(StopReason(StopKind.USER, "enough")))
    wait_until(lambda: sent)
    assert sent == [WorkerEvent("stop_test", "enough")]


def test_rates_that_a_worker_cannot_keep_are_told_to_its_master(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Message] = []
    monkeypatch.setattr(worker.link, "send", sent.append)
    # As it is once it has told that it is ready.
    worker.link._is_ready = True
    worker.on_message(StartRun("run"))
    worker.on_message(Assign(1, {}, 1_000.0, {"Nobody": 5.0}))
    wait_until(lambda: sent)
    (event,) = sent
    assert isinstance(event, WorkerEvent)
    assert event.kind == "error"
    assert "refuses its assignment: it has a rate of the class Nobody" in event.detail


def test_a_worker_without_a_master_forgets_its_assignment_also_when_no_user_is_there(worker: Worker) -> None:
    worker._scaler.assign(1, Assignment({"Stuck": 5}, 1.0, rates={"Visitor": 5.0}), 0.0)
    worker.on_orphaned()
    for now in range(10):
        assignment = worker._scaler.step(float(now))
    assert (assignment.users, assignment.rates) == ({"Visitor": 0, "Stuck": 0}, {})

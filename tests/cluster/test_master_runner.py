"""`environment.runner` on a master: the workers as Locust shows them."""

import pytest

from obswarm.api import Environment, Events, ObswarmError, User, task
from obswarm.engine import Ramp
from obswarm.record import RunState, WorkerStatus
from obswarm.stats import Recorder
from tests.support.made_up_worker import Letters, MadeUpWorker
from tests.support.runs import fleet_run

pytestmark = pytest.mark.usefixtures("no_network")


class Visitor(User):
    @task
    def nothing(self) -> None: ...


def test_workers_are_nodes_with_a_state() -> None:
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Visitor])
    run, generator = fleet_run(environment, Ramp(4, 10))
    runner = environment.runner
    try:
        letters = generator.listener
        assert isinstance(letters, Letters)
        MadeUpWorker(generator, letters, "first")
        MadeUpWorker(generator, letters, "second")
        first, second = generator.registry.workers.values()
        first.users = {"Visitor": 3}
        assert list(runner.clients) == ["first", "second"]
        assert [node.id for node in runner.clients.ready] == ["first", "second"]
        run._log.state = RunState.SPAWNING
        assert len(runner.clients.spawning) == runner.worker_count == 2
        run._log.state = RunState.RUNNING
        second.state = WorkerStatus.MISSING
        assert [node.id for node in runner.clients.running] == ["first"]
        assert [(node.id, node.user_count) for node in runner.clients.missing] == [("second", 0)]
        assert (len(runner.clients.all), runner.worker_count, runner.spawning_completed) == (2, 1, True)
        node = runner.clients["first"]
        assert (node.state, node.user_count, node.user_classes_count) == ("running", 3, {"Visitor": 3})
        assert runner.worker_indexes == {"first": first.index, "second": second.index}
        assert runner.get_worker_index("second") == second.index
        assert runner.reported_user_classes_count == {"Visitor": 3}
        assert runner.cpu_log_warning() is False
        first.was_saturated = True
        assert runner.cpu_log_warning() is runner.worker_cpu_warning_emitted is True
    finally:
        generator.close()


@pytest.mark.parametrize("what", ["spawn_users", "stop_users"])
def test_a_master_has_no_users(what: str) -> None:
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Visitor])
    _, generator = fleet_run(environment, Ramp(4, 10))
    try:
        assert len(environment.runner.user_greenlets) == 0
        with pytest.raises(ObswarmError, match="this process has no users; use runner.start"):
            getattr(environment.runner, what)({"Visitor": 1})
    finally:
        generator.close()

"""`environment.runner` of a process with users, with Locust's names."""

from collections.abc import Iterator

import gevent
import pytest

from obswarm.api import Environment, Events, ObswarmError, User, constant, task
from obswarm.engine import Ramp, Run, StopReason
from obswarm.record import StopKind
from obswarm.stats import Recorder
from tests.support.patience import HANG_S, wait_until
from tests.support.runs import local_run


class Visitor(User):
    wait_time = constant(0.01)

    @task
    def page(self) -> None:
        with self.environment.request("GET", f"/{type(self).__name__}"):
            pass


class Other(Visitor):
    pass


class Running:
    def __init__(self, users: int = 2) -> None:
        self.environment = Environment(
            events=Events(), recorder=Recorder(), user_classes=[Visitor, Other], stop_timeout=5
        )
        self.run: Run = local_run(self.environment, Ramp(users, 1000), interval_s=0.05)
        self.runner = self.environment.runner
        self.states: list[tuple[str, str]] = []
        for name in ("test_start", "spawning_complete", "test_stopping", "test_stop"):
            getattr(self.environment.events, name).add_listener(self._noting(name))

    def _noting(self, name: str):  # type: ignore[no-untyped-def]
        return lambda **_: self.states.append((name, self.runner.state))

    def start(self) -> None:
        self._greenlet = gevent.spawn(self.run.run)
        wait_until(lambda: self.runner.state == "running", every_s=0.01)

    def end(self) -> None:
        self.run.stop(StopReason(StopKind.USER, "enough"))
        self._greenlet.join(HANG_S)
        self.result = self._greenlet.get()
        self.run.close()


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running()
    made.start()
    yield made
    made.end()


def test_the_state_within_an_event_is_that_of_locust() -> None:
    made = Running()
    assert made.runner.state == "ready"
    made.start()
    made.end()
    assert made.states == [
        ("test_start", "ready"),
        ("spawning_complete", "running"),
        ("test_stopping", "running"),
        ("test_stop", "stopped"),
    ]
    assert made.runner.state == "stopped"
    assert sum(made.runner.final_user_classes_count.values()) == 2


def test_users_of_the_load_tests_own(running: Running) -> None:
    runner = running.runner
    users = runner.spawn_users({"Other": 2})
    assert [type(user) for user in users] == [Other, Other]
    assert runner.user_classes_count == {"Visitor": 1, "Other": 3}
    assert {greenlet.args[0] for greenlet in runner.user_greenlets} >= set(users)
    assert users[0].greenlet in runner.user_greenlets
    assert len(runner.user_greenlets) == len(runner.user_greenlets.greenlets) == 4
    gevent.sleep(0.2)
    assert runner.user_count == 4, "they are not taken for users that are too many"
    runner.stop_users({"Other": 3, "Visitor": 1})
    assert runner.user_greenlets.join(HANG_S)
    assert runner.user_count == 0


@pytest.mark.parametrize("what", ["spawn_users", "stop_users"])
def test_unknown_classes_are_refused(running: Running, what: str) -> None:
    with pytest.raises(ObswarmError, match=rf"runner\.{what}: Stranger is not a user class of the run; Visitor.* are"):
        getattr(running.runner, what)({"Stranger": 1})


def test_start_sets_number_and_classes(running: Running) -> None:
    running.runner.start(6, 1000, wait=True, user_classes=[Other])
    wait_until(lambda: running.runner.user_classes_count == {"Visitor": 0, "Other": 6}, every_s=0.01)
    assert (running.runner.target_user_count, running.runner.spawn_rate) == (6, 1000)
    running.runner.start(3, 500, user_classes=[Visitor, Other])
    wait_until(lambda: sum(running.runner.user_classes_count.values()) == 3, every_s=0.01)
    with pytest.raises(ObswarmError, match=r"runner\.start: User is not a user class of the run"):
        running.runner.start(3, 500, user_classes=[User])


def test_exceptions_are_logged_by_hand(running: Running) -> None:
    running.runner.log_exception("elsewhere", "no luck", "Traceback …")
    (found,) = running.runner.exceptions.values()
    assert found == {"count": 1, "msg": "no luck", "traceback": "Traceback …", "nodes": {"local"}}


def test_greenlets_of_the_load_test_end_with_the_run() -> None:
    made = Running()
    made.start()
    mine = made.runner.greenlet.spawn(gevent.sleep, HANG_S)
    made.end()
    assert gevent.joinall([mine], HANG_S) == [mine]
    assert isinstance(mine.value, gevent.GreenletExit)


def test_what_else_there_is(running: Running) -> None:
    runner = running.runner
    assert runner.worker_count == 1
    assert (runner.worker_index, runner.client_id) == (0, "local")
    assert runner.user_classes == [Visitor, Other]
    assert runner.user_classes_by_name == {"Visitor": Visitor, "Other": Other}
    wait_until(lambda: runner.current_memory_usage > 0, every_s=0.01)
    assert (runner.cpu_log_warning(), runner.worker_cpu_warning_emitted) == (False, False)
    runner.register_message("news", print, concurrent=True)
    assert runner.custom_messages == {"news": (print, True)}
    wait_until(lambda: runner.stats.num_requests > 0, every_s=0.01)
    assert runner.errors == {}


def test_a_process_reports_each_request_once_to_its_own_listeners() -> None:
    made = Running()
    reports: list[dict] = []  # type: ignore[type-arg]
    made.environment.events.worker_report.add_listener(lambda client_id, data, **_: reports.append(data))
    made.start()
    for _ in range(10):
        gevent.sleep(0.02)
        # Reading the statistics collects them.
        assert made.environment.stats.num_requests >= 0
    made.end()
    requests = sum(each["num_requests"] for data in reports for each in data["stats"])
    assert requests == sum(data["stats_total"]["num_requests"] for data in reports) == made.result.final.total.requests
    assert set(reports[0]) == {"stats", "stats_total", "errors", "user_count", "user_classes_count"}

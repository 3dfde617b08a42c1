"""A program that makes runs itself, as Locust's documentation has it."""

import gevent
import pytest

from obswarm import ObswarmError, User, constant, task
from obswarm.api import Environment as OurEnvironment
from obswarm.api import Events, LoadTestShape
from obswarm.locust.env import Environment
from obswarm.locust.exception import RunnerAlreadyExistsError
from obswarm.locust.runners import LocalRunner
from obswarm.locust.stats import get_stats_summary, stats_history
from obswarm.stats import Recorder


class Visitor(User):
    wait_time = constant(0.01)

    @task
    def page(self) -> None:
        with self.environment.request("GET", "/page"):
            pass


class Other(User):
    wait_time = constant(0.01)

    @task
    def page(self) -> None:
        with self.environment.request("GET", "/other"):
            pass


def test_a_run_is_begun_ended_and_begun_again() -> None:
    environment = Environment(user_classes=[Visitor])
    seen: list[str] = []
    for name in ("test_start", "test_stopping", "test_stop"):
        getattr(environment.events, name).add_listener(lambda name=name, **_: seen.append(name))
    runner = environment.create_local_runner()
    assert isinstance(runner, LocalRunner)
    assert environment.runner is runner
    assert (runner.state, runner.user_count, runner.stats.total.num_requests) == ("ready", 0, 0)
    for number in (1, 2):
        runner.start(5, spawn_rate=1000, wait=True)
        assert runner.user_count == runner.target_user_count == 5
        assert environment.runner is runner
        gevent.sleep(0.1)
        runner.quit()
        runner.greenlet.join(30)
        assert runner.result.final.total.requests == runner.stats.total.num_requests > 0
        assert (runner.state, runner.user_count) == ("stopped", 0)
        assert seen == ["test_start", "test_stopping", "test_stop"] * number
    assert "Aggregated" in get_stats_summary(runner.stats)[-2]


def test_the_load_is_changed_while_it_is_there() -> None:
    runner = Environment(user_classes=[Visitor]).create_local_runner()
    runner.start(2, 1000, wait=True)
    runner.start(6, 1000, wait=True)
    assert runner.user_count == 6
    runner.stop()
    assert runner.user_count == 0


def test_a_run_of_some_of_the_user_classes() -> None:
    environment = Environment(user_classes=[Visitor, Other])
    runner = environment.create_local_runner()
    runner.start(4, 1000, wait=True, user_classes=[Other])
    gevent.sleep(0.05)
    runner.stop()
    assert list(environment.stats.entries) == [("/other", "GET")]


def test_classes_of_one_run_are_not_those_of_the_next() -> None:
    environment = Environment(user_classes=[Visitor, Other])
    runner = environment.create_local_runner()
    runner.start(4, 1000, wait=True, user_classes=[Other])
    runner.stop()
    assert environment.user_classes == [Visitor, Other]
    runner.start(4, 1000, wait=True)
    assert runner.user_classes_count == {"Visitor": 2, "Other": 2}
    runner.stop()
    with pytest.raises(ObswarmError, match="User is not a user class"):
        runner.start(4, 1000, user_classes=[User])
    runner.stop()


def test_the_host_of_the_environment_is_that_of_its_users() -> None:
    class Here(User):
        host = "http://127.0.0.1:1"
        seen: set[str | None] = set()

        @task
        def page(self) -> None:
            self.seen.add(self.host)
            gevent.sleep(60)

    for host, expected in ((None, "http://127.0.0.1:1"), ("http://127.0.0.1:2", "http://127.0.0.1:2")):
        runner = Environment(user_classes=[Here], host=host).create_local_runner()
        runner.start(1, 1000, wait=True)
        gevent.sleep(0.01)
        runner.stop()
        assert Here.seen == {expected}
        Here.seen.clear()


def test_a_message_reaches_its_listener() -> None:
    runner = Environment(user_classes=[Visitor]).create_local_runner()
    heard: list[object] = []
    runner.register_message("news", lambda environment, msg, **_: heard.append(msg.data))
    runner.start(1, 1000, wait=True)
    runner.send_message("news", {"a": 1})
    runner.stop()
    assert heard == [{"a": 1}]


def test_a_shape() -> None:
    class Short(LoadTestShape):
        def tick(self) -> tuple[int, float] | None:
            return (3, 1000) if self.get_run_time() < 1 else None

    environment = Environment(user_classes=[Visitor], shape_class=Short())
    runner = environment.create_local_runner()
    runner.start_shape()
    runner.greenlet.join(60)
    assert len(runner.greenlet) == 0
    assert runner.stats.total.num_requests > 3
    with pytest.raises(ObswarmError, match="no shape_class"):
        Environment(user_classes=[Visitor]).create_local_runner().start_shape()


def test_there_is_one_runner() -> None:
    environment = Environment(user_classes=[Visitor])
    environment.create_local_runner()
    with pytest.raises(RunnerAlreadyExistsError):
        environment.create_local_runner()


def test_the_environment_of_any_run_is_one() -> None:
    environment = OurEnvironment(events=Events(), recorder=Recorder())
    assert isinstance(environment, Environment)
    assert not isinstance(object(), Environment)


def test_the_history_has_a_row_for_each_interval() -> None:
    runner = Environment(user_classes=[Visitor]).create_local_runner()
    runner.start(2, 1000, wait=True)
    history = gevent.spawn(stats_history, runner, 0.05)
    gevent.sleep(0.5)
    runner.stop()
    history.kill()
    assert 2 <= len(runner.stats.history) <= 11
    row = runner.stats.history[-1]
    assert set(row) >= {"time", "user_count", "current_rps", "current_fail_per_sec"}
    assert row["user_count"] == 2

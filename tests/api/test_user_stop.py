"""User.stop, start and greenlet: in a run, and in a group of a program's own."""

import gevent
import pytest
from gevent.event import Event
from gevent.pool import Group

from obswarm.api import Environment, Events, User, constant, task
from obswarm.engine.user_pool import UserPool
from obswarm.stats import Recorder
from tests.support.patience import HANG_S, wait_until


class Told(User):
    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.done: list[str] = []
        self.may_go_on = Event()

    def on_stop(self) -> None:
        self.done.append("on_stop")


class Busy(Told):
    @task
    def work(self) -> None:
        self.done.append("begun")
        self.may_go_on.wait()
        self.done.append("ended")


class Waiting(Told):
    wait_time = constant(1000)

    @task
    def work(self) -> None:
        self.done.append("ended")


class Quitting(Told):
    force = False

    @task
    def work(self) -> None:
        self.stop(self.force)
        self.done.append("ended")


def started(environment: Environment, cls: type[Told]) -> tuple[Told, Group]:
    group = Group()
    user = cls(environment)
    assert user.greenlet is None
    assert user.start(group) is user.greenlet
    assert user.group is group
    gevent.sleep(0.01)
    return user, group


def test_a_task_is_finished_first(environment: Environment) -> None:
    user, group = started(environment, Busy)
    assert user.stop() is False
    gevent.sleep(0.01)
    assert user.done == ["begun"]
    user.may_go_on.set()
    assert group.join(HANG_S)
    assert user.done == ["begun", "ended", "on_stop"]


def test_a_user_between_two_tasks_ends_at_once(environment: Environment) -> None:
    user, group = started(environment, Waiting)
    assert user.stop() is True
    assert user.done == ["ended", "on_stop"]
    assert group.join(HANG_S)


def test_force_interrupts_the_task(environment: Environment) -> None:
    user, group = started(environment, Busy)
    assert user.stop(force=True) is True
    assert user.done == ["begun", "on_stop"]
    assert group.join(HANG_S)
    ((key, cut_off),) = environment.recorder.take().cut_off.items()
    assert (key.kind, key.name, cut_off.count) == ("task", "Busy.work", 1)


@pytest.mark.parametrize(("force", "done"), [(False, ["ended", "on_stop"]), (True, ["on_stop"])])
def test_a_user_stops_itself(environment: Environment, force: bool, done: list[str]) -> None:
    cls: type[Told] = type("Forced", (Quitting,), {"force": force})
    user, group = started(environment, cls)
    assert group.join(HANG_S)
    assert user.done == done


def test_stop_of_a_user_that_has_not_started_does_nothing(environment: Environment) -> None:
    group = Group()
    user = Busy(environment)
    user.start(group)
    assert user.stop() is True
    assert user.done == []


def test_a_user_of_a_run_has_its_greenlet_and_can_be_stopped() -> None:
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Busy])
    pool = UserPool(environment, lambda error: None, lambda: None)
    pool.spawn("Busy")
    (user,) = pool._alive
    assert isinstance(user, Busy)
    assert user.greenlet is pool._alive[user]
    gevent.sleep(0.01)
    assert user.stop(force=True) is True
    wait_until(lambda: len(pool) == 0, every_s=0.01)
    assert (pool.active, user.done) == (0, ["begun", "on_stop"])


def test_what_is_said_of_a_class() -> None:
    assert Busy.json() == {"host": None, "weight": 1, "fixed_count": 0, "tasks": ["work"]}

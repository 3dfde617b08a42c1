"""Locustfiles from before version 1 of Locust: task_set, min_wait and max_wait."""

import logging

import pytest

from obswarm import FastHttpUser, HttpUser, TaskSet, User, constant, task
from obswarm.api import Environment
from obswarm.locust import FastHttpLocust, HttpLocust, Locust, TaskSequence, seq_task


class Tasks(TaskSet):
    @task
    def page(self) -> None:
        pass


@pytest.mark.parametrize(
    ("old", "new"),
    [(Locust, User), (HttpLocust, HttpUser), (FastHttpLocust, FastHttpUser)],
    ids=lambda cls: cls.__name__,
)
def test_task_set_and_waits(old: type[User], new: type[User], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    cls: type[User] = type("Visitor", (old,), {"task_set": Tasks, "min_wait": 2000, "max_wait": 3000})
    assert issubclass(cls, new)
    assert (cls.abstract, old.abstract) == (False, True)
    assert cls.tasks == [Tasks]
    waits = [cls.wait_time(None) for _ in range(200)]
    assert 2 <= min(waits) < 2.2
    assert 2.8 < max(waits) <= 3
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"Visitor: {old.__name__}, task_set, min_wait and max_wait are deprecated")
    assert f"write {new.__name__}, tasks = [Tasks]" in said


def test_a_user_that_says_nothing_about_waiting_waits_a_second() -> None:
    cls: type[User] = type("Visitor", (Locust,), {"task_set": Tasks})
    assert cls.wait_time(None) == 1


def test_min_wait_or_max_wait_alone_is_enough() -> None:
    only_low: type[User] = type("Visitor", (Locust,), {"task_set": Tasks, "min_wait": 5000})
    only_high: type[User] = type("Visitor", (Locust,), {"task_set": Tasks, "max_wait": 1000})
    assert (only_low.wait_time(None), only_high.wait_time(None)) == (5, 1)


def test_a_wait_time_in_seconds_stays() -> None:
    cls: type[User] = type("Visitor", (Locust,), {"task_set": Tasks, "wait_time": constant(7), "min_wait": 1})
    assert cls.wait_time(None) == 7


def test_a_function_in_milliseconds() -> None:
    cls: type[User] = type("Visitor", (Locust,), {"task_set": Tasks, "wait_function": lambda self: 250})
    assert cls.wait_time(None) == 0.25


def test_task_sets_have_waits_of_their_own_also_nested_ones() -> None:
    inner = type("Inner", (TaskSet,), {"tasks": [Tasks], "min_wait": 300, "max_wait": 300})
    outer = type("Outer", (TaskSet,), {"tasks": [inner]})
    type("Visitor", (Locust,), {"task_set": outer, "min_wait": 1000})
    assert inner.wait_time(None) == 0.3
    assert outer.wait_time is None
    assert Tasks.wait_time is None


def test_a_task_set_calls_its_user_locust(environment: Environment) -> None:
    user = type("Visitor", (Locust,), {"task_set": Tasks})(environment)
    assert Tasks(user).locust is user


def test_a_subclass_keeps_the_tasks_of_its_base() -> None:
    base: type[User] = type("Base", (Locust,), {"task_set": Tasks, "min_wait": 2000, "max_wait": 2000})
    cls: type[User] = type("Visitor", (base,), {})
    assert cls.tasks == [Tasks]
    assert cls.wait_time(None) == 2


def test_a_task_sequence_runs_by_number(environment: Environment, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    class Order(TaskSequence):
        @seq_task(3)
        def pay(self) -> None: ...

        @seq_task(1)
        @task(2)
        def look(self) -> None: ...

        @task
        @seq_task(2)
        def choose(self) -> None: ...

    user = type("Visitor", (User,), {"tasks": [Order]})(environment)
    order = Order(user)
    assert [order.get_next_task().__name__ for _ in range(5)] == ["look", "look", "choose", "pay", "look"]
    (said,) = caplog.messages
    assert said.startswith("Order: TaskSequence and seq_task are deprecated")

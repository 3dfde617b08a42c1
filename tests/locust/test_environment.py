"""`locust.env.Environment`: what Locust's has."""

from typing import Any

import pytest

from obswarm import LoadTestShape, ObswarmError, TaskSet, User, task
from obswarm.api import new_option_values
from obswarm.locust.env import Environment


class Inner(TaskSet):
    @task(4)
    def deep(self) -> None: ...


class Visitor(User):
    tasks = [Inner]

    @task(3)
    def page(self) -> None: ...


def test_classes_without_weight_are_left_out() -> None:
    none = type("Nobody", (Visitor,), {"weight": 0})
    fixed = type("Fixed", (Visitor,), {"weight": 0, "fixed_count": 1})
    assert Environment(user_classes=[Visitor, none, fixed]).user_classes == [Visitor, fixed]
    with pytest.raises(ValueError, match="no users with weight > 0"):
        Environment(user_classes=[none])


def test_what_is_no_environment() -> None:
    with pytest.raises(ValueError, match="the same class name: .*Visitor, .*Visitor"):
        Environment(user_classes=[Visitor, type("Visitor", (Visitor,), {})])
    with pytest.raises(ValueError, match="shape_class has to be an instance"):
        Environment(user_classes=[Visitor], shape_class=LoadTestShape)  # type: ignore[arg-type]


def test_equal_weights() -> None:
    cls = type("Heavy", (Visitor,), {"weight": 7})
    Environment(user_classes=[cls]).assign_equal_weights()
    assert cls.weight == 1
    assert sorted(entry.__name__ for entry in cls.tasks) == ["deep", "page"]


def test_settings_of_a_class_are_changed() -> None:
    cls = type("Changed", (Visitor,), {})
    environment = Environment(user_classes=[cls], available_user_classes={"Changed": cls})
    settings: dict[str, Any] = {"user_class_name": "Changed", "host": "http://a", "weight": 5, "tasks": ["page"]}
    environment.update_user_class(settings)
    assert (cls.host, cls.weight, [entry.__name__ for entry in cls.tasks]) == ("http://a", 5, ["page"] * 3)
    environment.update_user_class({"user_class_name": "Changed", "tasks": ["Inner"]})
    assert cls.tasks == [Inner]
    with pytest.raises(ObswarmError, match="'Nobody' is not a user class"):
        environment.update_user_class({"user_class_name": "Nobody"})


def test_logs_of_workers() -> None:
    environment = Environment()
    environment.update_worker_logs({"worker_id": "w", "logs": ["a"]})
    environment.update_worker_logs({"logs": ["b"]})
    assert environment.worker_logs == {"w": ["a"]}


def test_the_stop_timeout_is_that_of_the_options() -> None:
    from argparse import Namespace

    assert Environment(parsed_options=Namespace(stop_timeout=3)).stop_timeout == 3
    assert Environment(parsed_options=Namespace(stop_timeout=3), stop_timeout=1).stop_timeout == 1
    assert Environment().stop_timeout == 0


def test_options_have_values_of_their_own() -> None:
    assert new_option_values()["user_classes"] is not new_option_values()["user_classes"]

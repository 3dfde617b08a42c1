"""Listeners of `init` that change how many users a run has, for how long, and by which shape."""

from pathlib import Path
from typing import Any

import pytest

from obswarm.api import LoadTestShape, ObswarmError
from obswarm.app.planning import RunPlan, build_plan
from obswarm.app.replanning import Replanning
from obswarm.config import RunConfig
from obswarm.engine import LoadSchedule, ShapeSchedule

LOAD_TEST = """
from obswarm import User, task

class Visitor(User):
    host = "http://127.0.0.1:9"

    @task
    def nothing(self): ...
"""


class Wave(LoadTestShape):
    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        return 3, 1.0


class Replanned:
    """Notes what a run gets."""

    plan: LoadSchedule | None = None
    limit_s: float | None = None
    has_shape: bool | None = None
    error: ObswarmError | None = None

    def replace_plan(self, plan: LoadSchedule, limit_s: float | None, has_shape: bool) -> None:
        self.plan, self.limit_s, self.has_shape = plan, limit_s, has_shape

    def fail(self, error: ObswarmError) -> None:
        self.error = error


@pytest.fixture
def made(tmp_path: Path) -> tuple[Replanning, RunPlan]:
    file = tmp_path / "load.py"
    file.write_text(LOAD_TEST)
    config = RunConfig().replaced({"arguments": (str(file),), "users": 10, "spawn_rate": 2.0, "run_time": 60.0})
    plan = build_plan(config)
    return Replanning(config, plan), plan


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"num_users": 4}, (4, 2.0, 60.0)),
        ({"users": 5}, (5, 2.0, 60.0)),
        ({"num_users": 4, "users": 5}, (4, 2.0, 60.0)),
        ({"spawn_rate": 9}, (10, 9, 60.0)),
        ({"run_time": 7}, (10, 2.0, 7.0)),
        ({"run_time": "2m"}, (10, 2.0, 120.0)),
        ({"run_time": None}, (10, 2.0, None)),
        ({"num_users": 0.0}, (0, 2.0, 60.0)),
    ],
)
def test_options_that_a_listener_has_set_are_those_of_the_run(
    made: tuple[Replanning, RunPlan], changes: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    replanning, plan = made
    vars(plan.environment.parsed_options).update(changes)
    run = Replanned()
    replanning.apply(run)
    assert run.plan is not None
    assert (run.plan.users, run.plan.rate, run.limit_s, run.has_shape) == (*expected, False)


def test_a_shape_that_a_listener_has_set_is_that_of_the_run(made: tuple[Replanning, RunPlan]) -> None:
    replanning, plan = made
    plan.environment.shape_class = Wave()
    run = Replanned()
    replanning.apply(run)
    assert isinstance(run.plan, ShapeSchedule)
    assert (run.plan.shape, run.limit_s, run.has_shape) == (plan.environment.shape_class, None, True)


def test_a_plan_that_no_listener_has_changed_stays(made: tuple[Replanning, RunPlan]) -> None:
    run = Replanned()
    made[0].apply(run)
    assert (run.plan, run.error) == (None, None)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"num_users": -1}, "parsed_options.num_users is -1, set by a listener; it has to be a whole number"),
        ({"users": "ten"}, "users is 'ten'"),
        ({"spawn_rate": 0}, "spawn_rate is 0, set by a listener; it has to be a number above 0"),
        ({"run_time": "soon"}, "run_time is 'soon'"),
        ({"run_time": []}, "run_time is"),
    ],
)
def test_what_cannot_be_ends_the_run_with_a_sentence(
    made: tuple[Replanning, RunPlan], changes: dict[str, Any], what: str
) -> None:
    replanning, plan = made
    vars(plan.environment.parsed_options).update(changes)
    run = Replanned()
    replanning.apply(run)
    assert run.plan is None
    assert what in str(run.error)


def test_a_shape_has_to_be_one(made: tuple[Replanning, RunPlan]) -> None:
    replanning, plan = made
    plan.environment.shape_class = Wave  # type: ignore[assignment]
    run = Replanned()
    replanning.apply(run)
    assert "has to be an instance" in str(run.error)

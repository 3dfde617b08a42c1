"""Load schedules: what they may still want, and runs whose users end by themselves."""

from typing import Any

import gevent
import pytest

from obswarm.api import Environment, Events, LoadTestShape, Stage, StopUser, User, task
from obswarm.engine import Outputs, Ramp, RunResult, StopReason, schedule
from obswarm.engine.schedule import LoadSchedule, ShapeSchedule, StagesSchedule
from obswarm.record import StopKind
from obswarm.stats import Recorder
from tests.support.patience import HANG_S
from tests.support.runs import local_run

STAGES = StagesSchedule([Stage(5, 5), Stage(5, 5), Stage(0, 8), Stage(5, 2)])


@pytest.mark.parametrize(
    ("made", "elapsed_s", "placed", "expected"),
    [
        (Ramp(5, 1), 2.0, 3, True),
        (Ramp(5, 1), 9.0, 5, False),
        (Ramp(2, 1), 9.0, 5, False),
        (STAGES, 2.0, 2, True),
        (STAGES, 7.0, 5, True),
        (STAGES, 7.0, 8, False),
        (STAGES, 11.0, 8, False),
        (STAGES, 11.0, 1, True),
    ],
)
def test_what_a_profile_may_still_want(made: LoadSchedule, elapsed_s: float, placed: int, expected: bool) -> None:
    assert made.may_want_more(elapsed_s, placed) is expected


class Once(User):
    @task
    def leave(self) -> None:
        self.environment.recorder.record("GET", "/", 0.001, 10, 200, None)
        gevent.sleep(0.01)
        raise StopUser


class Arrivals(LoadTestShape):
    """Three users in all, one after the other, and then a pause before a fourth."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.wanted = [1, 1, 2, 2, 3, 3, 3, 4, 4]

    def tick(self) -> Any:
        self.asked.append(self.get_current_user_count())
        return (self.wanted[len(self.asked) - 1], 1000) if len(self.asked) <= len(self.wanted) else None


def finished(made: LoadSchedule, shape: LoadTestShape | None = None) -> RunResult:
    environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Once])
    environment.shape_class = shape
    run = local_run(environment, made, test="t", outputs=Outputs([]), interval_s=0.5)
    with gevent.Timeout(HANG_S):
        return run.run()


def test_a_shape_is_asked_to_its_end_also_while_there_are_no_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "_SHAPE_INTERVAL_S", 0.06)
    shape = Arrivals()
    result = finished(ShapeSchedule(shape, [Once]), shape)
    assert len(shape.asked) == len(shape.wanted) + 1
    assert result.final.total.requests == 4
    assert result.stop_reason.kind is StopKind.TIME
    assert 1 <= result.users_max < 4


def test_stages_that_will_want_more_users_are_waited_for() -> None:
    result = finished(StagesSchedule([Stage(0, 2), Stage(0.3, 2), Stage(0, 3), Stage(0.1, 3)]))
    assert result.final.total.requests == 3


def test_a_run_ends_when_no_user_is_left_and_none_will_come() -> None:
    result = finished(Ramp(3, 1000, duration_s=15))
    assert result.stop_reason == StopReason(StopKind.USER, "every user has ended by itself")
    assert result.final.total.requests == 3
    assert 1 <= result.users_max <= 3

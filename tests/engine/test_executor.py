"""The executor of the closed model on a fake clock: time passes only when a test says so."""

import math
import random
from itertools import pairwise

import pytest

from obswarm.api import LoadTestShape, ObswarmError, Stage, User, task
from obswarm.engine.executor import ClosedExecutor
from obswarm.engine.rate_limiter import RateLimiter, step_towards
from obswarm.engine.schedule import LoadSchedule, Ramp, ShapeSchedule, StagesSchedule


class Visitor(User):
    @task
    def nothing(self) -> None: ...


class One(Visitor):
    pass


class Two(Visitor):
    pass


class Simulation:
    """An executor on a clock that jumps to whenever the executor wants to be called, plus some lateness."""

    def __init__(self, schedule: LoadSchedule, classes=(Visitor,), lateness=lambda: 0.0) -> None:
        self.now = 0.0
        self.spawned: list[tuple[float, str]] = []
        self.retired: list[tuple[float, str]] = []
        self.settled_at: list[float] = []
        self.executor = ClosedExecutor(schedule, classes)
        self.executor.start(0.0)
        self.lateness = lateness
        self.ended_at: float | None = None

    def until(self, time_s: float) -> None:
        while self.now <= time_s and self.ended_at is None:
            before = dict(self.executor.assigned)
            assignment = self.executor.step(self.now)
            if assignment is None:
                self.ended_at = self.now
                return
            for name, users in assignment.users.items():
                self.spawned += [(self.now, name)] * (users - before[name])
                self.retired += [(self.now, name)] * (before[name] - users)
            if assignment.settled:
                self.settled_at.append(self.now)
            assert assignment.wait_s > 0
            self.now += assignment.wait_s + self.lateness()

    @property
    def times(self) -> list[float]:
        return [time for time, _ in self.spawned]


def most_in_a_window(times: list[float], window_s: float) -> int:
    most = first = 0
    for last, time in enumerate(times):
        while time - times[first] > window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_users_come_evenly_one_by_one() -> None:
    simulation = Simulation(Ramp(10, 2.0))
    simulation.until(10)
    assert simulation.times == pytest.approx([i * 0.5 for i in range(10)], abs=0.06)
    assert simulation.settled_at == [simulation.times[-1]]


@pytest.mark.parametrize("seed", range(5))
def test_2000_users_a_second_never_come_as_a_burst_even_when_the_loop_is_late(seed: int) -> None:
    chance = random.Random(seed)

    def lateness() -> float:
        return 0.05 if chance.random() < 0.01 else chance.random() * 0.002

    simulation = Simulation(Ramp(4000, 2000.0), lateness=lateness)
    simulation.until(10)
    assert len(simulation.times) == 4000
    assert most_in_a_window(simulation.times, 0.020) <= 60


def test_a_ramp_of_2000_a_second_takes_the_time_that_it_should() -> None:
    simulation = Simulation(Ramp(4000, 2000.0), lateness=lambda: 0.001)
    simulation.until(10)
    assert simulation.times[-1] == pytest.approx(2.0, rel=0.02)


def test_users_leave_as_evenly_as_they_came() -> None:
    simulation = Simulation(Ramp(10, 1000.0))
    simulation.until(1)
    simulation.executor.set_load(4, 2.0, simulation.now)
    start = simulation.now
    simulation.until(10)
    assert [time - start for time, _ in simulation.retired] == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5], abs=0.06)


def test_the_end_of_the_profile_ends_the_executor() -> None:
    simulation = Simulation(Ramp(5, 10.0, duration_s=3))
    simulation.until(10)
    assert simulation.ended_at == pytest.approx(3, abs=0.06)


def test_stages_follow_their_lines_up_and_down() -> None:
    simulation = Simulation(StagesSchedule((Stage(10, 100), Stage(5, 100), Stage(10, 0))))
    for time, users in ((5, 50), (10, 100), (14, 100), (20, 50)):
        simulation.until(time)
        assert simulation.executor.assigned_users == pytest.approx(users, abs=1)
    simulation.until(30)
    assert simulation.ended_at == pytest.approx(25, abs=0.06)
    assert simulation.executor.assigned_users <= 1
    gaps = [b - a for a, b in pairwise(simulation.times)]
    assert max(gaps) < 0.11
    assert simulation.settled_at == pytest.approx([10], abs=0.06), "the last ramp ends with the schedule"


def test_a_stage_of_no_duration_is_a_jump_that_is_spread_over_a_moment() -> None:
    simulation = Simulation(StagesSchedule((Stage(0, 200), Stage(5, 200))))
    simulation.until(1)
    assert len(simulation.times) == 200
    assert most_in_a_window(simulation.times, 0.020) <= 30


def test_a_hold_freezes_load_and_profile_and_release_goes_on() -> None:
    simulation = Simulation(Ramp(100, 10.0))
    simulation.until(2)
    held = simulation.executor.assigned_users
    simulation.executor.hold(simulation.now)
    simulation.until(7)
    assert simulation.executor.assigned_users == held
    simulation.executor.release(simulation.now)
    simulation.until(8)
    assert simulation.executor.assigned_users == pytest.approx(held + 10, abs=2)


def test_classes_are_mixed_by_weight_all_along_the_ramp() -> None:
    class Often(Visitor):
        weight = 3

    class Seldom(Visitor):
        weight = 1

    class Admin(Visitor):
        fixed_count = 2

    simulation = Simulation(Ramp(42, 100.0), (Often, Seldom, Admin))
    simulation.until(2)
    assert simulation.executor.assigned == {"Often": 30, "Seldom": 10, "Admin": 2}
    assert [name for _, name in simulation.spawned[:2]] == ["Admin", "Admin"]
    assert [name for _, name in simulation.spawned[2:10]].count("Seldom") == 2


class FakeShape(LoadTestShape):
    answers: tuple = ()

    def __init__(self) -> None:
        super().__init__()
        self.ticks = 0

    def tick(self):
        self.ticks += 1
        return self.answers[min(self.ticks, len(self.answers)) - 1]


def test_a_shape_is_asked_once_a_second_and_may_choose_classes() -> None:
    class Shape(FakeShape):
        answers = ((10, 100), (10, 100), (4, 100, [Two]), None)

    shape = Shape()
    simulation = Simulation(ShapeSchedule(shape, [One, Two]), (One, Two))
    simulation.until(1.9)
    assert (simulation.executor.assigned, shape.ticks) == ({"One": 5, "Two": 5}, 2)
    simulation.until(2.9)
    assert simulation.executor.assigned == {"One": 0, "Two": 4}
    assert simulation.executor.target == {"One": 0, "Two": 4}
    simulation.until(5)
    assert simulation.ended_at == pytest.approx(3, abs=0.06)


@pytest.mark.parametrize("answer", [5, (1,), (-1, 5), (5, 0), (1, 2, 3, 4), ("a", 1), (5, 5, [int])])
def test_a_shape_that_answers_nonsense_is_told_so(answer) -> None:
    class Shape(FakeShape):
        answers = (answer,)

    with pytest.raises(ObswarmError, match=r"Shape\.tick\(\) returned"):
        Simulation(ShapeSchedule(Shape(), [One])).until(1)


def test_pace_bounds_any_window_after_a_long_pause() -> None:
    pace = RateLimiter(0.0)
    assert pace.allowed(60.0, 2000.0) == 10
    pace.take(10)
    assert pace.allowed(60.0, 2000.0) == 0


@pytest.mark.parametrize(("placed", "position", "step"), [(3, 4.9, 1), (3, 5.0, 2), (5, 3.2, -1), (5, 3.0, -2), (4, 4.0, 0)])  # fmt: skip
def test_the_position_is_approached_from_the_near_side(placed: int, position: float, step: int) -> None:
    assert step_towards(placed, position) == step


@pytest.mark.parametrize("rate", [0.4, 1.0, 2.5, 15.0, 200.0])
def test_no_second_has_more_starts_than_the_rate_however_late_the_loop_is(rate: float) -> None:
    chance = random.Random(5)
    simulation = Simulation(
        Ramp(int(rate * 20) + 3, rate),
        lateness=lambda: chance.choice([0.0, 0.002, 0.4 if chance.random() < 0.02 else 0]),
    )
    simulation.until(40)
    assert len(simulation.times) == int(rate * 20) + 3
    assert most_in_a_window(simulation.times, 1 - 1e-6) <= math.ceil(rate)


def test_when_a_shape_wants_other_classes_users_are_replaced_at_its_rate() -> None:
    class Shape(FakeShape):
        answers = ((30, 100, [One]), (30, 100, [One]), *[(30, 10, [Two])] * 9)

    simulation = Simulation(ShapeSchedule(Shape(), [One, Two]), (One, Two))
    simulation.until(1)
    while simulation.now < 8:
        simulation.until(simulation.now)
        assert simulation.executor.assigned_users == 30
    twos = [time for time, name in simulation.spawned if name == "Two"]
    assert len(twos) == 30
    assert most_in_a_window(twos, 1 - 1e-6) <= 10
    assert simulation.executor.assigned == {"One": 0, "Two": 30}
    assert len(simulation.settled_at) == 2
    assert simulation.settled_at[1] >= twos[-1]


def test_a_plateau_keeps_the_rate_of_the_slope_before() -> None:
    schedule = StagesSchedule(
        (Stage(10, 100), Stage(5, 100), Stage(0, 200), Stage(5, 200), Stage(10, 150), Stage(5, 150))
    )
    assert [schedule.at(time, 0).rate for time in (5, 12, 17, 22, 32)] == [10, 10, 1000, 5, 5]


class Fixed(Visitor):
    fixed_count = 2


def weighted(name: str, weight: int) -> type[User]:
    return type(name, (Visitor,), {"weight": weight})


def test_classes_and_weights_are_those_at_the_start() -> None:
    first, second, third = (weighted(name, 1) for name in ("First", "Second", "Third"))
    left = [first, second, third]
    executor = ClosedExecutor(Ramp(8, 1000.0), left, lambda: left)
    assert executor.target == {"First": 3, "Second": 3, "Third": 2}
    left = [first, second]
    first.weight = 3
    executor.start(0.0, burst_s=1.0)
    assert executor.target == {"First": 6, "Second": 2, "Third": 0}


@pytest.mark.parametrize(
    ("left", "what"),
    [
        ([One, Two], "a listener has added Two"),
        ([], "have left no user class"),
        ([weighted("One", -1)], "One.weight is -1"),
    ],
)
def test_classes_that_cannot_be_those_of_the_run_are_refused_at_the_start(left: list[type[User]], what: str) -> None:
    executor = ClosedExecutor(Ramp(8, 1000.0), [One], lambda: left)
    with pytest.raises(ObswarmError, match=what):
        executor.start(0.0)


def test_a_plan_is_replaced_before_the_start_but_not_the_load_that_was_set() -> None:
    executor = ClosedExecutor(Ramp(8, 1000.0), [Visitor])
    executor.replace_plan(Ramp(5, 1000.0, 60.0))
    assert (executor.target, executor.duration_s) == ({"Visitor": 5}, 60.0)
    executor.set_load(2, 1000.0, 0.0)
    executor.replace_plan(Ramp(7, 1000.0, 30.0))
    executor.start(0.0, burst_s=1.0)
    assert executor.step(1.0) is not None
    assert (executor.target, executor.duration_s) == ({"Visitor": 2}, 30.0)


def test_spawning_ends_with_as_many_users_as_fixed_counts_allow() -> None:
    simulation = Simulation(Ramp(5, 1000.0), [Fixed])
    simulation.until(1)
    assert len(simulation.times) == 2
    assert len(simulation.settled_at) == 1
    assert simulation.executor.settled

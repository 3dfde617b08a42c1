import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.api import ObswarmError, User, parse_rate_stages, task
from obswarm.engine import ArrivalLoad, ClosedExecutor, CombinedExecutor, Executor, OpenExecutor, Ramp, RateCurve


def opened(text: str, **more: str) -> OpenExecutor:
    loads = {"Buyer": text} | more
    return OpenExecutor({name: ArrivalLoad(RateCurve.of(parse_rate_stages(each)), 50) for name, each in loads.items()})


def assigned(executor: OpenExecutor, waits: list[float], name: str = "Buyer") -> float:
    """Iterations that a generator starts which keeps each rate until the next assignment; `waits` are the seconds
    between the steps, used again and again until the plan is over."""
    executor.start(0.0)
    now, number, total = 0.0, 0, 0.0
    while (assignment := executor.step(now)) is not None:
        wait_s = waits[number % len(waits)]
        total += assignment.rates[name] * wait_s
        now, number = now + wait_s, number + 1
    return total


@given(st.lists(st.floats(0.05, 0.15), min_size=1, max_size=30))
def test_the_assigned_iterations_are_the_integral_of_the_rate(waits: list[float]) -> None:
    """However irregular the steps are; only the last one cannot be corrected any more."""
    stages = "10s:50/s,20s:400/s,1s:10/s,5s:10/s,10s:0/s"
    curve = RateCurve.of(parse_rate_stages(stages))
    assert assigned(opened(stages), waits) == pytest.approx(curve.integral(99), abs=3.0)


def test_a_constant_rate_is_assigned_once() -> None:
    executor = opened("200/s")
    executor.start(5.0)
    rates = {executor.step(5.0 + number * 0.1037).rates["Buyer"] for number in range(100)}  # type: ignore[union-attr]
    assert rates == {200.0}
    assert executor.duration_s is None
    assert executor.settled
    assert executor.target == {"Buyer": 0}


def test_a_late_step_is_made_good_without_a_burst() -> None:
    executor = opened("10s:1000/s,10s:1000/s")
    executor.start(0.0)
    before = executor.step(1.0)
    late = executor.step(2.0)
    assert before is not None
    assert late is not None
    # The rate of the first step was that of a second before: 50 iterations too few, in a whole second.
    assert late.rates["Buyer"] == pytest.approx(205 + 45)
    assert executor.step(2.1) is not None


def test_stages_are_steps_of_the_plan() -> None:
    executor = opened("10s:50/s,10s:50/s,5s:0/s")
    executor.start(0.0)
    assert executor.plan_step is None
    seen = []
    for tenth in range(250):
        assignment = executor.step(tenth / 10)
        assert assignment is not None
        seen.append((executor.plan_step, executor.plan_load, executor.settled))
    assert list(dict.fromkeys(seen)) == [
        (0, "50 iterations/s", False),
        (1, "50 iterations/s", True),
        (2, "0 iterations/s", False),
    ]
    assert executor.step(25.0) is None


def test_a_hold_freezes_rate_and_time() -> None:
    executor = opened("10s:100/s")
    executor.start(0.0)
    executor.step(4.9)
    executor.hold(5.0)
    assert [executor.step(now).rates["Buyer"] for now in (5.0, 6.0, 8.0)] == [50.0, 50.0, 50.0]  # type: ignore[union-attr]
    assert (executor.holding, executor.unfollowed_s(8.0)) == (True, 3.0)
    executor.release(8.0)
    assert executor.step(8.0).rates["Buyer"] == pytest.approx(50.5)  # type: ignore[union-attr]
    assert executor.step(12.9) is not None
    assert executor.step(13.0) is None


def test_a_hold_that_lasts_beyond_the_planned_time_is_the_end() -> None:
    executor = opened("10s:100/s")
    executor.start(0.0)
    executor.hold(5.0)
    assert executor.step(9.9) is not None
    assert executor.step(10.0) is None


def test_a_scaled_load_stays_at_its_share_until_the_end_of_the_plan() -> None:
    executor = opened("10s:100/s,10s:100/s")
    executor.start(0.0)
    executor.step(10.0)
    executor.scale(0.5, 10.0)
    executor.hold(12.0)
    executor.release(13.0)
    assert executor.step(14.0).rates["Buyer"] == 50.0  # type: ignore[union-attr]
    assert executor.unfollowed_s(14.0) == 4.0
    executor.scale(0.5, 15.0)
    assert executor.step(15.0).rates["Buyer"] == 25.0  # type: ignore[union-attr]
    assert executor.step(21.0) is None


def test_another_process_goes_on_where_it_was() -> None:
    one = opened("10s:100/s,10s:100/s")
    one.start(0.0)
    one.step(5.0)
    other = opened("10s:100/s,10s:100/s")
    assert other.resume(one.state(5.0), 1000.0, run_s=7.0, away_s=2.0) == 7.0
    assert other.step(1000.0).rates["Buyer"] == pytest.approx(70.5)  # type: ignore[union-attr]
    one.scale(0.5, 5.0)
    one.step(5.0)
    other.resume(one.state(5.0), 1000.0, run_s=7.0, away_s=2.0)
    assert other.step(1001.0).rates["Buyer"] == 25.0  # type: ignore[union-attr]
    one = opened("10s:100/s,10s:100/s")
    one.start(0.0)
    one.hold(5.0)
    one.step(5.0)
    assert other.resume(one.state(5.0), 1000.0, run_s=7.0, away_s=2.0) == 5.0
    assert (other.holding, other.step(1002.0).rates["Buyer"]) == (True, 50.0)  # type: ignore[union-attr]


def test_the_number_of_users_of_an_open_model_cannot_be_set() -> None:
    executor = opened("5/s")
    executor.start(0.0)
    with pytest.raises(ObswarmError, match=r"runner\.start: the load of this run is a rate"):
        executor.set_load(5, 1.0, 0.0)


class Visitor(User):
    @task
    def nothing(self) -> None: ...


def test_classes_with_users_and_classes_with_rates_are_one_run() -> None:
    executor: Executor = CombinedExecutor(ClosedExecutor(Ramp(3, 1000.0), [Visitor]), opened("2s:10/s,2s:10/s"))
    executor.start(0.0)
    assert (executor.duration_s, executor.target) == (None, {"Buyer": 0, "Visitor": 3})
    for number in range(30):
        assignment = executor.step(number / 10)
        assert assignment is not None
    assert (assignment.users, assignment.rates, assignment.max_users) == (
        {"Visitor": 3},
        {"Buyer": 10.0},
        {"Buyer": 50},
    )
    assert executor.settled
    assert executor.plan_load == "3 users and 10 iterations/s"
    # The shorter one ends, and the run goes on.
    assignment = executor.step(5.0)
    assert assignment is not None
    assert (assignment.users, assignment.rates) == ({"Visitor": 3}, {"Buyer": 0.0})
    executor.scale(0.4, 5.0)
    executor.hold(5.0)
    assert executor.holding
    other: Executor = CombinedExecutor(ClosedExecutor(Ramp(3, 1000.0), [Visitor]), opened("2s:10/s,2s:10/s"))
    other.resume(executor.state(5.0), 50.0, run_s=5.0, away_s=0.0)
    assert other.holding
    executor.release(6.0)
    executor.set_load(7, 1000.0, 6.0)
    executor.step(6.0)
    assert executor.target["Visitor"] == 7
    assert executor.unfollowed_s(6.0) >= 0


def test_a_rate_that_is_set_replaces_the_plans_until_its_end() -> None:
    executor = OpenExecutor(
        {
            "Buyer": ArrivalLoad(RateCurve.of(parse_rate_stages("10s:30/s,10s:30/s")), 10),
            "Visitor": ArrivalLoad(RateCurve.of(parse_rate_stages("10s:90/s,10s:90/s")), 10),
        }
    )
    executor.start(0.0)
    executor.step(10.0)
    executor.set_rate(40.0, 10.0)
    assert executor.step(11.0).rates == {"Buyer": 10.0, "Visitor": 30.0}  # type: ignore[union-attr]
    executor.hold(12.0)
    executor.release(13.0)
    assert executor.step(14.0).rates == {"Buyer": 10.0, "Visitor": 30.0}  # type: ignore[union-attr]
    assert executor.step(21.0) is None


def test_a_rate_that_is_set_while_the_plans_is_0_is_divided_equally() -> None:
    executor = OpenExecutor(
        {name: ArrivalLoad(RateCurve.of(parse_rate_stages("10s:0/s,10s:30/s")), 10) for name in ("Buyer", "Visitor")}
    )
    executor.start(0.0)
    executor.set_rate(40.0, 0.0)
    assert executor.step(1.0).rates == {"Buyer": 20.0, "Visitor": 20.0}  # type: ignore[union-attr]


def test_a_rate_is_set_beside_users_and_not_without_a_class_that_has_one() -> None:
    class Visitor(User):
        @task
        def nothing(self) -> None: ...

    closed = ClosedExecutor(Ramp(3, 1000.0), [Visitor])
    combined = CombinedExecutor(closed, opened("2s:10/s,20s:10/s"))
    combined.start(0.0)
    combined.set_rate(5.0, 1.0)
    assignment = combined.step(2.0)
    assert assignment is not None
    assert (assignment.rates, combined.target["Visitor"]) == ({"Buyer": 5.0}, 3)
    with pytest.raises(ObswarmError, match="no rate"):
        closed.set_rate(5.0, 2.0)

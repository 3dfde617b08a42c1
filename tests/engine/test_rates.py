"""Rates of iterations in one process: how they are divided and passed on, and that none is dropped in silence."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.api import Environment, User, task
from obswarm.api.events import Events
from obswarm.engine import Assignment, UserScaler, apportion_rate
from obswarm.engine.driver import LoadDriver
from obswarm.stats import Recorder
from tests.support.rates_executor import RatesExecutor
from tests.support.stub_generator import StubGenerator


class Visitor(User):
    @task
    def nothing(self) -> None: ...


class Buyer(Visitor):
    pass


def environment() -> Environment:
    return Environment(events=Events(), recorder=Recorder(), user_classes=[Visitor, Buyer])


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -0.1])
def test_a_rate_that_is_no_number_of_iterations_is_no_assignment(rate: float) -> None:
    with pytest.raises(ValueError, match="the class Visitor has a rate of"):
        Assignment({}, 1.0, rates={"Visitor": rate})


def test_a_class_has_users_or_a_rate() -> None:
    with pytest.raises(ValueError, match="the class Buyer has both"):
        Assignment({"Visitor": 1, "Buyer": 2}, 1.0, rates={"Buyer": 1.0})
    both = Assignment({"Visitor": 1, "Buyer": 0}, 1.0, rates={"Buyer": 1.0})
    assert (both.user_count, both.has_rates) == (1, True)


@given(
    rate=st.floats(0, allow_infinity=False, allow_nan=False),
    weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=40).filter(any),
    chance=st.randoms(use_true_random=False),
)
def test_parts_of_a_rate_sum_up_to_it_exactly_in_any_order(
    rate: float, weights: list[float], chance: random.Random
) -> None:
    parts = apportion_rate(rate, weights)
    chance.shuffle(parts)
    assert sum(parts) == rate
    assert all(part >= 0 for part in parts)


@given(rate=st.floats(1e-300, 1e300), weights=st.lists(st.floats(1e-3, 1e6) | st.just(0.0), min_size=1).filter(any))
def test_parts_of_a_rate_are_in_proportion_to_the_weights(rate: float, weights: list[float]) -> None:
    whole = sum(weights)
    for part, weight in zip(apportion_rate(rate, weights), weights, strict=True):
        # The whole number that is divided has at least 52 bits.
        assert abs(part - rate * (weight / whole)) <= rate * (len(weights) + 1) * 2**-51
        assert weight or not part, "who can do nothing gets nothing"


def test_a_worker_passes_rates_on_at_once_until_it_is_told_to_forget_them() -> None:
    scaler = UserScaler(["Visitor", "Buyer"])
    scaler.assign(1, Assignment({"Visitor": 100}, 10.0, rates={"Buyer": 2.5}), 0.0)
    first = scaler.step(0.0)
    assert (first.users["Visitor"] < 100, first.rates) == (True, {"Buyer": 2.5})
    scaler.forget()
    assert scaler.step(0.1) == Assignment({"Visitor": 0, "Buyer": 0}, 10.0, 0.25)


def test_the_users_of_a_class_end_when_it_is_given_a_rate() -> None:
    scaler = UserScaler(["Visitor", "Buyer"])
    scaler.assign(1, Assignment({"Visitor": 3}, 1_000.0), 0.0)
    for number in range(1, 20):
        scaler.step(number * 0.1)
    assert scaler.assigned["Visitor"] == 3
    scaler.assign(2, Assignment({}, 1_000.0, rates={"Visitor": 7.0}), 2.0)
    assignment = scaler.step(2.0)
    assert (assignment.users["Visitor"], assignment.rates) == (0, {"Visitor": 7.0})
    assert scaler.settled == 2


@pytest.mark.parametrize(("rate", "ends"), [(5.0, False), (0.0, True)])
def test_a_load_with_a_rate_is_not_over_when_no_user_is_there(rate: float, ends: bool) -> None:
    """Users that keep a rate come and go."""
    generator = StubGenerator(environment())
    generator.ended = 2
    driver = LoadDriver(RatesExecutor({"Buyer": rate}, {"Visitor": 2}), generator, limit_s=None, has_shape=False)
    step = driver.step(0.0, 0.0)
    assert generator.assignments[-1].rates == {"Buyer": rate}
    assert generator.everyone_has_left()
    assert (step.stop is not None) == ends

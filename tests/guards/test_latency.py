"""Estimated response times of an interval with requests in flight."""

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from obswarm.guards.latency import AtLeast, Durations
from obswarm.stats import Histogram


def histogram(*seconds: float) -> Histogram:
    made = Histogram()
    for each in seconds:
        made.record(each)
    return made


def durations(finished=(), ages=(), interval_s: float = 1.0) -> Durations:
    return Durations(histogram(*finished), histogram(*ages), interval_s)


SECONDS = st.lists(st.floats(0.0001, 0.9), min_size=1, max_size=60)


@given(SECONDS, st.floats(0.01, 0.99))
def test_without_requests_in_flight_it_is_the_quantile_of_finished_requests(finished: list[float], q: float) -> None:
    found = durations(finished)
    assert found.quantile(q) == histogram(*finished).quantile(q)
    assert not isinstance(found.quantile(q), AtLeast)
    assert found.mean_s == pytest.approx(sum(finished) / len(finished), rel=0.011)


def test_without_any_request_there_is_no_value() -> None:
    assert durations().quantile(0.5) is None
    assert durations().mean_s is None


def test_if_no_request_finishes_the_ages_are_lower_bounds() -> None:
    found = durations(ages=[2.0] * 19 + [9.0])
    assert found.quantile(0.5) == pytest.approx(2.0, rel=0.011)
    assert found.quantile(0.99) == pytest.approx(9.0, rel=0.011)
    assert isinstance(found.quantile(0.5), AtLeast)
    assert found.mean_s == pytest.approx((19 * 2 + 9) / 20, rel=0.011)


def test_quantiles_of_fast_requests_are_exact_while_others_hang() -> None:
    # Each second 50 requests finish after 20 ms, and 50 do not finish any more, for the fifth second now.
    found = durations([0.02] * 50, [second + number / 50 for second in range(5) for number in range(1, 51)])
    assert found.quantile(0.4) == pytest.approx(0.02, rel=0.011)
    assert not isinstance(found.quantile(0.4), AtLeast)
    assert 4 < found.quantile(0.95) < 5
    assert isinstance(found.quantile(0.95), AtLeast)


def test_young_requests_in_flight_do_not_raise_the_estimate() -> None:
    found = durations([0.02] * 1000, [0.001 * number for number in range(1, 20)])
    assert found.quantile(0.99) == pytest.approx(0.02, rel=0.011)


def test_one_endless_request_does_not_change_the_percentile_of_the_others() -> None:
    assert durations([0.02] * 100, [60.0]).quantile(0.999) == pytest.approx(0.02, rel=0.011)


@given(SECONDS, st.lists(st.floats(0.0001, 5000), max_size=40), st.floats(0.01, 0.99))
def test_an_older_request_never_makes_a_value_smaller(finished: list[float], ages: list[float], q: float) -> None:
    assume(max(finished) < 1)
    before, after = durations(finished, ages), durations(finished, [*ages, 5000.0])
    assert float(after.quantile(q)) >= float(before.quantile(q)) - 1e-9


def simulated(mix: list[tuple[float, float]], rate: int, at_s: float, seed: int = 7):
    """What a snapshot sees at a moment: requests come evenly, each takes a duration of the mix (share, seconds)."""
    draw = random.Random(seed)
    shares = [share for share, _ in mix]
    finished, ages, taken = [], [], []
    for number in range(int(at_s * rate)):
        begin = number / rate
        (_, takes) = draw.choices(mix, shares)[0]
        takes *= draw.uniform(0.95, 1.05)
        taken.append(takes)
        if begin + takes > at_s:
            ages.append(at_s - begin)
        elif begin + takes > at_s - 1:
            finished.append(takes)
    return durations(finished, ages), histogram(*taken)


@pytest.mark.parametrize(
    "mix",
    [
        [(1.0, 0.02)],
        [(1.0, 3.0)],
        [(0.95, 0.02), (0.05, 10.0)],
        [(0.5, 0.05), (0.3, 0.8), (0.2, 4.0)],
        [(0.8, 1.0), (0.2, 1.5)],
    ],
)
def test_in_a_steady_state_the_estimate_is_the_true_distribution(mix) -> None:
    """However many slow requests are under way at any moment: each of them is in view for many seconds."""
    for q in (0.25, 0.6, 0.9, 0.99):
        if any(abs(sum(share for share, _ in mix[: number + 1]) - q) < 0.06 for number in range(len(mix) - 1)):
            continue  # It jumps there.
        values = []
        for moment in range(15, 26):
            found, real = simulated(mix, 100, moment + 0.3)
            values.append(float(found.quantile(q)))
        assert sorted(values)[5] == pytest.approx(real.quantile(q), rel=0.06), q

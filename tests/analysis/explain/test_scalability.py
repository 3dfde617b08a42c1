"""The Universal Scalability Law: its parameters are recovered, and not claimed where the data do not show them."""

import random
from array import array
from dataclasses import replace

import pytest

from obswarm.analysis.explain.scalability import Scalability, check_little, fit_scalability, levels_of
from obswarm.analysis.explain.timeline import LOOP_LAG, Timeline


def law(users: float, rate: float = 10.0, contention: float = 0.02, coherency: float = 0.0005) -> float:
    return rate * users / (1 + contention * (users - 1) + coherency * users * (users - 1))


def ramp(noise: float = 0.03, highest: int = 90, seed: int = 1, **parameters: float) -> list[tuple[float, float]]:
    draw = random.Random(seed)
    users = [float(number) for number in range(1, highest + 1)]
    return levels_of(users, [law(each, **parameters) * draw.gauss(1, noise) for each in users])


def test_the_parameters_and_the_peak_are_within_their_intervals() -> None:
    within = 0
    for seed in range(30):
        found = fit_scalability(ramp(seed=seed))
        assert isinstance(found, Scalability)
        assert found.peak_users is not None
        assert found.peak_rps is not None
        peak = ((1 - 0.02) / 0.0005) ** 0.5
        within += found.peak_users.low <= peak <= found.peak_users.high
        assert found.peak_users.value == pytest.approx(peak, rel=0.25)
        assert found.peak_rps.value == pytest.approx(law(peak), rel=0.1)
        assert found.rps(30) == pytest.approx(law(30), rel=0.05)
    assert within >= 24


def test_without_noise_the_law_is_exact() -> None:
    found = fit_scalability([(users, law(users)) for users in range(1, 60, 4)])
    assert isinstance(found, Scalability)
    assert (found.rate_per_user.value, found.contention.value, found.coherency.value) == pytest.approx((10, 0.02, 5e-4))


def test_no_peak_is_claimed_where_throughput_only_flattens() -> None:
    found = fit_scalability(ramp(coherency=0.0))
    assert isinstance(found, Scalability)
    assert found.peak_users is None
    assert found.no_peak
    assert found.limit_rps is not None
    assert found.limit_rps.low < 500 < found.limit_rps.high * 1.2


def test_no_peak_is_claimed_far_beyond_the_loads_that_were_tried() -> None:
    found = fit_scalability(ramp(highest=15, noise=0.0))
    assert isinstance(found, Scalability)
    assert found.peak_users is None
    assert "twice the highest load of 15 users" in found.no_peak


@pytest.mark.parametrize(
    ("levels", "why"),
    [
        ([(100.0, 50.0)], "one level of load"),
        ([(100.0 + each, 50.0) for each in range(20)], "from 100 to 119 users, less than 3-fold"),
        (levels_of([0.0] * 20, [0.0] * 20), "0 different levels"),
    ],
)
def test_data_that_do_not_allow_a_fit_are_said_to(levels: list[tuple[float, float]], why: str) -> None:
    found = fit_scalability(levels)
    assert isinstance(found, str)
    assert why in found


def steady(
    users: float, requests: float, mean_s: float, in_flight: float, steps: int = 30, lag_s: float = 0.0
) -> Timeline:
    def line(value: float) -> "array[float]":
        return array("d", [value] * steps)

    return Timeline(
        times_s=array("d", range(1, steps + 1)),
        step_s=1.0,
        users=line(users),
        users_target=line(users),
        requests=line(requests),
        throughput=line(requests),
        errors=line(0),
        mean_s=line(mean_s),
        p95_s=line(mean_s),
        p95_window_s=line(mean_s),
        in_flight=line(in_flight),
        endpoints={},
        generator={LOOP_LAG: line(lag_s)},
        saturated_workers={},
        targets={},
    )


def test_littles_law_gives_the_wait_and_checks_requests_in_flight() -> None:
    found = check_little(steady(users=100, requests=50, mean_s=0.5, in_flight=25))
    assert (found.measured, found.expected, found.is_consistent) == (25, 25, True)
    assert found.waits_s == (1.5, 1.5)


def test_requests_in_flight_that_are_not_in_the_latencies_are_noticed() -> None:
    assert check_little(steady(users=100, requests=50, mean_s=0.5, in_flight=60)).is_consistent is False
    assert check_little(steady(users=100, requests=50, mean_s=0.5, in_flight=float("nan"))).is_consistent is None


def test_requests_whose_answers_a_late_generator_has_not_read_are_in_flight() -> None:
    # 160 requests a second of 6 ms are one at a time; in 10 ms come the answers of 1.6.
    assert check_little(steady(users=160, requests=160, mean_s=0.006, in_flight=2.4)).is_consistent is False
    assert check_little(steady(users=160, requests=160, mean_s=0.006, in_flight=2.4, lag_s=0.01)).is_consistent
    # It does not excuse latencies that are too long.
    assert check_little(steady(users=160, requests=160, mean_s=0.1, in_flight=2.4, lag_s=0.1)).is_consistent is False


def test_requests_that_have_not_finished_are_no_contradiction() -> None:
    # From the middle on nothing finishes, and all users wait.
    run = steady(users=100, requests=50, mean_s=0.5, in_flight=25)
    half = len(run) // 2
    stopped = array("d", [50.0] * half + [0.0] * (len(run) - half))
    in_flight = array("d", [25.0] * half + [100.0] * (len(run) - half))
    hanging = replace(run, requests=stopped, in_flight=in_flight)
    assert check_little(hanging).is_consistent is False
    oldest_s = array("d", [0.5] * half + [0.5 + step for step in range(1, len(run) - half + 1)])
    found = check_little(replace(hanging, oldest_s=oldest_s))
    assert found.is_consistent
    assert (found.measured, found.expected) == (62.5, 12.5)

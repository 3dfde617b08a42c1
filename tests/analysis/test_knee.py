import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.analysis import LoadPoint, find_knee


def ramp(knee_users: float, end_users: float = 900, points: int = 40, noise=lambda i: 0.0) -> list[LoadPoint]:
    """A closed system of think time 1 s: throughput is users until the knee, then flat; latency follows Little's law."""
    made = []
    for i in range(points):
        users = end_users * (i + 1) / points
        rps = min(users, knee_users) * (1 + noise(i))
        made.append(LoadPoint(users, rps, 0.01 + max(0.0, users / knee_users - 1)))
    return made


@given(st.floats(min_value=150, max_value=550), st.lists(st.floats(-0.05, 0.05), min_size=40, max_size=40))
def test_the_knee_is_found_within_a_few_points(knee_users: float, noise: list[float]) -> None:
    knee = find_knee(ramp(knee_users, noise=lambda i: noise[i]))
    assert knee is not None
    assert knee.users == pytest.approx(knee_users, abs=0.15 * 900)
    assert knee.throughput_growth < 1.3
    assert knee.latency_growth > 2


def test_a_ramp_without_a_limit_has_no_knee() -> None:
    assert find_knee(ramp(knee_users=5000)) is None


def test_fewer_than_eight_points_have_no_knee() -> None:
    assert find_knee(ramp(300, points=6)) is None


def test_a_plateau_of_the_load_is_not_a_knee() -> None:
    points = [LoadPoint(min(i, 20) * 10, min(i, 20) * 10, 0.01) for i in range(1, 40)]
    assert find_knee(points) is None

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.api import parse_rate_stages
from obswarm.engine import RateCurve

POINTS = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1000)), min_size=2, max_size=8).map(
    lambda points: list(zip(sorted(time for time, _ in points), (rate for _, rate in points), strict=True))
)


def test_stages_are_straight_lines_from_0() -> None:
    curve = RateCurve.of(parse_rate_stages("10s:100/s,20s:100/s,5s:0/s"))
    assert [curve.at(time) for time in (0, 5, 10, 20, 32.5, 35, 36)] == [0, 50, 100, 100, 50, 0, 0]
    assert curve.duration_s == 35
    assert curve.integral(35) == 500 + 2000 + 250
    assert [curve.step(time) for time in (0, 9, 10, 29, 30, 99)] == [0, 0, 1, 1, 2, 2]
    assert [curve.goal(time) for time in (0, 10, 30, 99)] == [100, 100, 0, 0]
    assert [curve.is_level(time) for time in (0, 10, 30)] == [False, True, False]
    assert [curve.is_over(time) for time in (0, 34.9, 35)] == [False, False, True]
    assert curve.highest == 100


def test_a_stage_of_no_duration_is_a_jump() -> None:
    curve = RateCurve.of(parse_rate_stages("0s:50/s,10s:50/s"))
    assert (curve.at(0), curve.integral(10)) == (50, 500)


def test_a_constant_rate_has_no_end() -> None:
    curve = RateCurve.of(parse_rate_stages("20/s"))
    assert (curve.duration_s, curve.at(1e6), curve.integral(1e6), curve.is_over(1e9)) == (None, 20, 2e7, False)


@given(POINTS, st.lists(st.floats(0, 120), max_size=20))
def test_the_integral_is_the_sum_of_its_parts_and_never_falls(
    points: list[tuple[float, float]], times: list[float]
) -> None:
    curve = RateCurve(points)
    before = 0.0
    for time_s in sorted(times):
        assert curve.integral(time_s) >= before - 1e-9 * max(1.0, before)
        before = curve.integral(time_s)
    whole = sum((later - earlier) * (low + high) / 2 for (earlier, low), (later, high) in pairwise(points))
    assert curve.integral(1e3) == pytest.approx(whole)


@given(POINTS, st.floats(0, 100))
def test_the_rate_is_the_slope_of_the_integral(points: list[tuple[float, float]], time_s: float) -> None:
    curve, width = RateCurve(points), 1e-4
    if any(abs(time_s - each) < 2 * width for each, _ in points) or not points[0][0] < time_s < points[-1][0]:
        return
    slope = (curve.integral(time_s + width) - curve.integral(time_s - width)) / (2 * width)
    assert slope == pytest.approx(curve.at(time_s), rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("points", [[], [(1.0, 1.0), (0.5, 1.0)], [(0.0, -1.0)], [(0.0, float("inf"))]])
def test_a_curve_that_makes_no_sense_is_refused(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="curve"):
        RateCurve(points)

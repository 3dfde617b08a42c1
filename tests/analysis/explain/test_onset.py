"""Moments of change: found where they are, with intervals that contain them as often as they say."""

import math
import random
from array import array
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obswarm.analysis.explain.onset import (
    Onset,
    Segment,
    change_points,
    despiked,
    filled,
    moment_of,
    noise_of,
    segments_of,
)


def changing(at: int, size: float, *, count: int = 90, ramp: int = 1, noise: float = 1.0, seed: int = 1) -> list[float]:
    """A level of 10 with noise, which rises by `size` from position `at` on, within `ramp` steps."""
    draw = random.Random(seed)
    return [10 + size * min(1.0, max(0, second - at + 1) / ramp) + draw.gauss(0, noise) for second in range(count)]


@given(st.integers(15, 75), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_a_step_of_eight_deviations_is_found_to_the_second(at: int, seed: int) -> None:
    values = changing(at, 8, seed=seed)
    edges = [each.begin for each in segments_of(values)[1:]]
    assert any(abs(edge - at) <= 1 for edge in edges)


def test_noise_has_no_change_points() -> None:
    false = sum(len(segments_of(changing(0, 0, seed=seed))) - 1 for seed in range(200))
    assert false <= 10


def test_correlated_noise_has_few_change_points() -> None:
    false = 0
    for seed in range(100):
        draw, value, values = random.Random(seed), 0.0, []
        for _ in range(120):
            value = 0.5 * value + draw.gauss(0, 1)
            values.append(value)
        false += len(segments_of(values)) > 1
    assert false <= 10


def test_the_minimum_is_that_of_trying_every_division() -> None:
    """PELT leaves out candidates that cannot be part of it."""

    def cost(segments: list[tuple[int, int]]) -> float:
        total = 0.0
        for begin, end in segments:
            mean = sum(values[begin:end]) / (end - begin)
            total += sum((each - mean) ** 2 for each in values[begin:end]) + 3 * math.log(len(values))
        return total

    for seed in range(20):
        values = changing(5, 4, count=11, seed=seed)
        divisions = []
        for mask in range(2 ** (len(values) - 1)):
            edges = [0, *(at for at in range(1, len(values)) if mask >> at - 1 & 1), len(values)]
            divisions.append(list(pairwise(edges)))
        found = [(each.begin, each.end) for each in change_points(values, 1.0)]
        assert cost(found) == pytest.approx(min(map(cost, divisions)))


def test_levels_are_the_means_of_their_segments() -> None:
    assert change_points([1, 1, 1, 1, 9, 9, 9, 9], 0.5) == [Segment(0, 4, 1.0), Segment(4, 8, 9.0)]
    assert change_points([], 1) == []


@pytest.mark.parametrize("ramp", [1, 15])
def test_the_interval_contains_the_moment_as_often_as_it_says(ramp: int) -> None:
    """Also for a rate over 15 s, which rises slowly: its beginning is meant."""
    times = [second + 1.0 for second in range(90)]
    within = [
        onset.low_s <= 41.0 <= onset.high_s
        for seed in range(150)
        for onset in [moment_of(changing(40, 6, ramp=ramp, seed=seed), times, 0, 40, 90)]
    ]
    assert sum(within) >= 0.85 * len(within)


def test_the_beginning_of_a_slow_change_is_found_and_not_its_middle() -> None:
    times = [second + 1.0 for second in range(90)]
    found = [moment_of(changing(40, 20, ramp=30, seed=seed), times, 0, 55, 90).time_s for seed in range(20)]
    assert sorted(found)[10] == pytest.approx(41, abs=3)


def test_one_outlier_is_not_a_change() -> None:
    assert [each.level for each in segments_of([0.0] * 20 + [50.0] + [0.0] * 20)] == [0.0]
    assert list(despiked([1, 1, 9, 1, 1, 5, 5, 5])) == [1, 1, 1, 1, 1, 5, 5, 5]


def test_gaps_are_filled_and_a_series_without_values_has_no_segments() -> None:
    assert list(filled([math.nan, 2.0, math.nan, 3.0])) == [2.0, 2.0, 2.0, 3.0]
    assert segments_of([math.nan] * 10) == []
    assert segments_of([]) == []


def test_counts_that_never_vary_have_no_noise_and_still_one_change() -> None:
    values = array("d", [0.0] * 30 + [7.0] * 30)
    assert noise_of(values) > 0
    assert [each.begin for each in segments_of(values)] == [0, 30]


def test_onsets_are_ordered_only_if_their_intervals_do_not_overlap() -> None:
    early, late = Onset(10, 9, 11, 10), Onset(13, 12, 14, 13)
    assert early.before(late)
    assert not late.before(early)
    assert not early.before(Onset(12, 11, 13, 12))

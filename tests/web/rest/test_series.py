"""The seconds of a run as columns: a bounded number of points, whose percentiles are those of their requests."""

from dataclasses import replace

import pytest

from obswarm.web.rest.series import COLUMNS, SecondSeries, point_of
from tests.support.recorded import PAGE, MadeUpRun


def filled(seconds: int, most: int) -> SecondSeries:
    """A series of seconds with one request each, of 0.1 s and 0.9 s in turn."""
    series = SecondSeries(most)
    run = MadeUpRun([])
    for second in range(seconds):
        run.pass_a_second({PAGE: [0.9 if second % 2 else 0.1]})
        series.add(replace(run.last, time_s=float(second + 1)))
    return series


def test_points_are_put_together_when_there_are_too_many() -> None:
    series = filled(8, 8)
    assert (len(series), series.step_s) == (4, 2.0)
    times, columns, heat = series.since(0.0)
    assert times == [2.0, 4.0, 6.0, 8.0]
    assert columns["rps"] == [1.0] * 4
    assert columns["p99_s"] == pytest.approx([0.9] * 4, rel=0.02)
    assert columns["p50_s"] == pytest.approx([0.1] * 4, rel=0.02)
    assert [sum(count for _, count in each) for each in heat.counts] == [2] * 4
    assert {len(column) for column in columns.values()} == {4}


def test_the_steps_go_on_in_the_same_length() -> None:
    series = filled(11, 8)
    assert series.since(0.0)[0] == [2.0, 4.0, 6.0, 8.0, 10.0]
    assert filled(9, 9).since(0.0)[0] == [2.0, 4.0, 6.0, 8.0], "the last second has no other yet"
    assert filled(10, 9).since(0.0)[0] == [2.0, 4.0, 6.0, 8.0, 10.0]


def test_the_number_of_points_is_bounded_however_long_it_takes() -> None:
    series = filled(500, 16)
    assert len(series) < 16
    assert series.step_s == 32.0
    times, columns, heat = series.since(0.0)
    assert times[-1] >= 500 - 32
    assert sum(count for each in heat.counts for _, count in each) == times[-1]
    assert columns["rps"] == pytest.approx([1.0] * len(times))


def test_a_second_without_requests_has_no_percentiles() -> None:
    run = MadeUpRun([])
    run.pass_a_second({})
    point = point_of(run.last)
    assert set(point) == {"time_s", "heat", *COLUMNS}
    assert (point["p99_s"], point["rps"], point["heat"], point["users"]) == (None, 0.0, [], 3)
    series = SecondSeries()
    series.add(run.last)
    assert series.since(0.0)[1]["p50_s"] == [None]


def test_the_bounds_of_the_heatmap_are_those_of_the_points() -> None:
    run = MadeUpRun([])
    run.pass_a_second({PAGE: [0.01, 0.5, 0.5]})
    series = SecondSeries()
    series.add(run.last)
    heat = series.since(0.0)[2]
    pairs = [(heat.bounds_s[band], count) for band, count in heat.counts[0]]
    assert pairs == point_of(run.last)["heat"]
    assert all(bound * 2 ** (-1 / 8) < seconds <= bound for (bound, _), seconds in zip(pairs, (0.01, 0.5), strict=True))

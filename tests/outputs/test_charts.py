"""Charts in a terminal."""

from hypothesis import given
from hypothesis import strategies as st

from obswarm.cli.charts import chart_room, line_chart, scale_top, sparkline
from obswarm.units import format_latency

values = st.lists(st.none() | st.floats(0, 1e6), max_size=300)


@given(values, st.integers(0, 100), st.integers(1, 8))
def test_a_chart_has_the_size_that_was_asked_for(series: list[float | None], width: int, height: int) -> None:
    lines = line_chart(series, width, height, lambda value: f"{value:.0f}")
    assert len(lines) == height
    assert all(len(line) >= min(width - 1, 10) for line in lines)
    assert all(len(line) <= max(width, 10) for line in lines)


@given(values)
def test_the_scale_ends_at_a_round_number_above_all_values(series: list[float | None]) -> None:
    top = scale_top(series)
    highest = max((value for value in series if value is not None), default=0.0)
    assert top >= highest * (1 - 1e-9)
    assert top == 1.0 or top <= highest * 1.7


def test_a_line_rises_from_the_left_and_has_a_scale() -> None:
    lines = line_chart([0.0, 0.1, 0.2, 0.3], 8 + 2 + 2, 3, format_latency)
    assert [line[:10] for line in lines] == ["  300 ms ┤", "  150 ms ┤", "    0 µs ┤"]
    assert [line[10:] for line in lines] == ["⠀⢸", "⢀⠇", "⡸⠀"]


def test_a_second_without_a_value_is_a_gap() -> None:
    lines = line_chart([1.0] * 10 + [None] * 10 + [1.0] * 10, 10 + 15, 1, str)
    assert lines[0][10:] == "⠉" * 5 + "⠀" * 5 + "⠉" * 5


def test_old_values_leave_on_the_left() -> None:
    room = chart_room(30, 8)
    assert line_chart([5.0] * 500 + [1.0] * room, 30, 1, str) == line_chart([1.0] * room, 30, 1, str)


def test_bars_are_as_high_as_the_highest() -> None:
    assert sparkline([0, None, 7, 14]) == "▁▁▅█"
    assert sparkline([]) == ""

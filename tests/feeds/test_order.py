"""The order of rows is a function of the position."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from obswarm.feeds.order import row_number

SEEDS = st.integers(0, 2**48)


@given(SEEDS, st.integers(1, 300), st.integers(0, 5))
def test_shuffle_has_each_row_once_in_each_round(seed: int, count: int, turn: int) -> None:
    order = [row_number("shuffle", seed, count, turn * count + place) for place in range(count)]
    assert sorted(order) == list(range(count))


def test_rounds_and_seeds_have_other_orders() -> None:
    def order(seed: int, turn: int) -> tuple[int, ...]:
        return tuple(row_number("shuffle", seed, 100, turn * 100 + place) for place in range(100))

    orders = {order(seed, turn) for seed in range(3) for turn in range(3)}
    assert len(orders) == 9
    assert tuple(range(100)) not in orders


@given(SEEDS, st.integers(1, 2**40), st.integers(0, 2**50))
def test_every_position_has_a_row(seed: int, count: int, position: int) -> None:
    for policy in ("unique", "circular", "random", "shuffle"):
        assert 0 <= row_number(policy, seed, count, position) < count
    assert row_number("circular", seed, count, position) == position % count


def test_random_draws_each_row_about_as_often() -> None:
    drawn = Counter(row_number("random", 7, 10, position) for position in range(10_000))
    # Chi-square with 9 degrees of freedom: below 27.9 with a probability of 99.9 %; the seed is fixed.
    assert sum((drawn[row] - 1000) ** 2 / 1000 for row in range(10)) < 27.9

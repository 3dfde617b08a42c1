"""What is packed comes out as it was."""

import math

from hypothesis import given
from hypothesis import strategies as st

from obswarm.store.pack import Names, pack_values, unpack_values


@given(st.dictionaries(st.integers(0, 1000), st.floats(allow_nan=False)))
def test_values(values: dict[int, float]) -> None:
    assert unpack_values(pack_values(values)) == values


def test_a_figure_that_is_gone() -> None:
    assert math.isnan(unpack_values(pack_values({3: math.nan}))[3])


def test_names_have_the_numbers_that_they_had() -> None:
    names = Names()
    assert [
        names.number("endpoint", "GET", "/"),
        names.number("worker", "w"),
        names.number("endpoint", "GET", "/"),
    ] == [
        0,
        1,
        0,
    ]
    again = Names()
    again.restore(names.fresh)
    assert again.number("worker", "w") == 1
    assert again.number("worker", "v") == 2
    assert [number for number, _ in again.fresh] == [2]

"""Numbers of iterations as they are written in settings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.api import format_iterations, parse_iterations


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1000", {"": 1000}),
        (" 1_000 ", {"": 1000}),
        ("Shopper=100", {"Shopper": 100}),
        ("Shopper = 100, Browser=50", {"Shopper": 100, "Browser": 50}),
    ],
)
def test_a_number_is_shared_or_of_a_class(text: str, numbers: dict[str, int]) -> None:
    assert parse_iterations(text) == numbers


@given(st.dictionaries(st.from_regex(r"[A-Za-z_]\w*", fullmatch=True), st.integers(1, 2**53), min_size=1))
def test_what_is_written_is_read_again(numbers: dict[str, int]) -> None:
    assert parse_iterations(format_iterations(numbers)) == numbers


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "'' is not a number of iterations"),
        ("0", "'0' is not a number"),
        ("-5", "'-5' is not a number"),
        ("1.5", "'1.5' is not a number"),
        ("²", "'²' is not a number"),
        (str(2**53 + 1), "from 1 to 9,007,199,254,740,992"),
        ("=5", "'=5' has no user class"),
        ("A=1,A=2", "'A' is given twice"),
        ("100,A=2", "has a number without a user class beside others"),
        ("A=", "'' is not a number"),
    ],
)
def test_anything_else_is_refused_with_an_example(text: str, part: str) -> None:
    with pytest.raises(ValueError, match="write a number, like 1000, or one for each user class") as refused:
        parse_iterations(text)
    assert part in str(refused.value)

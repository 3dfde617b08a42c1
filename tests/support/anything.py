"""Strategies for what load tests and targets may give where a text or a number belongs."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st


class Raises(Exception):
    """Nothing can be asked of it."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not comparable")

    def __bool__(self) -> bool:
        raise RuntimeError("neither true nor false")

    def __float__(self) -> float:
        raise RuntimeError("no number")

    def __getattribute__(self, name: str) -> Any:
        if name in ("speaks_for_itself", "status_code"):
            raise RuntimeError(f"no {name}")
        return super().__getattribute__(name)


class OwnText(str):
    """A text whose methods are somebody else's."""

    def __str__(self) -> str:
        return "another \ud83d"

    def __len__(self) -> int:
        raise RuntimeError("no length")


class Likeness:
    """A number of a library of numbers."""

    def __init__(self, value: float) -> None:
        self._value = value

    def __float__(self) -> float:
        return self._value


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
"""Any str at all: lone surrogates, controls and what is no character included."""

LONG_TEXT = st.builds(lambda text, times: text * times, ANY_TEXT, st.integers(1, 2000))

ANY_NUMBER: st.SearchStrategy[Any] = st.one_of(
    st.floats(0, 100),
    st.floats(),
    st.integers(-10, 10**6),
    st.integers(),
    st.sampled_from([1.76e12, 2**55, 2**60, 2**64, 2**90, -1, 1.5, 10**400, True]),
    st.decimals(),
    st.fractions(),
    st.builds(Likeness, st.floats()),
    st.sampled_from(["12.5", "-1", "inf", "nan", " 7 ", "soon", b"3", "1_000", None]),
)

ANYTHING: st.SearchStrategy[Any] = st.one_of(
    ANY_TEXT,
    LONG_TEXT,
    ANY_TEXT.map(OwnText),
    st.binary(max_size=20),
    ANY_NUMBER,
    st.builds(Raises),
    st.builds(list, st.lists(ANY_TEXT, max_size=2)),
    st.dictionaries(ANY_TEXT, st.integers(), max_size=2),
    st.sampled_from([(), object, Decimal("sNaN"), Fraction(1, 3), {1, 2}]),
)

ANY_EXCEPTION: st.SearchStrategy[Exception] = st.one_of(
    ANY_TEXT.map(ValueError), LONG_TEXT.map(KeyError), st.builds(Raises), st.builds(OSError, st.integers())
)

ANY_ERROR: st.SearchStrategy[Any] = st.one_of(ANYTHING, ANY_EXCEPTION)

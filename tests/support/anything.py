"""Strategies for what load tests and targets may give where a text or a number belongs."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any
from unittest.mock import MagicMock, Mock

import gevent
from hypothesis import strategies as st

FAULTS: tuple[type[BaseException], ...] = (
    RuntimeError,
    gevent.Timeout,
    SystemExit,
    KeyboardInterrupt,
    gevent.GreenletExit,
    GeneratorExit,
)
"""What code that is called may raise."""


class Raises(Exception):
    """Nothing can be asked of it."""

    def __init__(self, fault: type[BaseException] = RuntimeError) -> None:
        super().__init__()
        self.fault = fault

    def __str__(self) -> str:
        raise self.fault

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    def __hash__(self) -> int:
        raise self.fault

    def __eq__(self, other: object) -> bool:
        raise self.fault

    def __bool__(self) -> bool:
        raise self.fault

    def __float__(self) -> float:
        raise self.fault

    def __getattribute__(self, name: str) -> Any:
        if name in ("has_full_message", "status_code"):
            raise self.fault
        return super().__getattribute__(name)


class SaysItIsText:
    """isinstance takes it for a str, which it is not."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return str


class _Nameless(type):
    @property
    def __name__(cls) -> str:
        raise ValueError("no name")


class OfANamelessClass(metaclass=_Nameless):
    def __str__(self) -> str:
        raise ValueError("no text")


LOOK_ALIKES: st.SearchStrategy[Any] = st.one_of(
    st.builds(SaysItIsText),
    st.builds(Mock, spec=st.sampled_from([str, int, ValueError])),
    st.builds(MagicMock, spec=st.sampled_from([str, float, ValueError])),
    st.builds(OfANamelessClass),
)
"""What says that it is something else, or does not say what it is."""

FAULTY: st.SearchStrategy[Any] = st.builds(Raises, st.sampled_from(FAULTS))


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
    FAULTY,
    LOOK_ALIKES,
    st.builds(list, st.lists(ANY_TEXT, max_size=2)),
    st.dictionaries(ANY_TEXT, st.integers(), max_size=2),
    st.sampled_from([(), object, Decimal("sNaN"), Fraction(1, 3), {1, 2}]),
)

ANY_EXCEPTION: st.SearchStrategy[Exception] = st.one_of(
    ANY_TEXT.map(ValueError), LONG_TEXT.map(KeyError), FAULTY, st.builds(OSError, st.integers())
)

ANY_ERROR: st.SearchStrategy[Any] = st.one_of(ANYTHING, ANY_EXCEPTION)

ANYTHING_TABLE: tuple[Callable[[], Any], ...] = (
    *(lambda value=value: value for value in (None, 7, b"\xff", "\ud83d", "\x1b[31m", "x" * 30_000, "", True, object)),
    *(lambda fault=fault: Raises(fault) for fault in FAULTS),
    *(lambda look_alike=look_alike: Mock(spec=look_alike) for look_alike in (str, int, ValueError)),
    lambda: MagicMock(spec=str),
    SaysItIsText,
    OfANamelessClass,
    lambda: OwnText("own"),
    lambda: [1, [2]],
    lambda: {"a": "\ud83d"},
)
"""The same kinds for a test that makes a request of each."""

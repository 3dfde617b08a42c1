"""Text and numbers of unknown origin."""

import json
import math
import sqlite3
import unicodedata
import xml.etree.ElementTree as ElementTree
from contextlib import closing
from decimal import Decimal
from fractions import Fraction

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from obswarm.sanitize import (
    clean_lines,
    clean_text,
    escape_controls,
    is_clean,
    to_number,
    to_seconds,
    to_size,
    to_text,
)
from tests.support.anything import ANY_TEXT


@given(ANY_TEXT)
@example("no stock for \ud83d")
@example("\x1b[2J\x00\x7f\x9b\u2028\u202e\uffff")
def test_clean_text_can_be_written_in_every_format(text: str) -> None:
    clean = clean_text(text)
    assert clean.encode().decode() == clean
    assert json.loads(json.dumps(clean, ensure_ascii=False)) == clean
    assert msgpack.unpackb(msgpack.packb(clean)) == clean
    with closing(sqlite3.connect(":memory:")) as database:
        assert database.execute("SELECT ?", [clean]).fetchone() == (clean,)
    element = ElementTree.Element("e", a=clean)
    assert ElementTree.fromstring(ElementTree.tostring(element)).get("a") == clean


@given(ANY_TEXT)
def test_clean_text_has_neither_controls_nor_line_breaks(text: str) -> None:
    clean = clean_text(text)
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in clean)
    assert len(clean.splitlines()) <= 1


@given(ANY_TEXT)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean_text(clean_text(text)) == clean_text(text)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("/problems/{id}", "/problems/{id}"),
        ("größer als 日本語 🎉", "größer als 日本語 🎉"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("half \ud83d", "half \\ud83d"),
        ("\x9b", "\\x9b"),
    ],
)
def test_only_what_is_unfit_is_escaped(text: str, clean: str) -> None:
    assert clean_text(text) == clean == escape_controls(text)


class Wordless:
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Shout(str):
    def __str__(self) -> str:
        return "\x00" * 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (None, "None"),
        (b"/caf\xc3\xa9", "/café"),
        (b"/caf\xe9", "/caf\\xe9"),
        (bytearray(b"x"), "x"),
        (Wordless(), "<Wordless>"),
        (Shout("fine"), "fine"),
        (["a"], "['a']"),
    ],
)
def test_anything_becomes_text(value: object, text: str) -> None:
    assert clean_text(value) == to_text(value) == text
    assert type(clean_text(value)) is str


def test_a_text_that_is_too_long_says_how_long_it_was() -> None:
    clean = clean_text("x" * 30_000, 100)
    assert len(clean) == 100
    assert clean.startswith("xxxx")
    assert clean.endswith("… [cut: 30,000 characters]")


def test_a_text_that_escapes_make_too_long_is_cut_as_well() -> None:
    clean = clean_text("\x00" * 90, 100)
    assert len(clean) == 100
    assert clean.endswith("… [cut: 90 characters]")


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0),
        (True, 1.0),
        ("12.5", 12.5),
        (Decimal("0.25"), 0.25),
        (Fraction(1, 4), 0.25),
        (-2, -2.0),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        ("twelve", None),
        (None, None),
        ([], None),
    ],
)
def test_a_number_is_finite_or_none(value: object, number: float | None) -> None:
    assert to_number(value) == number


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("a\n  b\r\nc", "a\n  b\nc"),
        ("a\rb\x0cc\x1b[1m", "a\\rb\\x0cc\\x1b[1m"),
        ("no \ud83d", "no \\ud83d"),
        (None, "None"),
    ],
)
def test_lines_of_a_traceback_stay_lines(given: object, clean: str) -> None:
    assert clean_lines(given) == clean


def test_a_traceback_that_is_too_long_keeps_its_end_with_a_note() -> None:
    lines = clean_lines("\n".join(f"line {number}" for number in range(1000)), 200)
    assert len(lines) == 200
    assert lines.startswith("[cut: 8,889 characters] …")
    assert lines.endswith("line 999")


@given(st.text() | st.binary() | st.integers())
def test_what_was_cleaned_is_clean(value: object) -> None:
    assert is_clean(clean_text(value))
    assert is_clean(clean_lines(value).replace("\n", ""))


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (1, 1.0),
        (Decimal("0.5"), 0.5),
        (Fraction(1, 4), 0.25),
        ("0.125", 0.125),
        (-3, 0.0),
        (1_760_000_000.0, 1_760_000_000.0),
        (1e10, None),
        (math.nan, None),
        (math.inf, None),
        (None, None),
        ("soon", None),
        ([], None),
        (10**400, None),
    ],
)
def test_durations(given: object, seconds: float | None) -> None:
    assert to_seconds(given) == seconds


@pytest.mark.parametrize(
    ("given", "size"),
    [(5, 5), (True, 1), (1.5, 2), ("7", 7), (-1, 0), (2**60, 2**60), (2**60 + 1, 2**60 + 1), (2**90, 2**62 - 1), (Decimal("2.4"), 2), (math.nan, None), (-math.inf, None), ("x", None), ({}, None)],
)  # fmt: skip
def test_sizes(given: object, size: int | None) -> None:
    assert to_size(given) == size

"""Text and numbers of unknown origin."""

import json
import sqlite3
import unicodedata
import xml.etree.ElementTree as ElementTree
from decimal import Decimal
from fractions import Fraction

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from obswarm.sanitize import clean_text, escape_controls, to_number, to_text

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
"""Any str at all: lone surrogates, controls and what is no character included."""


@given(ANY_TEXT)
@example("no stock for \ud83d")
@example("\x1b[2J\x00\x7f\x9b\u2028\u202e\uffff")
def test_clean_text_can_be_written_in_every_format(text: str) -> None:
    clean = clean_text(text)
    assert clean.encode().decode() == clean
    assert json.loads(json.dumps(clean, ensure_ascii=False)) == clean
    assert msgpack.unpackb(msgpack.packb(clean)) == clean
    assert sqlite3.connect(":memory:").execute("SELECT ?", [clean]).fetchone() == (clean,)
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

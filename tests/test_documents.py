"""The prose of the documentation: how durations and sizes are written."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import ROOT

VALUES = ("CHANGELOG.md", "metrics.md", "settings.md")
"""Documents with sentences of the program, which writes durations as settings have them."""
DOCUMENTS = [path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")) if path.name not in VALUES]
_WITHOUT_BLANK = re.compile(r"(?<![\w.:])\d[\d,.]*(?:µs|ms|s|min|h|[KMG]i?B|kB)(?![\w:])")


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """The lines outside code, with their numbers."""
    is_code = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield number, re.sub(r"`[^`]*`", "", line)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_number_has_a_blank_before_its_unit_unless_it_is_the_value_of_a_setting(path: Path) -> None:
    assert [(number, found) for number, text in prose(path) for found in _WITHOUT_BLANK.findall(text)] == []


def test_what_is_found() -> None:
    assert _WITHOUT_BLANK.findall("after 30s, 1.5ms or 20MiB; 30 s, 1:05s, p95s, 2xx, 5 h") == ["30s", "1.5ms", "20MiB"]

"""Write CSV whose cells are text: control characters are escaped, and so is what a spreadsheet would evaluate."""

import csv
import re
from collections.abc import Iterable
from typing import TextIO

from obswarm.sanitize import escape_lines, to_text

_FORMULA = re.compile(r"\s*[=+\-@\uff0b\uff0d\uff1d\uff20]")
"""First characters of a cell that a spreadsheet would evaluate as a formula, including full-width forms
(https://owasp.org/www-community/attacks/CSV_Injection)."""

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def text_cell(value: object) -> str:
    """Format a cell: control characters other than line feeds and tabs are escaped, and a text that a spreadsheet would
    evaluate as a formula gets an apostrophe in front. Numbers are unchanged."""
    text = escape_lines(to_text(value))
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


class CsvRows:
    """CSV writer that formats each cell with `text_cell`."""

    def __init__(self, stream: TextIO) -> None:
        self._writer = csv.writer(stream)

    def write(self, row: Iterable[object]) -> None:
        self._writer.writerow([text_cell(value) for value in row])

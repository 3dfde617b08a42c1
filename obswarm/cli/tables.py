"""Tables for a terminal of any width: less important columns are omitted so that numbers and names are never cut."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAVY
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from obswarm.cli.text_console import TextTable, plain
from obswarm.sanitize import escape_controls

_NAME_WIDTH = 28
_LEAST_NAME_WIDTH = 14
"""Minimum width of a name's column; with less, names are on separate lines, above their numbers."""

TEXTS_FROM = 70
"""Minimum columns of a terminal for texts side by side."""

_GAP = 2
"""Columns of the terminal between two columns of a table."""

_INDENT = "  "

Cell = str | Text
Row = tuple[str, Sequence[Cell]]
"""A name, and the cells with its numbers."""


def results_table(**options: Any) -> TextTable:
    """Return an empty table in the style of all commands."""
    return TextTable(box=SIMPLE_HEAVY, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False, **options)


def _width_of(cell: Cell) -> int:
    return cell.cell_len if isinstance(cell, Text) else cell_len(escape_controls(cell))


def _widths(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> list[int]:
    return [max(map(_width_of, cells)) + _GAP for cells in zip(headings, *rows, strict=True)]


def columns_that_fit(
    width: int,
    names: Iterable[str],
    headings: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    least_first: Sequence[str],
) -> list[int]:
    """Return the indexes of the columns to show beside the names.

    Columns are omitted in the order of `least_first` until the names have enough space: up to _NAME_WIDTH columns of
    the terminal; longer names take several lines.
    """
    taken = _widths(headings, rows)
    longest = max(map(_width_of, names), default=0)
    name_width = min(longest, _NAME_WIDTH) + _GAP if longest else 0
    kept = list(range(len(headings)))
    for heading in least_first:
        if name_width + sum(taken[place] for place in kept) <= width:
            break
        if heading in headings:
            kept.remove(headings.index(heading))
    return kept


def metrics_table(
    width: int,
    heading: str,
    headings: Sequence[str],
    rows: Sequence[Row],
    least_first: Sequence[str],
    foot: Row | None = None,
) -> RenderableType:
    """Return a table of names and numbers; see `columns_that_fit`. If even the most important columns leave no space
    for names, each name is on a separate line, above its numbers."""
    everything = [*rows, foot] if foot is not None else rows
    kept = fitting_columns(width, heading, headings, everything, least_first)
    if kept is None:
        return stacked(width, headings, everything, least_first)
    table = results_table(show_footer=foot is not None)
    taken = _widths(headings, [cells for _, cells in everything])
    room = width - sum(taken[place] for place in kept) - _GAP
    table.add_column(heading, foot[0] if foot is not None else "", overflow="fold")
    for place in kept:
        table.add_column(headings[place], foot[1][place] if foot is not None else "", justify="right", no_wrap=True)
    for name, cells in rows:
        table.add_row(Group(*map(plain, lines_of(name, room))), *(cells[place] for place in kept))
    return table


def lines_of(name: str, width: int) -> list[str]:
    """Split a name into lines, at spaces and before slashes if possible."""
    lines = [""]
    for part in re.split(r"(?=/)|(?<= )", escape_controls(name)):
        if lines[-1] and cell_len(lines[-1]) + cell_len(part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return [line.rstrip() for line in lines]


def texts_table(
    width: int, headings: Sequence[str], rows: Sequence[Sequence[Cell]], right: Sequence[str] = ()
) -> RenderableType:
    """Return a table of texts, which are wrapped if necessary; in a terminal of less than TEXTS_FROM columns, the other
    texts of a row are below its first."""
    if width < TEXTS_FROM:
        named = [(cells[0] if isinstance(cells[0], str) else cells[0].plain, cells[1:]) for cells in rows]
        return stacked(width, headings[1:], named)
    table = results_table()
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for cells in rows:
        table.add_row(*cells)
    return table


def fitting_columns(
    width: int, heading: str, headings: Sequence[str], rows: Sequence[Row], least_first: Sequence[str]
) -> list[int] | None:
    """Return the same as `columns_that_fit`, or None if there is no space for names."""
    names, cells = [heading, *(name for name, _ in rows)], [cells for _, cells in rows]
    kept = columns_that_fit(width, names, headings, cells, least_first)
    taken = _widths(headings, cells)
    least = min(max(map(_width_of, names)), _LEAST_NAME_WIDTH) + _GAP
    return kept if least + sum(taken[place] for place in kept) <= width else None


def stacked(width: int, headings: Sequence[str], rows: Sequence[Row], least_first: Sequence[str] = ()) -> Group:
    """Return each name on a separate line, with its numbers and their headings below, without those of
    `least_first`."""
    lines: list[Text] = []
    for name, cells in rows:
        lines.append(plain(name, "bold"))
        line = plain(_INDENT)
        for heading, cell in zip(headings, cells, strict=True):
            if heading in least_first:
                continue
            pair = plain(f"{heading} " if heading else "", "dim")
            pair.append_text(cell if isinstance(cell, Text) else plain(cell))
            if line.cell_len > len(_INDENT) and line.cell_len + _GAP + pair.cell_len > width:
                lines.append(line)
                line = plain(_INDENT)
            elif line.cell_len > len(_INDENT):
                line.append(" " * _GAP)
            line.append_text(pair)
        lines.append(line)
    return Group(*lines)

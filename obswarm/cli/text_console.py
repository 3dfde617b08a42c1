"""What a terminal is shown with: rich, with everything that reads markup out of texts turned off.

Names, reasons and error texts come from load tests and targets. Here a text is a text: no markup, no emoji codes, no
highlighting, and no control character reaches the terminal. A text is one line; a line feed in it is shown as `\\n`.
"""

import logging
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import gevent
from rich.box import SIMPLE_HEAVY
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.logging import RichHandler
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from obswarm.log_format import MESSAGE_FORMAT, LogFormatter
from obswarm.sanitize import escape_controls, escape_lines, to_text

WIDTH_WITHOUT_TERMINAL = 140
"""Columns where the output goes to a file: wide enough that names are not cut."""


_NAME_WIDTH = 28
_GAP = 3
"""Columns of the terminal between those of a table."""


def plain(text: object, style: str = "") -> Text:
    """The text as it is, on one line, in a style of rich."""
    return Text(escape_controls(to_text(text)), style)


def joined(*parts: str | tuple[str, str]) -> Text:
    """Texts behind each other, each alone or as (text, style)."""
    whole = Text()
    for part in parts:
        whole.append_text(plain(part) if isinstance(part, str) else plain(*part))
    return whole


class TextConsole(Console):
    """A rich console for which a string is text on one line."""

    def __init__(
        self,
        file: TextIO | None = None,
        *,
        stderr: bool = False,
        width: int | None = None,
        height: int | None = None,
    ) -> None:
        super().__init__(
            file=file, stderr=stderr, width=width, height=height, markup=False, highlight=False, emoji=False
        )

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(escape_controls(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        # The last resort, for texts that were not made by `plain`: what a load test prints while a display is live.
        for segment in super().render(renderable, options):
            if segment.control is None and not segment.text.isprintable():
                segment = Segment(escape_lines(segment.text), segment.style)
            yield segment


def stdout_console(stream: TextIO | None = None) -> TextConsole:
    """For standard output (or `stream`), wide where it is no terminal."""
    stream = stream or sys.stdout
    return TextConsole(stream, width=None if stream.isatty() else WIDTH_WITHOUT_TERMINAL)


class TextTable(Table):
    """A rich table whose headings and cells, where they are strings, are texts on one line."""

    def add_column(self, header: RenderableType = "", footer: RenderableType = "", **options: Any) -> None:
        super().add_column(_cell(header), _cell(footer), **options)

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        super().add_row(*(None if cell is None else _cell(cell) for cell in cells), **options)


def _cell(content: RenderableType) -> RenderableType:
    return plain(content) if isinstance(content, str) else content


def results_table(**options: Any) -> TextTable:
    """A table as all commands print theirs."""
    return TextTable(box=SIMPLE_HEAVY, header_style="bold", padding=(0, 1), pad_edge=False, **options)


def columns_that_fit(
    width: int,
    names: Iterable[str],
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    least_first: Sequence[str],
) -> list[int]:
    """Which columns of figures to show, by their place, beside names that are to be read.

    The least important ones go, in the order of `least_first`, until the names have room: up to _NAME_WIDTH columns of
    the terminal, of which a long name takes several lines.
    """
    taken = [max(map(cell_len, cells)) + _GAP for cells in zip(headings, *rows, strict=True)]
    name_width = min(max((cell_len(escape_controls(name)) for name in names), default=0), _NAME_WIDTH) + _GAP
    kept = list(range(len(headings)))
    for heading in least_first:
        if name_width + sum(taken[place] for place in kept) <= width:
            break
        kept.remove(headings.index(heading))
    return kept


def panel(content: RenderableType, title: Text, subtitle: Text, border_style: str) -> Panel:
    """A frame. Its titles are no strings, which rich would read as markup."""
    return Panel(content, title=title, subtitle=subtitle, border_style=border_style)


class _ConsoleHandler(RichHandler):
    def render_message(self, record: logging.LogRecord, message: str) -> Text:
        # Not rich's: a record could ask for markup there.
        return Text(message)


class _EscapedStandardError:
    """A stream for tracebacks that nobody has caught."""

    def write(self, text: str) -> None:
        sys.stderr.write(escape_lines(text))

    def flush(self) -> None:
        sys.stderr.flush()


def escape_tracebacks() -> None:
    """For a whole process: control characters in the tracebacks that Python and gevent print are escaped."""
    escaped: Any = _EscapedStandardError()
    sys.excepthook = lambda kind, error, trace: traceback.print_exception(kind, error, trace, file=escaped)
    gevent.get_hub().exception_stream = escaped


def console_handler(console: TextConsole) -> RichHandler:
    """Log records above whatever else the console shows."""
    handler = _ConsoleHandler(console=console, show_path=False, omit_repeated_times=False)
    handler.setFormatter(LogFormatter(MESSAGE_FORMAT))
    return handler

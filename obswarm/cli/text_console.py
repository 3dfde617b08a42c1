"""What a terminal is shown with: rich, with everything that reads markup out of texts turned off.

Names, reasons and error texts come from load tests and targets. Here a text is a text: no markup, no emoji codes, no
highlighting, and no control character reaches the terminal. A text is one line; a line feed in it is shown as `\\n`.
"""

import logging
import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO

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

_WITHOUT_CURSOR_CONTROL = ("", "dumb", "unknown")
"""Values of TERM."""


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


def can_redraw(stream: TextIO) -> bool:
    """Whether a picture can be drawn anew in place there, and nobody has asked for plain output.

    That is a terminal with cursor control that shows UTF-8, without CI. NO_COLOR (https://no-color.org) is about
    colours alone, which rich leaves out.
    """
    if not stream.isatty() or not stream.encoding.lower().startswith("utf"):
        return False
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        return False
    if os.environ.get("TERM", "").lower() in _WITHOUT_CURSOR_CONTROL:
        return False
    try:
        import curses
    except ImportError:
        return True
    try:
        curses.setupterm(fd=stream.fileno())
        return bool(curses.tigetstr("cuu1") or curses.tigetstr("cuu"))
    except (curses.error, OSError):
        # A terminal that this machine's database does not know is a new one rather than one on paper.
        return True


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


def panel(content: RenderableType, title: Text, subtitle: Text, border_style: str) -> Panel:
    """A frame. Its titles are no strings, which rich would read as markup."""
    return Panel(content, title=title, subtitle=subtitle, border_style=border_style)


class _ConsoleHandler(RichHandler):
    def render_message(self, record: logging.LogRecord, message: str) -> Text:
        # Not rich's: a record could ask for markup there.
        return Text(message)


def console_handler(console: TextConsole) -> RichHandler:
    """Log records above whatever else the console shows."""
    handler = _ConsoleHandler(console=console, show_path=False, omit_repeated_times=False, log_time_format="%H:%M:%S")
    handler.setFormatter(LogFormatter(MESSAGE_FORMAT, shows_secrets=True))
    return handler

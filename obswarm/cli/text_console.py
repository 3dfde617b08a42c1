"""A rich console without markup.

Names, reasons and error texts come from load tests and targets, so strings are plain text: without markup, emoji codes
and highlighting. Control characters are escaped. A text is one line; a line feed in it is shown as `\\n`.
"""

import logging
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
"""Width of output to a file, in columns: enough not to cut names."""


def plain(text: object, style: str = "") -> Text:
    """Return the text, on one line, in a style of rich."""
    return Text(escape_controls(to_text(text)), style)


def joined(*parts: str | tuple[str, str]) -> Text:
    """Return texts concatenated; each is a string or (text, style)."""
    whole = Text()
    for part in parts:
        whole.append_text(plain(part) if isinstance(part, str) else plain(*part))
    return whole


class TextConsole(Console):
    """A rich console that prints a string as plain text on one line."""

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
        # For texts that were not made by `plain`: what a load test prints during a live display.
        for segment in super().render(renderable, options):
            if segment.control is None and not segment.text.isprintable():
                segment = Segment(escape_lines(segment.text), segment.style)
            yield segment


def stdout_console(stream: TextIO | None = None) -> TextConsole:
    """Return a console for standard output (or `stream`), with a fixed width if that is not a terminal."""
    stream = stream or sys.stdout
    return TextConsole(stream, width=None if stream.isatty() else WIDTH_WITHOUT_TERMINAL)


class TextTable(Table):
    """A rich table that shows strings as plain text on one line."""

    def add_column(self, header: RenderableType = "", footer: RenderableType = "", **options: Any) -> None:
        super().add_column(_cell(header), _cell(footer), **options)

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        super().add_row(*(None if cell is None else _cell(cell) for cell in cells), **options)


def _cell(content: RenderableType) -> RenderableType:
    return plain(content) if isinstance(content, str) else content


def panel(content: RenderableType, title: Text, subtitle: Text, border_style: str) -> Panel:
    """Return a frame. Its titles are Text, since rich would interpret markup in strings."""
    return Panel(content, title=title, subtitle=subtitle, border_style=border_style)


class _ConsoleHandler(RichHandler):
    def render_message(self, record: logging.LogRecord, message: str) -> Text:
        # Instead of rich's method, which interprets markup if the record requests it.
        return Text(message)


def console_handler(console: TextConsole) -> RichHandler:
    """Return a handler that prints log records above the live display of the console."""
    handler = _ConsoleHandler(console=console, show_path=False, omit_repeated_times=False, log_time_format="%H:%M:%S")
    handler.setFormatter(LogFormatter(MESSAGE_FORMAT, shows_secrets=True))
    return handler

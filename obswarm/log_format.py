"""How log records become text: every handler formats with this, so that nothing in a record is more than text."""

import logging
import sys

from obswarm.sanitize import indent_lines

FILE_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
STREAM_FORMAT = "%(levelname)s: %(message)s"
MESSAGE_FORMAT = "%(message)s"


class LogFormatter(logging.Formatter):
    """Escapes control characters, and indents all lines of a record but its first (tracebacks, and texts of a target
    that have line feeds), so that no text can look like a record of its own or command a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return indent_lines(super().format(record))


_plain = logging.Formatter(MESSAGE_FORMAT)


def record_text(record: logging.LogRecord) -> str:
    """A record's message and traceback as they are, for whoever logs it again in another process."""
    return _plain.format(record)


def stream_handler() -> logging.Handler:
    """To standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter(STREAM_FORMAT))
    return handler

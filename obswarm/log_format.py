"""Formatting of log records, used by every handler: control characters are escaped and secrets redacted."""

import logging
import sys

from obswarm.redact import redact_text, redact_traceback
from obswarm.sanitize import indent_lines

FILE_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
STREAM_FORMAT = "%(levelname)s: %(message)s"
MESSAGE_FORMAT = "%(message)s"


class LogFormatter(logging.Formatter):
    """Escapes control characters, indents all lines of a record but its first, and redacts secrets (obswarm.redact), so
    that no text of a target can look like a log record or control the terminal.

    With `shows_secrets`, a record's attribute `secret` (`extra={"secret": …}`) is appended to its message; only for
    handlers whose readers may see it.
    """

    def __init__(self, form: str, shows_secrets: bool = False) -> None:
        super().__init__(form)
        self._shows_secrets = shows_secrets

    def format(self, record: logging.LogRecord) -> str:
        text = _redacted(super().format(record), record)
        secret = getattr(record, "secret", "")
        return indent_lines(f"{text}{secret}" if self._shows_secrets else text)


def _redacted(text: str, record: logging.LogRecord) -> str:
    return redact_traceback(text) if record.exc_info or record.exc_text else redact_text(text)


_plain = logging.Formatter(MESSAGE_FORMAT)


def record_text(record: logging.LogRecord) -> str:
    """Return a record's message and traceback, with secrets redacted, to be logged by another process."""
    return _redacted(_plain.format(record), record)


def stream_handler() -> logging.Handler:
    """Return a handler for standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter(STREAM_FORMAT))
    return handler

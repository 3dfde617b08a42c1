"""How log records become text: every handler formats with this, so that nothing in a record is more than text."""

import logging
import sys

from obswarm.redact import redact_text, redact_traceback
from obswarm.sanitize import indent_lines

FILE_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
STREAM_FORMAT = "%(levelname)s: %(message)s"
MESSAGE_FORMAT = "%(message)s"


class LogFormatter(logging.Formatter):
    """Escapes control characters, and indents all lines of a record but its first (tracebacks, and texts of a target
    that have line feeds), so that no text can look like a record of its own or command a terminal. Secrets in texts
    are left out (obswarm.redact).

    A record's attribute `secret` (`extra={"secret": …}`) is written behind its message with `shows_secrets`, where only
    those read it who may know it.
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
    """A record's message and traceback, but for secrets, for whoever logs it again in another process."""
    return _redacted(_plain.format(record), record)


def stream_handler() -> logging.Handler:
    """To standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter(STREAM_FORMAT))
    return handler

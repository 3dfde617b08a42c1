"""Tracebacks of uncaught exceptions on standard error, without control characters and secrets."""

import sys
import traceback
from typing import Any

import gevent

from obswarm.redact import redact_traceback
from obswarm.sanitize import escape_lines


class _EscapedStandardError:
    """A stream for tracebacks of uncaught exceptions, which escapes control characters and secrets."""

    def write(self, text: str) -> None:
        sys.stderr.write(escape_lines(redact_traceback(text)))

    def flush(self) -> None:
        sys.stderr.flush()


def escape_tracebacks() -> None:
    """Escape control characters in the tracebacks that Python and gevent print, in the whole process."""
    escaped: Any = _EscapedStandardError()
    sys.excepthook = lambda kind, error, trace: traceback.print_exception(kind, error, trace, file=escaped)
    gevent.get_hub().exception_stream = escaped

"""Tracebacks that nobody has caught, on standard error: without control characters and secrets."""

import sys
import traceback
from typing import Any

import gevent

from obswarm.redact import redact_traceback
from obswarm.sanitize import escape_lines


class _EscapedStandardError:
    """A stream for tracebacks that nobody has caught."""

    def write(self, text: str) -> None:
        sys.stderr.write(escape_lines(redact_traceback(text)))

    def flush(self) -> None:
        sys.stderr.flush()


def escape_tracebacks() -> None:
    """For a whole process: control characters in the tracebacks that Python and gevent print are escaped."""
    escaped: Any = _EscapedStandardError()
    sys.excepthook = lambda kind, error, trace: traceback.print_exception(kind, error, trace, file=escaped)
    gevent.get_hub().exception_stream = escaped

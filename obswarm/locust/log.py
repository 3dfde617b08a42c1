"""`locust.log`: for programs that set up logging as Locust does."""

import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent

from obswarm.streams import set_up_logging

HOSTNAME = socket.gethostname().split(".")[0]

__all__ = [
    "HOSTNAME",
    "LogReader",
    "get_logs",
    "greenlet_exception_logger",
    "setup_logging",
    "unhandled_greenlet_exception",
]

_MOST_LINES = 500

unhandled_greenlet_exception = False
"""For load tests that read it: the exceptions of their greenlets are in the reports, and in the exit code."""


class LogReader(logging.Handler):
    """Keeps the last lines of the log, in `logs`."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: deque[str] = deque(maxlen=_MOST_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        self.logs.append(self.format(record))


def get_logs() -> list[str]:
    """Return the lines that LogReader handlers of the root logger have kept, none without one: `obswarm run` sets up
    none."""
    return [line for each in logging.getLogger().handlers if isinstance(each, LogReader) for line in each.logs]


def setup_logging(loglevel: str, logfile: str | None = None) -> None:
    """Log from that level on to standard error, or to a file. `obswarm run` has set up logging before. Raises
    ObswarmError if the file cannot be written."""
    set_up_logging(loglevel, logfile)


def greenlet_exception_logger(logger: logging.Logger, level: int = logging.CRITICAL) -> Callable[[Any], None]:
    """Return a function for `greenlet.link_exception` that logs the exception of the greenlet."""

    def log(greenlet: gevent.Greenlet) -> None:
        logger.log(level, "Exception in %r", greenlet, exc_info=greenlet.exc_info)

    return log

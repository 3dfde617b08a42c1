"""`locust.log`: for programs that set up logging as Locust does."""

import logging
import socket
from collections.abc import Callable
from typing import Any

import gevent

from obswarm.streams import set_up_logging

HOSTNAME = socket.gethostname().split(".")[0]

__all__ = ["HOSTNAME", "greenlet_exception_logger", "setup_logging"]


def setup_logging(loglevel: str, logfile: str | None = None) -> None:
    """Log from that level on to standard error, or to a file. `obswarm run` has set up logging before. Raises
    ObswarmError if the file cannot be written."""
    set_up_logging(loglevel, logfile)


def greenlet_exception_logger(logger: logging.Logger, level: int = logging.CRITICAL) -> Callable[[Any], None]:
    """Return a function for `greenlet.link_exception` that logs the exception of the greenlet."""

    def log(greenlet: gevent.Greenlet) -> None:
        logger.log(level, "Exception in %r", greenlet, exc_info=greenlet.exc_info)

    return log

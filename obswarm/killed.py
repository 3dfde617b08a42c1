"""Greenlets that distinguish being killed from a GreenletExit raised by the load test's code."""

from typing import Any

import gevent


class Supervised(gevent.Greenlet):  # type: ignore[misc]  # gevent has no types
    """A greenlet that knows whether it was killed."""

    is_killed = False

    def kill(self, *arguments: Any, **options: Any) -> Any:
        self.is_killed = True
        return super().kill(*arguments, **options)


def is_killed() -> bool:
    """Return whether the current greenlet was killed, i.e. a GreenletExit was not raised by the load test's code."""
    return getattr(gevent.getcurrent(), "is_killed", False)


def put_off(error: BaseException) -> None:
    """Defer the kill of the current greenlet, for an exception that must not be raised now because something has to be
    counted first: it is raised when the greenlet blocks next. Any other exception is discarded."""
    if isinstance(error, gevent.GreenletExit) and is_killed():
        gevent.getcurrent().kill(block=False)

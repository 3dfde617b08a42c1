"""Greenlets that know whether their end was asked for: a GreenletExit of somebody's code is not taken for it."""

from typing import Any

import gevent


class Supervised(gevent.Greenlet):  # type: ignore[misc]  # gevent has no types
    """A greenlet that knows whether it was killed on purpose."""

    is_killed = False

    def kill(self, *arguments: Any, **options: Any) -> Any:
        self.is_killed = True
        return super().kill(*arguments, **options)


def is_killed() -> bool:
    """Whether a GreenletExit in the current greenlet is meant for it, and is not one that somebody's code raised."""
    return getattr(gevent.getcurrent(), "is_killed", False)


def put_off(error: BaseException) -> None:
    """Call it for what must not be raised now, since something has to be counted first: when it is the forced end of
    the current greenlet, that comes as soon as the greenlet waits for anything again. Anything else is forgotten."""
    if isinstance(error, gevent.GreenletExit) and is_killed():
        gevent.getcurrent().kill(block=False)

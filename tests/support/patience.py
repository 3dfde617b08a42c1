"""How long tests wait: for a condition rather than for an amount of time, and with a deadline that says nothing about
speed."""

import time
from collections.abc import Callable
from typing import TypeVar

HANG_S = 180.0
"""Seconds after which what a test waits for is taken to hang. Only keeps a test of something broken from running for
ever: a busy machine takes many times as long as an idle one, so that a promise about time needs a bound of its own."""

_Found = TypeVar("_Found")


def wait_until(
    condition: Callable[[], _Found],
    what: str | Callable[[], object] = "",
    every_s: float = 0.05,
    ended: Callable[[], object] = lambda: None,
) -> _Found:
    """Ask until the answer is true, and return it.

    Raises AssertionError with `what`, or what it returns, after HANG_S seconds, or when `ended` returns anything but
    None, as the `poll` of a process does that is to bring it about.
    """
    deadline = time.monotonic() + HANG_S
    while True:
        over = ended() is not None or time.monotonic() > deadline
        found = condition()
        if found:
            return found
        assert not over, what() if callable(what) else what
        time.sleep(every_s)

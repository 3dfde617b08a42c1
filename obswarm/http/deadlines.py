"""Timeouts of streams, by a timer wheel that costs next to nothing per request.

A timer per request costs more than all other bookkeeping of a request. Here each stream stands in a wheel of time slots
once, at its earliest possible deadline; when the slot comes up the stream has usually moved on and is put back at its
present deadline. A stream is looked at about once per timeout, not once per request.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol

import gevent
from gevent.hub import Hub
from greenlet import greenlet

from obswarm import clock

RESOLUTION_S = 0.01
NEVER = math.inf


class StreamTimeout(Exception):
    """The deadline of a stream passed while it was waiting."""


class Waiting(Protocol):
    """A stream: `due` is the moment (clock.monotonic) at which it has waited too long, `waiter` the greenlet that
    waits, if any, `looked_at` is the wheel's own: when it will look at it next."""

    due: float
    looked_at: float
    waiter: Any


class Deadlines:
    """The wheel of one hub (one thread). Deadlines are met late by at most RESOLUTION_S and the loop's lag."""

    def __init__(self, hub: Hub) -> None:
        self.leave: Callable[[], Any] = greenlet.switch.__get__(hub)
        """Let others run until what this greenlet waits for switches back to it. Here for all streams of the hub, since
        each bound method is an object.

        It is greenlet's method: gevent's own, in Cython, looks for a hook `switch_out` of each greenlet that waits,
        which is a tenth of the way to the hub and back. The only one with that hook is the hub, where a callback of the
        loop cannot wait: there `leave` returns at once. See `refuse_hub`."""
        self._hub = hub

        self._slots: dict[int, set[Waiting]] = {}
        self._timer = hub.loop.timer(RESOLUTION_S, repeat=RESOLUTION_S)
        self._turned_to = 0
        self._turning = False

    def refuse_hub(self, waiter: Any) -> None:
        """Raise gevent's BlockingSwitchOutError when the hub was to wait. Call this when what `leave` has waited for is
        not so."""
        if waiter is self._hub:
            waiter.switch_out()

    def watch(self, waiting: Waiting) -> None:
        """Check the stream again when it is due."""
        self.forget(waiting)
        waiting.looked_at = waiting.due
        if not self._turning:
            self._turning = True
            self._turned_to = _slot(clock.monotonic()) - 1
            self._timer.start(self._turn)
        # A deadline that has passed already gets the next turn.
        slot = max(_slot(waiting.due), self._turned_to + 1)
        if slot != _slot(waiting.due):
            waiting.looked_at = slot * RESOLUTION_S
        self._slots.setdefault(slot, set()).add(waiting)

    def forget(self, waiting: Waiting) -> None:
        """Remove a stream that is closed, so that the wheel does not keep it alive."""
        if waiting.looked_at != NEVER:
            slot = self._slots.get(_slot(waiting.looked_at))
            if slot is not None:
                slot.discard(waiting)
            waiting.looked_at = NEVER

    def _turn(self) -> None:
        now = clock.monotonic()
        target = _slot(now) - 1
        while self._turned_to < target and self._slots:
            self._turned_to += 1
            for waiting in self._slots.pop(self._turned_to, ()):
                self._look_at(waiting, now)
        self._turned_to = max(self._turned_to, target)
        if not self._slots:
            self._turning = False
            self._timer.stop()

    def _look_at(self, waiting: Waiting, now: float) -> None:
        waiting.looked_at = NEVER
        if waiting.waiter is None or waiting.due == NEVER:
            # Nothing to wait for: its next wait registers it anew.
            return
        if waiting.due > now:
            self.watch(waiting)
        else:
            waiting.waiter.throw(StreamTimeout())


def _slot(moment: float) -> int:
    return math.floor(moment / RESOLUTION_S + 1e-6)


def deadlines() -> Deadlines:
    """Return the wheel of the running hub."""
    hub = gevent.get_hub()
    found: Deadlines | None = getattr(hub, "obswarm_deadlines", None)
    if found is None:
        found = hub.obswarm_deadlines = Deadlines(hub)
    return found

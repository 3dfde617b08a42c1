"""The clock of a server, which need not be right, from the times that it gives in its answers."""

from collections.abc import Callable

from obswarm import clock

_CHECK_EVERY_S = 60.0


class ServerClock:
    """Tells which time of a server's clock is a moment on ours (`obswarm.clock.monotonic`).

    What a server says between a request and its answer bounds how far its clock is from ours. Where our own wall clock
    is within these bounds, it is taken; else the earliest time that they allow, since a server has no values of its
    future.
    """

    def __init__(
        self, monotonic: Callable[[], float] = clock.monotonic, wall: Callable[[], float] = clock.wall
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._offset_s: float | None = None
        self._noted_s = 0.0

    def note(self, asked_s: float, answered_s: float, server_s: float) -> None:
        """Between these two moments its clock was at `server_s` (seconds since 1970)."""
        lowest_s, highest_s = server_s - answered_s, server_s - asked_s
        own_s = self._wall() - self._monotonic()
        self._offset_s = own_s if lowest_s <= own_s <= highest_s else lowest_s
        self._noted_s = answered_s

    def at(self, moment_s: float) -> float | None:
        """Its time at that moment, in seconds since 1970; None when it has to be asked what time it is."""
        if self._offset_s is None or self._monotonic() - self._noted_s > _CHECK_EVERY_S:
            return None
        return moment_s + self._offset_s

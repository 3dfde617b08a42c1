"""Graceful departure of a worker on a signal: its users are moved to other workers, and its statistics delivered."""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent

from obswarm.cluster.wire.messages import Leaving
from obswarm.cluster.worker.connection import MasterConnection
from obswarm.ending_signals import ending_signals

logger = logging.getLogger(__name__)

LEAVING_S = 10.0
"""Maximum time, in addition to the stop timeout, until the master confirms the departure, in seconds."""

_AT_ONCE = 130
_NOT_LET_GO = 4


class Departure:
    """`stop_timeout_s()` returns the stop timeout in seconds, None before the load test is loaded. `stop(timeout_s)`
    stops the users without blocking."""

    def __init__(
        self, link: MasterConnection, stop_timeout_s: Callable[[], float | None], stop: Callable[[float], None]
    ) -> None:
        self.was_requested = False
        """Whether a signal ended the worker, instead of its master."""
        self._link = link
        self._stop_timeout_s = stop_timeout_s
        self._stop = stop
        self._is_under_way = False
        self._was_hung_up = False

    @contextmanager
    def at_signals(self) -> Iterator[None]:
        """Leave on SIGINT, SIGTERM or SIGHUP inside the context."""
        watchers = [gevent.signal_handler(kind, self.leave, kind) for kind in ending_signals()]
        try:
            yield
        finally:
            for watcher in watchers:
                watcher.cancel()
            if self._was_hung_up:
                # The next one would end the process with its default action, while it ends anyway.
                signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def leave(self, kind: signal.Signals = signal.SIGINT) -> None:
        """Stop the users, and leave when the master confirms it; a second call exits at once."""
        self.was_requested = True
        self._was_hung_up |= kind is signal.SIGHUP
        if self._is_under_way and kind is signal.SIGHUP:
            # A closing terminal sends it more than once.
            return
        timeout_s = self._stop_timeout_s()
        if timeout_s is None or self._is_under_way:
            self._link.finish(_AT_ONCE)
            return
        self._is_under_way = True
        logger.info("Leaving: waiting for running tasks. Another signal exits at once.")
        self._link.send(Leaving("it was ended by a signal"))
        self._stop(timeout_s)
        self._link.supervisor.spawn_later(timeout_s + LEAVING_S, "The end of a worker", self._link.finish, _NOT_LET_GO)

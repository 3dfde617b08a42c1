"""How a worker leaves at a signal: others get its users, and what it measured is delivered first."""

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
"""How long a master may take, besides the stop timeout, to let a worker go."""

_AT_ONCE = 130
_NOT_LET_GO = 4


class Departure:
    """`stop_timeout_s()` is how long running tasks may take, or None while there are none to wait for: the load test is
    not loaded. `stop(timeout_s)` has the users end, and does not wait."""

    def __init__(
        self, link: MasterConnection, stop_timeout_s: Callable[[], float | None], stop: Callable[[float], None]
    ) -> None:
        self.was_told = False
        """Whether a signal ended the worker, rather than its master."""
        self._link = link
        self._stop_timeout_s = stop_timeout_s
        self._stop = stop
        self._is_under_way = False
        self._was_hung_up = False

    @contextmanager
    def at_signals(self) -> Iterator[None]:
        """Leave at SIGINT, SIGTERM or SIGHUP while the context lasts."""
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
        """Have the users end and the master let this worker go; a second call ends it at once."""
        self.was_told = True
        self._was_hung_up |= kind is signal.SIGHUP
        if self._is_under_way and kind is signal.SIGHUP:
            # A terminal that is closed sends it more than once; nobody insists.
            return
        timeout_s = self._stop_timeout_s()
        if timeout_s is None or self._is_under_way:
            self._link.finish(_AT_ONCE)
            return
        self._is_under_way = True
        logger.info("Leaving: running tasks may finish. Another signal ends at once.")
        self._link.send(Leaving("it was told to end by a signal"))
        self._stop(timeout_s)
        self._link.supervisor.spawn_later(timeout_s + LEAVING_S, "The end of a worker", self._link.finish, _NOT_LET_GO)

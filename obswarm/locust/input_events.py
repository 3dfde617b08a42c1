"""`locust.input_events`: keys that are pressed in the terminal, for programs with a run of their own."""

import logging
import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Mapping

import gevent

logger = logging.getLogger(__name__)

_EVERY_S = 0.2

__all__ = ["InitError", "UnixKeyPoller", "get_poller", "input_listener"]


class InitError(Exception):
    """Standard input is not a terminal."""


class UnixKeyPoller:
    """Reads single keys from the terminal. Raises InitError if standard input is none."""

    def __init__(self) -> None:
        if not sys.stdin.isatty():
            raise InitError("Standard input is not a terminal; keys are not read.")
        self._stdin = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._stdin)
        tty.setcbreak(self._stdin, termios.TCSANOW)

    def cleanup(self) -> None:
        """Leave the terminal as it was."""
        termios.tcsetattr(self._stdin, termios.TCSANOW, self._before)

    def poll(self) -> str | None:
        """Return the next key, None if none was pressed."""
        ready, _, _ = select.select([self._stdin], [], [], 0)
        # Not by sys.stdin, whose buffer would take further keys.
        return os.read(self._stdin, 1).decode(errors="replace") or None if ready else None


def get_poller() -> UnixKeyPoller:
    """Return the poller of this platform. Raises InitError without a terminal."""
    return UnixKeyPoller()


def input_listener(key_to_func_map: Mapping[str, Callable[[], object]]) -> Callable[[], None]:
    """Return a function for `gevent.spawn` that calls the function of each key that is pressed, until its greenlet is
    killed. Without a terminal it returns at once."""

    def listen() -> None:
        try:
            poller = get_poller()
        except InitError as error:
            logger.debug("%s", error)
            return
        try:
            while True:
                key = poller.poll()
                if not key:
                    gevent.sleep(_EVERY_S)
                elif key in key_to_func_map:
                    key_to_func_map[key]()
        except Exception as error:
            logger.warning("Keys are no longer read: %s", error)
        finally:
            poller.cleanup()

    return listen

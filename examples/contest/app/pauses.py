"""Pauses of a whole process, as a garbage collector makes them that stops everything."""

import ctypes
import threading
import time

import telemetry

# A PyDLL's functions keep the interpreter's lock, so no other thread executes Python meanwhile.
_libc = ctypes.PyDLL(None)


class Pauses:
    """`take` stops the process for `pause_s` if the last time was `pause_every_s` ago; it does not use the CPU."""

    def __init__(self, settings):
        self._settings = settings
        self._lock = threading.Lock()
        self._last_s = 0.0

    def take(self):
        current = self._settings.current
        if not current.pause_s:
            return
        with self._lock:
            now = time.monotonic()
            if now - self._last_s < current.pause_every_s:
                return
            self._last_s = now
        _libc.usleep(round(min(current.pause_s, 0.999) * 1e6))
        telemetry.PAUSE.observe(current.pause_s)

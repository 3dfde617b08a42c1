"""Supervision of a service, which runs in a child process that is restarted after a crash.

The child writes to a pipe when it ends intentionally. The exit code is not sufficient, since a load test can call
`os._exit(0)`, too.
"""

import ctypes
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import gevent
from gevent import signal_handler
from gevent.event import Event

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.command_line import command_again, environment_of_it
from obswarm.ending_signals import ending_signals
from obswarm.greenlets import Supervisor
from obswarm.temporary import TemporaryFolder

logger = logging.getLogger(__name__)

_VARIABLE = "OBSWARM_SUPERVISOR"
"""Process id of the parent, and file descriptor of the pipe in the child, as PID:FD."""

SERVICE_FOLDER = "OBSWARM_SERVICE_FOLDER"
"""A folder for temporary files that exists as long as the service, however its child processes end."""

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0
_LIVED_S = 30.0
"""Running time of a child after which the pause before its restart is _FIRST_PAUSE_S again."""

_PR_SET_PDEATHSIG = 1


def supervise(hands_over: bool = False) -> int | None:
    """Run this process's command in a child, restarting it until it ends intentionally; returns its exit code.

    With `hands_over`, SIGTERM ends the child as a crash would, and returns 0: what it was doing is continued by the
    next process that uses its state. Returns None in the child, which then does its work in `with ends_as_meant():`.
    """
    if _pipe() is not None:
        _end_with_parent()
        return None
    return _Parent(hands_over).run()


@contextmanager
def ends_as_meant() -> Iterator[None]:
    """In the child: leaving this block ends the service, also by ObswarmError, but not by another exception."""
    try:
        yield
    except ObswarmError:
        _confirm_end()
        raise
    _confirm_end()


def _confirm_end() -> None:
    pipe = _pipe()
    if pipe is not None:
        os.write(pipe, b".")


def _pipe() -> int | None:
    parent, _, descriptor = os.environ.get(_VARIABLE, "").partition(":")
    return int(descriptor) if parent == str(os.getppid()) and descriptor.isdecimal() else None


def _end_with_parent() -> None:
    parent = os.getppid()
    platform: str = sys.platform
    if platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return

    def watch() -> None:
        while os.getppid() == parent:
            gevent.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)

    Supervisor().keep("The watch on the parent process", watch)


class _Parent:
    def __init__(self, hands_over: bool) -> None:
        self._hands_over = hands_over
        self._has_handed_over = False
        self._child: subprocess.Popen[bytes] | None = None
        self._ending = Event()
        self._folder: TemporaryFolder | None = None

    def run(self) -> int:
        with suppress(OSError):
            # Without it, a temporary folder is created when one is needed.
            self._folder = TemporaryFolder("service")
        try:
            return self._run()
        finally:
            if self._folder is not None:
                self._folder.cleanup()

    def _run(self) -> int:
        watchers = [signal_handler(kind, self._forward, kind) for kind in ending_signals()]
        pause_s = _FIRST_PAUSE_S
        try:
            while True:
                began_s = clock.monotonic()
                code, meant = self._run_child()
                if self._has_handed_over:
                    return 0
                if meant or self._ending.is_set():
                    return code if code >= 0 else 128 - code
                if clock.monotonic() - began_s > _LIVED_S:
                    pause_s = _FIRST_PAUSE_S
                logger.error("The process of this service ended unexpectedly (%s); restarting it.", _ended(code))
                if self._ending.wait(pause_s):
                    return 0
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        finally:
            for watcher in watchers:
                watcher.cancel()

    def _run_child(self) -> tuple[int, bool]:
        """Return the exit code, and whether the end was intentional."""
        reading, writing = os.pipe()
        try:
            os.set_blocking(reading, False)
            self._child = subprocess.Popen(
                command_again(),
                env={
                    **os.environ,
                    **environment_of_it(),
                    **self._folder_of_the_service(),
                    _VARIABLE: f"{os.getpid()}:{writing}",
                },
                pass_fds=(writing,),
                # Ctrl-C in a terminal goes to this process, which passes it on, once.
                process_group=0,
            )
            code = self._child.wait()
            self._child = None
            try:
                return code, bool(os.read(reading, 1))
            except BlockingIOError:
                return code, False
        finally:
            os.close(reading)
            os.close(writing)

    def _folder_of_the_service(self) -> dict[str, str]:
        return {SERVICE_FOLDER: self._folder.name} if self._folder is not None else {}

    def _forward(self, kind: signal.Signals) -> None:
        self._ending.set()
        if self._hands_over and kind is signal.SIGTERM:
            logger.warning("SIGTERM: leaving the run, if there is one, to the next master.")
            self._has_handed_over = True
            # A run is continued from its state exactly, however the process ends; a graceful end would stop it.
            kind = signal.SIGKILL
        if self._child is not None:
            self._child.send_signal(kind)


def _ended(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

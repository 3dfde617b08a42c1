"""A service that outlives whatever its runs do: it works in a child process, which is started again when it crashes.

The child says through a pipe that it ends because it is meant to; an exit code would not tell, since a load test can
call `os._exit(0)` as well.
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
"""Process id of the parent and number of the pipe's descriptor in the child, as PID:FD."""

SERVICE_FOLDER = "OBSWARM_SERVICE_FOLDER"
"""A folder for temporary files that is there as long as the service, however its child processes end."""

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0
_LIVED_S = 30.0
"""A child that lived so long begins with the first pause again."""

_PR_SET_PDEATHSIG = 1


def supervise() -> int | None:
    """Keep a child alive that runs this process's command, until it ends as it is meant to; gives the exit code.

    None in the child, which then does its work in `with ends_as_meant():`.
    """
    if _pipe() is not None:
        _end_with_parent()
        return None
    return _Parent().run()


@contextmanager
def ends_as_meant() -> Iterator[None]:
    """In the child: when this block is left, but for a crash, the service ends."""
    try:
        yield
    except ObswarmError:
        _say_so()
        raise
    _say_so()


def _say_so() -> None:
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
    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._ending = Event()
        self._folder: TemporaryFolder | None = None

    def run(self) -> int:
        with suppress(OSError):
            # Where there is none, there may be one when it is needed.
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
                if meant or self._ending.is_set():
                    return code if code >= 0 else 128 - code
                if clock.monotonic() - began_s > _LIVED_S:
                    pause_s = _FIRST_PAUSE_S
                logger.error("The process of this service ended unexpectedly (%s); it is started again.", _ended(code))
                if self._ending.wait(pause_s):
                    return 0
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        finally:
            for watcher in watchers:
                watcher.cancel()

    def _run_child(self) -> tuple[int, bool]:
        """(exit code, whether it was meant)."""
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
        if self._child is not None:
            self._child.send_signal(kind)


def _ended(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

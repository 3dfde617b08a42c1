"""Worker processes on this machine: started, listened to, and ended; they end by themselves when their parent does."""

import logging
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import IO, Any, Self

import gevent
from gevent.os import make_nonblocking, nb_read

logger = logging.getLogger(__name__)

_RECORD, _FIELD, _NEWLINE = "\x1e", "\x1f", "\x1d"
_LAST_WORDS_S = 2.0


class RecordFormatter(logging.Formatter):
    """Log records of a child on its standard error, so that the parent can log them as its own."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).replace("\n", _NEWLINE)
        return f"{_RECORD}{record.levelno}{_FIELD}{record.name}{_FIELD}{text}"


def end_with_parent(end: Callable[[], None]) -> gevent.Greenlet:
    """In a child: call `end` once standard input is closed, which is when the parent has gone."""
    make_nonblocking(0)

    def watch() -> None:
        try:
            while nb_read(0, 4096):
                pass
        except OSError:
            pass
        end()

    return gevent.spawn(watch)


class WorkerProcesses:
    """Children that run `command` with their endpoint and incarnation behind it. A context manager.

    `on_exit(incarnation, code)` is called when one has ended, whatever the reason.
    """

    def __init__(self, command: Sequence[str], on_exit: Callable[[str, int], None]) -> None:
        self._command = list(command)
        self._on_exit = on_exit
        self._folder = tempfile.TemporaryDirectory(prefix="obswarm-", ignore_cleanup_errors=True)
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._watchers: list[gevent.Greenlet] = []
        # Only this user can reach it: that is what makes a secret unnecessary.
        self.endpoint = f"ipc://{self._folder.name}/workers"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def __len__(self) -> int:
        return len(self._running)

    def start(self, share: float) -> str:
        """One more; `share` is its part of this machine's CPUs. Gives its incarnation."""
        incarnation = secrets.token_hex(16)
        process = subprocess.Popen(
            [*self._command, "--endpoint", self.endpoint, "--incarnation", incarnation, "--share", f"{share:.6f}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # Ctrl-C in the terminal is for the parent, which tells its children in good time.
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._running[incarnation] = process
        self._watchers.append(gevent.spawn(self._watch, incarnation, process))
        return incarnation

    def _watch(self, incarnation: str, process: "subprocess.Popen[str]") -> None:
        pumps = [gevent.spawn(_pump, process.stdout, sys.stdout), gevent.spawn(_pump, process.stderr, sys.stderr)]
        code = process.wait()
        # A grandchild may hold the pipes open.
        gevent.joinall(pumps, timeout=_LAST_WORDS_S)
        self._running.pop(incarnation, None)
        self._on_exit(incarnation, code)

    def wait(self, longest_s: float) -> bool:
        """Until all have ended; False when some have not by then."""
        gevent.joinall(self._watchers, timeout=longest_s)
        return not self._running

    def end(self) -> None:
        """By force, those that are left."""
        for process in self._running.values():
            process.kill()
        self.wait(_LAST_WORDS_S * 2)
        self._folder.cleanup()


def _pump(source: IO[str] | None, sink: Any) -> None:
    assert source is not None
    for line in source:
        if line.startswith(_RECORD):
            _log(line[1:].rstrip("\n"))
        else:
            try:
                sink.write(line)
                sink.flush()
            except (OSError, ValueError):
                return


def _log(record: str) -> None:
    level, _, rest = record.partition(_FIELD)
    name, _, text = rest.partition(_FIELD)
    if level.isdecimal():
        logging.getLogger(name or __name__).log(int(level), "%s", text.replace(_NEWLINE, "\n"))

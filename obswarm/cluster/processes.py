"""Worker processes on this machine: start, log records, end. They end by themselves when their parent ends."""

import json
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

from obswarm.api import ObswarmError
from obswarm.greenlets import Supervisor
from obswarm.log_format import record_text
from obswarm.temporary import TemporaryFolder

logger = logging.getLogger(__name__)

_LAST_WORDS_S = 2.0


class RecordFormatter(logging.Formatter):
    """Formats log records of a child for its standard error, from which the parent logs them as its own: one line of
    ASCII each, after a secret prefix, so that no output of a load test can be mistaken for one."""

    def __init__(self, incarnation: str) -> None:
        super().__init__()
        self._prefix = _record_prefix(incarnation)

    def format(self, record: logging.LogRecord) -> str:
        return self._prefix + json.dumps([record.levelno, record.name, record_text(record)])


def _record_prefix(incarnation: str) -> str:
    return f"\x1e{incarnation} "


def end_with_parent(end: Callable[[], None]) -> gevent.Greenlet:
    """In a child: call `end` when standard input is closed, i.e. when the parent has ended."""
    make_nonblocking(0)

    def watch() -> None:
        try:
            while nb_read(0, 4096):
                pass
        except OSError:
            pass
        end()

    return Supervisor().spawn("The watch on the parent process", watch)


class WorkerProcesses:
    """A context manager for child processes; their endpoint and incarnation are appended to `command`.

    `on_exit(incarnation, code)` is called when one has ended, whatever the reason.
    """

    def __init__(
        self, command: Sequence[str], on_exit: Callable[[str, int], None], supervisor: Supervisor | None = None
    ) -> None:
        self._supervisor = supervisor or Supervisor()
        self._command = list(command)
        self._on_exit = on_exit
        try:
            self._folder = TemporaryFolder()
        except OSError as error:
            raise ObswarmError(
                f"No folder for the socket of worker processes can be made in {tempfile.gettempdir()}:"
                f" {error.strerror or error}. Set TMPDIR to another one, or run with --workers 0."
            ) from None
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
        """Start a process; `share` is its share of this machine's CPUs (0 to 1). Returns its incarnation. Raises
        ObswarmError if it cannot be started."""
        incarnation = secrets.token_hex(16)
        try:
            process = self._popen(incarnation, share)
        except OSError as error:
            raise ObswarmError(f"A worker process cannot be started: {error.strerror or error}.") from None
        self._running[incarnation] = process
        self._watchers.append(
            self._supervisor.spawn("The watch on a worker process", self._watch, incarnation, process)
        )
        return incarnation

    def _popen(self, incarnation: str, share: float) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*self._command, "--endpoint", self.endpoint, "--incarnation", incarnation, "--share", f"{share:.6f}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            # Ctrl-C in the terminal is only for the parent, which stops its children.
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
        )

    def _watch(self, incarnation: str, process: "subprocess.Popen[str]") -> None:
        prefix = _record_prefix(incarnation)
        streams = ((process.stdout, lambda: sys.stdout, None), (process.stderr, lambda: sys.stderr, prefix))
        pumps = [self._supervisor.keep("The reader of a worker's output", _pump, *stream) for stream in streams]
        code = process.wait()
        # A grandchild may hold the pipes open.
        gevent.joinall(pumps, timeout=_LAST_WORDS_S)
        self._running.pop(incarnation, None)
        self._on_exit(incarnation, code)

    def wait(self, longest_s: float) -> bool:
        """Wait until all have ended, at most `longest_s` seconds; returns whether they have."""
        gevent.joinall(self._watchers, timeout=longest_s)
        return not self._running

    def end(self) -> None:
        """Kill the processes that are still running."""
        for process in self._running.values():
            process.kill()
        self.wait(_LAST_WORDS_S * 2)
        self._folder.cleanup()


def _pump(source: IO[str] | None, sink: Callable[[], Any], mark: str | None) -> None:
    assert source is not None
    for line in source:
        printed, marked, record = line.partition(mark) if mark is not None else (line, "", "")
        if printed:
            try:
                sink().write(printed)
                sink().flush()
            except (OSError, ValueError):
                # The output has no reader any more. The child continues, and must not block on its pipe.
                pass
        if marked:
            _log(record)


def _log(record: str) -> None:
    try:
        level, name, text = json.loads(record)
        logging.getLogger(name).log(level, "%s", text)
    except (ValueError, TypeError):
        # Cut off: the child was killed while it wrote.
        logger.warning("A worker process said: %s", record.rstrip("\n"))

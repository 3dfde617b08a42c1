"""Writing to the standard streams and to files, where the other side may be full, closed, or gone."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import IO, Any

from obswarm.errors import ObswarmError, reason_of
from obswarm.log_format import FILE_FORMAT, STREAM_FORMAT, LogFormatter
from obswarm.private_files import check_writable, is_private, make_private_folder, open_private, write_private
from obswarm.redact import redact_text
from obswarm.sanitize import escape_controls, escape_lines, indent_lines, to_text

STANDARD_OUTPUT = "-"
"""As the name of a file."""

_WAS_MISSING = "was_missing"


def open_standard_streams() -> None:
    """Give the process those that it was started without (`>&-`), leading nowhere, and let all take any text.

    Else the next file or socket that is opened would become standard output.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            # Kept open as long as the process lives; the lowest free descriptor is the one that is missing.
            nowhere = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115
            setattr(nowhere, _WAS_MISSING, True)
            setattr(sys, name, nowhere)
        elif mode == "w":
            stream.reconfigure(errors="backslashreplace")


_results: list[IO[str]] = []


@contextmanager
def results_apart() -> Iterator[None]:
    """Keep standard output for `result_stream`: what the load test prints meanwhile goes to standard error."""
    _results.append(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _results.pop()


def result_stream() -> IO[str]:
    """Standard output as this process was started with it."""
    return _results[-1] if _results else sys.stdout


def is_missing(stream: IO[str]) -> bool:
    """Whether this process was started without that standard stream."""
    return getattr(stream, _WAS_MISSING, False)


def write_to_stream(stream: IO[str], text: str) -> None:
    """Write and flush. Raises OSError when not everything could be written; nothing is tried again later, then."""
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        # What is left in the buffer would fail once more when the process ends, and become its exit code.
        discard(stream)
        raise


def discard(stream: IO[str]) -> None:
    """Let what is written to a standard stream from now on go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)


def say(text: object, err: bool = False) -> None:
    """Print a text on one line: to standard output, which raises OSError when it cannot be written, or to standard
    error for whoever may be reading it."""
    _print(escape_controls(to_text(text)), err)


def say_lines(text: object, err: bool = False) -> None:
    """As `say`, a text of several lines: a document, a usage message."""
    _print(escape_lines(to_text(text)), err)


def say_error(text: object) -> None:
    """Say what went wrong; further lines are indented, so that none looks like a message of its own."""
    _print(f"Error: {indent_lines(to_text(text))}", True)


def _print(text: str, err: bool) -> None:
    if not err:
        write_to_stream(result_stream(), f"{text}\n")
        return
    try:
        write_to_stream(sys.stderr, f"{redact_text(text)}\n")
    except OSError:
        # The result does not depend on it, and there is no other place to say so.
        pass


def write_to_file(path: str, text: str) -> None:
    """As UTF-8, in place of what was there; only its owner can read a file that is made here, with the folders above
    it. Raises OSError."""
    make_private_folder(Path(path).parent)
    write_private(path, text)


class LogFile(logging.FileHandler):
    """A file that the log goes to, made when there is something to write. Says once, on standard error, when it cannot
    be written; raises OSError at once when that can be known.

    A token that was generated is written to it when nobody but its owner can read it, as it is when it is made here;
    else to standard error alone.
    """

    def __init__(self, path: str) -> None:
        check_writable(path)
        self.named = path
        """As it was given."""
        super().__init__(path, encoding="utf-8", errors="backslashreplace", delay=True)
        self._is_private = not os.path.exists(path) or is_private(path)
        self.setFormatter(LogFormatter(FILE_FORMAT, shows_secrets=self._is_private))
        self.failure: str | None = None
        """Why it is incomplete, in a few words."""

    def make(self) -> None:
        """Have it there, also when there is nothing to write."""
        with self.lock or nullcontext():
            if self.stream is None:
                try:
                    self.stream = self._open()
                except OSError as error:
                    self._failed(error)

    def _open(self) -> Any:
        make_private_folder(Path(self.baseFilename).parent)
        return open_private(self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors)

    def emit(self, record: logging.LogRecord) -> None:
        self.make()
        if self.stream is not None:
            super().emit(record)
        secret = getattr(record, "secret", "")
        if secret and not self._is_private:
            say(f"{record.getMessage()}{secret}", err=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        self._failed(sys.exc_info()[1])

    def _failed(self, error: BaseException | None) -> None:
        if self.failure is not None:
            return
        self.failure = reason_of(error) if error is not None else "unknown"
        say_error(f"--logfile {self.baseFilename}: {self.failure}. The log is incomplete; the run goes on.")


class StreamLog(logging.StreamHandler[IO[str]]):
    """The log on a standard stream. Where nobody can read it, nothing else is said about that."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        self.setFormatter(LogFormatter(STREAM_FORMAT, shows_secrets=True))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def set_up_logging(level: str, logfile: str | None = None, handler: logging.Handler | None = None) -> LogFile | None:
    """Log to a file, or by that handler, or to standard error. Returns the file.

    Raises ObswarmError when the file cannot be written.
    """
    file = None
    if logfile:
        try:
            handler = file = LogFile(logfile)
        except OSError as error:
            raise ObswarmError(f"--logfile {logfile}: the file cannot be written: {error.strerror}.") from None
    logging.basicConfig(level=level.upper(), handlers=[handler or StreamLog(sys.stderr)], force=True)
    return file

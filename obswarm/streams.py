"""Write to standard streams and files, which may be full, closed or missing."""

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
"""File name that means standard output."""

_WAS_MISSING = "was_missing"


def open_standard_streams() -> None:
    """Replace standard streams that the process was started without (`>&-`) by the null device, and have all accept any
    text.

    Otherwise the next file or socket to be opened would become standard output.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            # Stays open until the process ends. The lowest free descriptor is that of the missing stream.
            nowhere = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115
            setattr(nowhere, _WAS_MISSING, True)
            setattr(sys, name, nowhere)
        elif mode == "w":
            stream.reconfigure(errors="backslashreplace")


_results: list[IO[str]] = []


@contextmanager
def results_apart() -> Iterator[None]:
    """Reserve standard output for `result_stream`: output of the load test goes to standard error meanwhile."""
    _results.append(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _results.pop()


def result_stream() -> IO[str]:
    """Return the standard output with which this process was started."""
    return _results[-1] if _results else sys.stdout


def is_missing(stream: IO[str]) -> bool:
    """Return whether this process was started without that standard stream."""
    return getattr(stream, _WAS_MISSING, False)


def write_to_stream(stream: IO[str], text: str) -> None:
    """Write and flush. Raises OSError if not everything could be written; the rest is discarded."""
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        # What is left in the buffer would fail once more when the process ends, and become its exit code.
        discard(stream)
        raise


def discard(stream: IO[str]) -> None:
    """Redirect a standard stream to the null device."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)


def echo(text: object, err: bool = False) -> None:
    """Print a text on one line: to standard output, which raises OSError if it cannot be written, or with `err` to
    standard error, whose errors are ignored."""
    _print(escape_controls(to_text(text)), err)


def echo_lines(text: object, err: bool = False) -> None:
    """Print a text of several lines, as `echo` does for one."""
    _print(escape_lines(to_text(text)), err)


def echo_error(text: object) -> None:
    """Print an error message; further lines are indented, so that none looks like a message of its own."""
    _print(f"Error: {indent_lines(to_text(text))}", True)


def _print(text: str, err: bool) -> None:
    if not err:
        write_to_stream(result_stream(), f"{text}\n")
        return
    try:
        write_to_stream(sys.stderr, f"{redact_text(text)}\n")
    except OSError:
        # The result does not depend on it, and there is no other stream for an error message.
        pass


def write_to_file(path: str, text: str) -> None:
    """Replace the content of a file by a text in UTF-8. A new file and new folders can only be read by their owner.
    Raises OSError."""
    make_private_folder(Path(path).parent)
    write_private(path, text)


class LogFile(logging.FileHandler):
    """Log file, created with its first record. The first error is printed to standard error. The constructor raises
    OSError if the file cannot be written.

    A generated token is written to the file if only its owner can read it, which is so for a new file; otherwise only
    to standard error.
    """

    def __init__(self, path: str) -> None:
        check_writable(path)
        self.named = path
        """The path as it was given."""
        super().__init__(path, encoding="utf-8", errors="backslashreplace", delay=True)
        self._is_private = not os.path.exists(path) or is_private(path)
        self.setFormatter(LogFormatter(FILE_FORMAT, shows_secrets=self._is_private))
        self.failure: str | None = None
        """Reason why the log is incomplete; None if it is not."""

    def make(self) -> None:
        """Create the file, also without a record."""
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
            echo(f"{record.getMessage()}{secret}", err=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        self._failed(sys.exc_info()[1])

    def _failed(self, error: BaseException | None) -> None:
        if self.failure is not None:
            return
        self.failure = reason_of(error) if error is not None else "unknown"
        echo_error(f"--logfile {self.baseFilename}: {self.failure}. The log is incomplete; the run goes on.")


class StreamLog(logging.StreamHandler[IO[str]]):
    """Log on a standard stream; errors of the stream are ignored."""

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

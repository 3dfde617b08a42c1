"""Load-test files by what a command line calls them: a file, a folder with files, or a URL to download one from."""

from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import gevent

from obswarm.api import ObswarmError
from obswarm.engine.loader import check_file
from obswarm.errors import reason_of
from obswarm.redact import redact_url
from obswarm.syntax import parse
from obswarm.temporary import TemporaryFolder
from obswarm.units import format_bytes, format_limit

MOST_FILES = 1_000
"""Maximum number of load-test files in a folder."""
MOST_BYTES = 2 * 1024 * 1024
"""Maximum size of a downloaded load test."""
DOWNLOAD_TIMEOUT_S = 20.0
_MASTERS = "-"

_folders: list[TemporaryFolder] = []
"""Downloaded files are there as long as the process."""


def is_url(text: str) -> bool:
    """Whether it is an http or https URL with a host."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def loadtest_files(name: str) -> list[Path]:
    """Return the load-test files that a name stands for: of a folder, the Python files in it and in the folders below
    whose names do not begin with `_` or `.`, sorted.

    Raises ObswarmError if there is no such file, or it cannot be downloaded.
    """
    if is_url(name):
        return [_downloaded(name)]
    if name == _MASTERS:
        raise ObswarmError("-f - is the master's load test, which a worker gets anyway: obswarm worker --master HOST.")
    path = Path(name)
    if not path.is_dir():
        check_file(path)
        return [path]
    found = sorted(file for file in path.rglob("*.py") if file.is_file() and not _is_hidden(file.relative_to(path)))
    if not found:
        raise ObswarmError(f"The folder {path} has no load-test file: none in it ends in .py.")
    if len(found) > MOST_FILES:
        raise ObswarmError(f"The folder {path} has {len(found):,} Python files; the maximum is {MOST_FILES:,}.")
    return found


def _is_hidden(path: Path) -> bool:
    return path.name.startswith("_") or any(part.startswith(".") or part == "__pycache__" for part in path.parts)


@cache
def _downloaded(url: str) -> Path:
    shown = redact_url(url)
    try:
        with gevent.Timeout(
            DOWNLOAD_TIMEOUT_S, TimeoutError(f"it took longer than {format_limit(DOWNLOAD_TIMEOUT_S)}")
        ):
            content = _content(url)
    except (OSError, ValueError) as error:
        reason = str(error) if type(error) in (TimeoutError, ValueError) else reason_of(error)
        raise ObswarmError(f"The load test {shown} cannot be downloaded: {reason}.") from None
    try:
        parse(content)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ObswarmError(f"{shown} is not a load test: {error}.") from None
    stem = Path(urlsplit(url).path).stem
    try:
        folder = TemporaryFolder("loadtest")
        _folders.append(folder)
        path = Path(folder.name) / f"{stem if stem.isidentifier() else 'locustfile'}.py"
        path.write_bytes(content)
    except OSError as error:
        raise ObswarmError(f"The load test {shown} cannot be kept in a temporary folder: {reason_of(error)}.") from None
    return path


def _content(url: str) -> bytes:
    """Return what a URL answers. Raises OSError, and ValueError with the reason."""
    # Most load tests are files.
    from obswarm.http import AnswerTooLarge, ApiSession

    try:
        with ApiSession(MOST_BYTES, DOWNLOAD_TIMEOUT_S) as session:
            answer = session.get(url, timeout=DOWNLOAD_TIMEOUT_S)
    except AnswerTooLarge:
        raise ValueError(f"it is larger than {format_bytes(MOST_BYTES)}") from None
    if answer.status_code != 200:
        raise ValueError(f"the server answered {answer.status_code}")
    return answer.content

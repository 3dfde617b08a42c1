"""Files and folders that only their owner can read: what a run leaves behind is nobody else's business by default.

What is made here has the mode 0600 or 0700, whatever the umask allows beyond that. A file that is there already keeps
its mode, so that somebody can make it beforehand with other rights; only what is obswarm's own, and was made by an
earlier version, is tightened (`tighten`).
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

_FILE = 0o600
_FOLDER = 0o700
_OTHERS = 0o077


def open_private(path: str | Path, mode: str, encoding: str | None = None, **how: Any) -> IO[Any]:
    """As `open`; a file that it makes is readable by its owner alone. Raises OSError."""
    return open(path, mode, encoding=encoding, opener=_opener, **how)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags, _FILE)


def write_private(path: str | Path, content: str | bytes) -> None:
    """Write a text (as UTF-8) or bytes in place of what was there. Raises OSError."""
    with open_private(path, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def make_private_folder(path: str | Path) -> None:
    """Make the folder and those above it that are not there, for their owner alone. Raises OSError."""
    _make_folders(Path(path), [])


def _make_folders(path: Path, made: list[Path]) -> None:
    """Adds to `made` what was not there, the outermost first."""
    try:
        path.mkdir(_FOLDER)
    except FileNotFoundError:
        _make_folders(path.parent, made)
        path.mkdir(_FOLDER, exist_ok=True)
    except OSError:
        # It is there, or, on a file system that cannot be written, may be.
        if not path.is_dir():
            raise
        return
    made.append(path)


def check_writable(path: str | Path) -> None:
    """Raise OSError when the file cannot be written. One that is there stays as it is; of one that is not, and of the
    folders above it, nothing is left."""
    path = Path(path)
    if path.exists():
        # Neither a pipe nor a device is opened: that may wait, or mean something to who reads it.
        if path.is_file() or path.is_dir():
            open_private(path, "ab").close()
        elif not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return
    # A link may lead to a file that is not there.
    path = Path(os.path.realpath(path))
    made: list[Path] = []
    try:
        _make_folders(path.parent, made)
        open_private(path, "xb").close()
        path.unlink()
    finally:
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()


def tighten(*paths: str | Path) -> None:
    """Take the rights of others away from files and folders that are there, and that this user owns. Never raises."""
    for path in paths:
        with suppress(OSError):
            found = os.lstat(path)
            is_ours = found.st_uid == os.geteuid() and (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))
            if is_ours and found.st_mode & _OTHERS:
                os.chmod(path, stat.S_IMODE(found.st_mode) & ~_OTHERS)


def is_private(path: str | Path) -> bool:
    """Whether nobody but its owner (and root) may read it. Raises OSError."""
    return not os.stat(path).st_mode & _OTHERS

"""Files and folders that only their owner can read, as all files of a run are by default.

New files have mode 0600 and new folders 0700, whatever the umask. An existing file keeps its mode, so that it can be
created beforehand with other permissions; only obswarm's own files of earlier versions are restricted (`tighten`).
"""

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

_FILE = 0o600
_FOLDER = 0o700
_OTHERS = 0o077
_LEAST_LENGTH = 16


def open_private(path: str | Path, mode: str, encoding: str | None = None, **how: Any) -> IO[Any]:
    """As `open`; a new file is readable by its owner only. Raises OSError."""
    return open(path, mode, encoding=encoding, opener=_opener, **how)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags, _FILE)


def write_private(path: str | Path, content: str | bytes) -> None:
    """Replace the content of a file by a text (as UTF-8) or bytes. Raises OSError."""
    with open_private(path, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def make_private_folder(path: str | Path) -> None:
    """Create the folder and its missing parents, with mode 0700. Raises OSError."""
    path = Path(path)
    try:
        path.mkdir(_FOLDER)
    except FileNotFoundError:
        make_private_folder(path.parent)
        path.mkdir(_FOLDER, exist_ok=True)
    except OSError:
        # It exists, or may exist on a read-only file system.
        if not path.is_dir():
            raise


def check_writable(path: str | Path) -> None:
    """Raise OSError if the file cannot be written. An existing file is unchanged; nothing is left of a new one or of
    new folders.

    Another process may check or create the same file at the same time: new files and folders are tried under other
    names of the same length, so that what another process has just created is neither touched nor used.
    """
    path = Path(path)
    if path.exists():
        # Pipes and devices are not opened: that may block, or have an effect on their reader.
        if path.is_file() or path.is_dir():
            open_private(path, "ab").close()
        elif not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return
    # A link may point to a file that does not exist. `strict` raises for a loop of links; a missing target is created.
    with suppress(FileNotFoundError):
        os.path.realpath(path, strict=True)
    path = Path(os.path.realpath(path))
    _try_new_file(path)


def _try_new_file(path: Path) -> None:
    missing: list[str] = []
    folder = path.parent
    while not folder.exists():
        missing.insert(0, folder.name)
        folder = folder.parent
    made: list[Path] = []
    try:
        for name in missing:
            folder = folder / _other_name(name)
            folder.mkdir(_FOLDER)
            made.append(folder)
        probe = folder / _other_name(path.name)
        try:
            open_private(probe, "xb").close()
        finally:
            with suppress(FileNotFoundError, NotADirectoryError):
                probe.unlink()
    finally:
        for each in reversed(made):
            with suppress(OSError):
                each.rmdir()


def _other_name(name: str) -> str:
    length = max(len(os.fsencode(name)), _LEAST_LENGTH)
    return secrets.token_hex(length)[:length]


def tighten(*paths: str | Path) -> None:
    """Remove the permissions of others from existing files and folders that this user owns. Never raises."""
    for path in paths:
        with suppress(OSError):
            found = os.lstat(path)
            is_ours = found.st_uid == os.geteuid() and (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))
            if is_ours and found.st_mode & _OTHERS:
                os.chmod(path, stat.S_IMODE(found.st_mode) & ~_OTHERS)


def is_private(path: str | Path) -> bool:
    """Whether nobody but its owner (and root) may read it. Raises OSError."""
    return not os.stat(path).st_mode & _OTHERS

"""Temporary folders that do not outlive their process: those of killed processes are removed by the next obswarm
process.

A process owns a folder as long as it holds a lock on a file in it (flock(2)). The kernel releases the lock however the
process ends, so that ownership is also correct with reused process ids, and with containers that share a file system.
"""

import fcntl
import os
import shutil
import stat
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Self

_PREFIX = "obswarm-"
_OWNER = ".obswarm-owner"
_MOST = 1_000
"""Maximum number of folders that are checked for abandoned ones."""


class TemporaryFolder:
    """Context manager for a temporary folder with mode 0700; `name` is its path. Raises OSError if it cannot be
    created."""

    def __init__(self, kind: str = "") -> None:
        """`kind` is part of the folder's name."""
        remove_abandoned()
        self.name = tempfile.mkdtemp(prefix=f"{_PREFIX}{kind}-" if kind else _PREFIX)
        # Also at interpreter exit, and when the object is garbage-collected.
        self._remove = weakref.finalize(self, _remove, self.name, _lock_of(self.name), os.getpid())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()

    def cleanup(self) -> None:
        """Remove the folder and its content as far as possible. May be called more than once."""
        self._remove()


def _remove(folder: str, lock: int | None, owner: int) -> None:
    # A forked child does not own the folder.
    if os.getpid() != owner:
        return
    shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:
        os.close(lock)


def _lock_of(folder: str) -> int | None:
    """Create and lock a file in the folder, and return its descriptor; None on a file system without locks. The file
    gets its final name when it is locked: a folder without it is still being created."""
    path = os.path.join(folder, _OWNER)
    descriptor = None
    try:
        descriptor = os.open(f"{path}.new", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(f"{path}.new", path)
    except OSError:
        if descriptor is not None:
            os.close(descriptor)
        return None
    return descriptor


def remove_abandoned() -> None:
    """Remove the folders of this user whose process has ended, as far as possible. Never raises."""
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        found = [entry.path for entry in entries if entry.name.startswith(_PREFIX)]
        for path in found[:_MOST]:
            with suppress(OSError):
                _remove_if_abandoned(path)


def _remove_if_abandoned(path: str) -> None:
    # Neither links nor folders of other users, whatever their names.
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return
    descriptor = os.open(Path(path, _OWNER), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # While it is locked here, no other process starts to remove it.
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)

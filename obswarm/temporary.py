"""Folders for temporary files that do not outlive their process: one that was left behind by a process that was killed
is removed when the next one is started, or makes its own.

A folder belongs to a process as long as that holds a lock on a file in it (flock(2)); the kernel releases the lock when
the process ends, however it does, so that neither a process id that was given out again nor another container with the
same file system is taken for an owner, or for none.
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
"""So many folders are looked at for ones that were left behind."""


class TemporaryFolder:
    """A folder for this user alone, as the string and path `name`; a context manager. Raises OSError when none can be
    made."""

    def __init__(self, kind: str = "") -> None:
        """`kind` stands in its name."""
        remove_abandoned()
        self.name = tempfile.mkdtemp(prefix=f"{_PREFIX}{kind}-" if kind else _PREFIX)
        # Also at the end of the interpreter, and when nobody has the object any more.
        self._remove = weakref.finalize(self, _remove, self.name, _lock_of(self.name), os.getpid())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()

    def cleanup(self) -> None:
        """Remove it with all that is in it, as far as that is possible. May be called again."""
        self._remove()


def _remove(folder: str, lock: int | None, owner: int) -> None:
    # A fork of the process has neither made the folder nor is it done with it.
    if os.getpid() != owner:
        return
    shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:
        os.close(lock)


def _lock_of(folder: str) -> int | None:
    """The descriptor of a file in the folder that is locked, and gets its name only then: a folder without it is, for
    others, one that is just being made. None on a file system that has no locks."""
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
    """Remove the folders of this user whose process has ended. Never raises; what cannot be removed stays."""
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        found = [entry.path for entry in entries if entry.name.startswith(_PREFIX)]
        for path in found[:_MOST]:
            with suppress(OSError):
                _remove_if_abandoned(path)


def _remove_if_abandoned(path: str) -> None:
    # Neither a link nor another user's folder, whatever its name says.
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return
    descriptor = os.open(Path(path, _OWNER), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # As long as it is locked here, nobody else begins to remove it.
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)

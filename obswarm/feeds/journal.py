"""FeedJournal: the file in which a master notes which rows it has handed out, one JSON document a line."""

import errno
import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from obswarm.errors import reason_of
from obswarm.json_text import to_json
from obswarm.private_files import make_private_folder

logger = logging.getLogger(__name__)


class FeedJournal:
    """Appends entries to a file. If it cannot be written, that is logged, and the run continues."""

    def __init__(self, path: Path, run_id: str) -> None:
        self._path = path
        self._run_id = run_id
        self._file: int | None = None
        self._has_failed = False

    def open(self) -> Sequence[Any]:
        """Open the file for this run. Returns the entries of an earlier process of the same run; those of other runs
        are removed."""
        entries, end = self._read()
        try:
            make_private_folder(self._path.parent)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            os.ftruncate(self._file, end)
        except OSError as error:
            self._failed(error)
        if not end:
            self.write({"run": self._run_id})
        return entries

    def _read(self) -> tuple[list[Any], int]:
        """Return the entries and the end of the last complete one, in bytes; 0 if the file is not of this run."""
        entries: list[Any] = []
        end = 0
        try:
            content = self._path.read_bytes()
        except OSError:
            return [], 0
        for line in content.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            try:
                entries.append(json.loads(line))
            except ValueError:
                break
            end += len(line)
        if not entries or entries[0] != {"run": self._run_id}:
            return [], 0
        return entries[1:], end

    def write(self, entry: Any) -> None:
        """Append an entry. It survives a crash of this process when this returns."""
        if self._file is None:
            return
        try:
            line = to_json(entry, compact=True).encode() + b"\n"
            if os.write(self._file, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._failed(error)
            # Entries after a gap would be wrong.
            self.close()

    def _failed(self, error: OSError) -> None:
        if not self._has_failed:
            self._has_failed = True
            logger.warning(
                "The rows that are handed out cannot be noted in %s: %s. The run continues, but if this master is"
                " killed and started again, it hands out rows twice.",
                self._path,
                reason_of(error),
            )

    def close(self) -> None:
        """Close the file without changing it."""
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
            self._file = None

    def remove(self) -> None:
        """Close and remove the file."""
        self.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

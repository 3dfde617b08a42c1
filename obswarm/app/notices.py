"""Messages of a service for its next client. They are stored in a file and in the environment, so that the next process
of the service has them even if the file cannot be written."""

import json
import os
from contextlib import suppress
from pathlib import Path

from obswarm.json_text import to_json
from obswarm.private_files import tighten, write_private

_VARIABLE = "OBSWARM_NOTICES"
_MOST = 10


class Notices:
    """The last ten messages that no client has received yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._texts = _texts(os.environ.get(_VARIABLE)) or self._in_file()

    def _in_file(self) -> list[str]:
        try:
            return _texts(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            return []

    def add(self, text: str) -> None:
        self._store([*self._texts, text][-_MOST:])

    def take(self) -> list[str]:
        """Return all messages, and remove them."""
        taken = self._texts
        self._store([])
        return taken

    def _store(self, texts: list[str]) -> None:
        self._texts = texts
        packed = to_json(texts)
        os.environ[_VARIABLE] = packed
        # If this fails, the environment still contains them, unless the process is killed.
        with suppress(OSError):
            if texts:
                write_private(self._path, packed)
                tighten(self._path)
            else:
                self._path.unlink(missing_ok=True)


def _texts(packed: str | None) -> list[str]:
    try:
        values = json.loads(packed or "[]")
    except ValueError:
        return []
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []

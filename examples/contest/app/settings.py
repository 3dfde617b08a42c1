"""What can be changed while the application runs: a JSON file that is looked at again when it has changed."""

import json
import os
import threading
import time
from dataclasses import dataclass, fields, replace

_LOOK_EVERY_S = 0.5


@dataclass(frozen=True)
class Settings:
    """Times are in seconds."""

    database_host: str = "127.0.0.1"
    database_port: int = 3306
    pool_size: int = 2
    """Database connections of one process."""

    leaderboard_cache_s: float = 2.0
    """For how long a leaderboard is shown that was made before; 0 makes it for every request."""

    judge_in_transaction_s: float = 0.0
    """How long a submission is judged while the contest's counters are locked."""


_NAMES = {field.name for field in fields(Settings)}


class SettingsFile:
    """`current` is what the file says now; what it does not say is as in `usual`. A file that is being written is read
    at the next look; there need not be one."""

    def __init__(self, path, usual):
        self._path = path
        self._usual = usual
        self._lock = threading.Lock()
        self._changed_ns = 0
        self._looked_s = 0.0
        self._settings = usual

    @property
    def current(self):
        now = time.monotonic()
        if now - self._looked_s > _LOOK_EVERY_S:
            with self._lock:
                self._looked_s = now
                self._look()
        return self._settings

    def _look(self):
        try:
            changed_ns = os.stat(self._path).st_mtime_ns
            if changed_ns == self._changed_ns:
                return
            with open(self._path, encoding="utf-8") as file:
                values = json.load(file)
        except (OSError, ValueError):
            return
        self._settings = replace(self._usual, **{name: value for name, value in values.items() if name in _NAMES})
        self._changed_ns = changed_ns

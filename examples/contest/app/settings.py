"""Settings that can be changed while the application runs: a JSON file, which is read again when it has changed."""

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
    """How long a leaderboard is cached; 0 computes it for every request."""

    leaderboard_expires_at_once: bool = False
    """Whether the cached leaderboards of all processes expire at the same moment, and each request that comes before a
    new one is there computes one as well."""

    judge_in_transaction_s: float = 0.0
    """How long the evaluation of a submission locks the contest's counters."""

    queries_per_problem: int = 0
    """Submissions that a problem's page reads one by one, with a query for each and one for its user."""

    pause_s: float = 0.0
    """How long a process stops executing anything, as for garbage collection, each `pause_every_s`."""

    pause_every_s: float = 1.0

    checker_delay_s: float = 0.0
    """How long the checker of submissions takes, which is a service outside."""


_NAMES = {field.name for field in fields(Settings)}


class SettingsFile:
    """`current` has the values of the file, and those of `usual` for missing ones. A file that is being written is read
    the next time; it may be missing."""

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

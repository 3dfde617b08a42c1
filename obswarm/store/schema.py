"""Tables of the run store, and migrations of stores of earlier versions."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from obswarm.api import ObswarmError
from obswarm.private_files import make_private_folder, open_private, tighten
from obswarm.units import format_limit

FILE = "runs.sqlite"
BUSY_TIMEOUT_S = 10.0

_APPLICATION_ID = 0x6F627377
"""In the file's header (https://sqlite.org/pragma.html#pragma_application_id): its permissions have been restricted."""

_MIGRATIONS = (
    """
    CREATE TABLE loadtests (
        hash TEXT PRIMARY KEY,          -- SHA-256 of name and text
        name TEXT NOT NULL,
        text BLOB NOT NULL              -- zlib
    ) WITHOUT ROWID;
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL UNIQUE,
        test TEXT NOT NULL,
        host TEXT,
        started_s REAL NOT NULL,        -- all times are seconds since 1970
        ended_s REAL,                   -- NULL until the run has ended properly
        planned_s REAL,
        version TEXT NOT NULL,          -- of obswarm
        configuration TEXT NOT NULL,    -- JSON: what was not left at its default
        revision TEXT,                  -- of the load test's git repository
        result TEXT,                    -- JSON, as --json has it
        whole BLOB,                     -- all endpoints over the whole run
        note TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX runs_by_start ON runs (started_s);
    CREATE TABLE run_loadtests (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        position INTEGER NOT NULL,
        hash TEXT NOT NULL REFERENCES loadtests,
        PRIMARY KEY (run, position)
    ) WITHOUT ROWID;
    CREATE TABLE tags (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        tag TEXT NOT NULL,
        PRIMARY KEY (run, tag)
    ) WITHOUT ROWID;
    CREATE TABLE names (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        number INTEGER NOT NULL,        -- what stands in the seconds of the run instead of the name
        name TEXT NOT NULL,             -- JSON: a list that begins with what it names
        PRIMARY KEY (run, number)
    ) WITHOUT ROWID;
    CREATE TABLE seconds (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        number INTEGER NOT NULL,
        time_s REAL NOT NULL,
        content BLOB NOT NULL,          -- see obswarm/store/pack.py
        PRIMARY KEY (run, number)
    ) WITHOUT ROWID;
    CREATE TABLE samples (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        number INTEGER NOT NULL,
        time_s REAL NOT NULL,
        content BLOB NOT NULL,          -- values of the target's figures that have changed
        PRIMARY KEY (run, number)
    ) WITHOUT ROWID;
    CREATE TABLE marks (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        number INTEGER NOT NULL,
        time_s REAL NOT NULL,
        kind TEXT NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (run, number)
    ) WITHOUT ROWID;
    """,
    # The tables stay; seconds may hold requests without a duration, and integers of more than 64 bits.
    "",
    # The tables stay; the name of an error may have an example behind its message.
    "",
    # The load test's own metrics over the whole run.
    "ALTER TABLE runs ADD COLUMN custom BLOB",
    "ALTER TABLE marks RENAME TO annotations",
)
"""Migration i upgrades a store from version i to i + 1."""

SCHEMA_VERSION = len(_MIGRATIONS)


def connect(path: Path) -> sqlite3.Connection:
    """Open the store, which is created if it does not exist and migrated to this version; any thread may use it.

    Only its owner can read a new store, and the files that SQLite creates beside it with the same mode. The permissions
    of a store of an earlier version are restricted once; permissions that are granted later stay.

    Raises ObswarmError for a file that is not a store, that is damaged, or that a newer version has written.
    """
    with convert_errors(path):
        make_private_folder(path.parent)
        # SQLite would create it with the permissions of the umask.
        with suppress(FileExistsError):
            open_private(path, "xb").close()
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            # WAL: readers do not wait for a run that writes, and commits survive a crash of the process.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            _migrate(connection, path)
            _restrict_permissions(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection, path) == SCHEMA_VERSION:
        return
    # Two commands may migrate an old store at the same time.
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(_version(connection, path), SCHEMA_VERSION):
            for statement in _MIGRATIONS[number].split(";\n"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        # SQLite rolls back itself if the disk is full.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _restrict_permissions(connection: sqlite3.Connection, path: Path) -> None:
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    if found != _APPLICATION_ID:
        tighten(path, f"{path}-wal", f"{path}-shm")
        # If the file cannot be written now, this is repeated later.
        with suppress(sqlite3.OperationalError):
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise ObswarmError(
            f"{path} was written by a newer version of obswarm (its schema version is {version}, this version supports"
            f" up to {SCHEMA_VERSION}). Update obswarm, or select another folder with --store."
        )
    return int(version)


@contextmanager
def convert_errors(path: Path) -> Iterator[None]:
    """Convert errors of SQLite and the operating system to ObswarmError."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise ObswarmError(describe(path, error)) from None
    except OSError as error:
        raise ObswarmError(f"The run store {path}: {error.strerror}.") from None


def describe(path: Path, error: sqlite3.Error) -> str:
    """Return an error message: what is wrong with the store, and what to do."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        # The lower byte is the primary result code (https://sqlite.org/rescode.html).
        match code & 0xFF:
            case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
                return (
                    f"The run store {path} is damaged ({error}). Move it away to start a new one;"
                    f" sqlite3 {path} .recover may recover its data."
                )
            case sqlite3.SQLITE_FULL:
                return f"The run store {path} cannot grow: no space is left on its disk."
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                limit = format_limit(BUSY_TIMEOUT_S)
                return f"The run store {path} has been locked by another program for more than {limit}."
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                return f"The run store {path} cannot be written ({error}). Select another folder with --store."
    return f"The run store {path} cannot be used: {error}."

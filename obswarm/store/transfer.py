"""Export runs to files, which are stores with one run, and import them."""

import os
import re
import sqlite3
from pathlib import Path

from obswarm.api import ObswarmError
from obswarm.record import RunInfo
from obswarm.store.schema import connect, convert_errors
from obswarm.store.store import Store

_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")
_TABLES = ("run_loadtests", "tags", "names", "seconds", "samples", "annotations")


def export_run(store: Store, run: RunInfo, path: Path) -> None:
    """Write a run to a file, atomically. An existing file is replaced.

    Raises ObswarmError if it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with convert_errors(path):
            connection = connect(temporary)
            try:
                _copy(connection, store.path, [run.key])
                # A single file, without a write-ahead log beside it.
                connection.execute("PRAGMA journal_mode = DELETE")
            finally:
                connection.close()
            os.replace(temporary, path)
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{temporary}{suffix}").unlink(missing_ok=True)


def import_runs(store: Store, path: Path) -> list[RunInfo]:
    """Import all runs of a file. Raises ObswarmError if it is not a store, or if the store already has one of its
    runs."""
    if not path.is_file():
        raise ObswarmError(f"{path} is not a file that `obswarm runs export` has written.")
    with Store(path) as other:
        incoming = other.runs()
    known = {run.run_id for run in store.runs()}
    for run in incoming:
        # The file name of a report contains the id.
        if _RUN_ID.fullmatch(run.run_id) is None:
            raise ObswarmError(f"{path} has a run with an invalid id, {run.run_id!r}; nothing was imported.")
        if run.run_id in known:
            raise ObswarmError(f"The run {run.run_id} is in {store.path} already; nothing of {path} was imported.")
    connection = connect(store.path)
    try:
        with convert_errors(store.path):
            _copy(connection, path, [run.key for run in incoming])
    finally:
        connection.close()
    return [store.find(run.run_id) for run in incoming]


def _copy(connection: sqlite3.Connection, source: Path, keys: list[int]) -> None:
    connection.execute("ATTACH DATABASE ? AS source", [str(source)])
    try:
        connection.execute("BEGIN IMMEDIATE")
        for key in keys:
            connection.execute("INSERT INTO main.runs SELECT * FROM source.runs WHERE id = ?", [key])
            connection.execute(
                "INSERT OR IGNORE INTO main.loadtests SELECT * FROM source.loadtests"
                " WHERE hash IN (SELECT hash FROM source.run_loadtests WHERE run = ?)",
                [key],
            )
            for table in _TABLES:
                connection.execute(f"INSERT INTO main.{table} SELECT * FROM source.{table} WHERE run = ?", [key])
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute("DETACH DATABASE source")

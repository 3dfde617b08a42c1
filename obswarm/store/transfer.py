"""Runs as files of their own: a store with one run in it, to be sent to somebody or kept elsewhere."""

import os
import re
import sqlite3
from pathlib import Path

from obswarm.api import ObswarmError
from obswarm.record import RunInfo
from obswarm.store.schema import connect, plainly
from obswarm.store.store import Store

_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")
_TABLES = ("run_loadtests", "tags", "names", "seconds", "samples", "marks")


def export_run(store: Store, run: RunInfo, path: Path) -> None:
    """Writes the run to a file, which is replaced if it is there, and is never half there.

    Raises ObswarmError when it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with plainly(path):
            connection = connect(temporary)
            try:
                _copy(connection, store.path, [run.key])
                # One file, without the log beside it.
                connection.execute("PRAGMA journal_mode = DELETE")
            finally:
                connection.close()
            os.replace(temporary, path)
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{temporary}{suffix}").unlink(missing_ok=True)


def import_runs(store: Store, path: Path) -> list[RunInfo]:
    """Takes over all runs of the file. Raises ObswarmError when it is no store, or one of its runs is here already."""
    if not path.is_file():
        raise ObswarmError(f"{path} is not a file that `obswarm runs export` has written.")
    with Store(path) as other:
        incoming = other.runs()
    known = {run.run_id for run in store.runs()}
    for run in incoming:
        # Reports are files of that name.
        if _RUN_ID.fullmatch(run.run_id) is None:
            raise ObswarmError(f"{path} has a run with the id {run.run_id!r}, which is none; nothing was imported.")
        if run.run_id in known:
            raise ObswarmError(f"The run {run.run_id} is in {store.path} already; nothing of {path} was imported.")
    connection = connect(store.path)
    try:
        with plainly(store.path):
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

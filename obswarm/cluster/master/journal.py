"""Journal: the state of a run in a file, from which a restarted master continues it. Written before deltas are
acknowledged.

The file consists of MessagePack records, each preceded by its length and checksum; an incomplete one at the end is
ignored. The first record describes the run, each further one adds a delta. Once a minute the file is compacted to one
record.

If the file cannot be written, the run continues, with a warning, and deltas are acknowledged as without a journal. The
file keeps its content, and is replaced by the whole state as soon as it can be written again.
"""

import errno
import logging
import math
import os
import stat
import struct
import types
import typing
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgpack

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.engine import Progress
from obswarm.private_files import check_writable, make_private_folder, tighten
from obswarm.stats import StatsTable
from obswarm.stats.codec import DeltaSum, pack_table

logger = logging.getLogger(__name__)

_MAGIC = b"obswarm run 5\n"
_HEAD = struct.Struct("<II")
_COMPACT_AFTER_S = 60.0
_COMPACT_AFTER_BYTES = 64 * 1024 * 1024
_TRY_AGAIN_S = 5.0

_NOT_WRITABLE = (OSError, ValueError, TypeError, OverflowError, struct.error)
"""Errors of the disk, and of values that cannot be encoded."""


@dataclass(slots=True)
class WorkerRecord:
    """A worker in the journal. `acked` is the number of its last delta in the statistics. Ages are as of the record's
    time; `cut_off_age_s` is None while the worker is connected."""

    name: str
    index: int
    processes: int
    acked: int
    stats_age_s: float
    cut_off_age_s: float | None
    state: str
    capacity: float
    cpus: float
    users: dict[str, int]
    nodes: list[str]
    max_cpu_ratio: float = 0.0
    max_loop_lag_s: float = 0.0
    was_saturated: bool = False


@dataclass(slots=True)
class Recovered:
    """An unfinished run, as read from its file."""

    run_id: str
    digest: str
    started_wall_s: float
    progress: Progress
    test: str = ""
    host: str | None = None
    queried_rates: dict[str, str] = field(default_factory=dict)
    """The stages of a rate of iterations that was read from a Prometheus, by the text of its query."""
    workers: dict[str, WorkerRecord] = field(default_factory=dict)
    table: StatsTable = field(default_factory=StatsTable)


def read(path: Path, max_endpoints: int) -> Recovered | None:
    """Read the run in the file; None if there is no file, or it is empty. Raises ObswarmError for any other file."""
    try:
        with open(path, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _not_ours(path)
            begin = file.read(len(_MAGIC))
            content = file.read() if begin == _MAGIC else b""
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ObswarmError(f"--state {path} cannot be read: {error.strerror}. Move it away.") from None
    if not begin:
        return None
    if begin != _MAGIC:
        raise _not_ours(path)
    found: Recovered | None = None
    deltas = DeltaSum()
    try:
        for record in _records(content):
            if record["reset"]:
                deltas = DeltaSum()
            deltas.add(record["delta"])
            progress = _typed(Progress, record["progress"])
            workers = {incarnation: _typed(WorkerRecord, values) for incarnation, values in record["workers"].items()}
            if found is None:
                run_id, digest = str(record["run_id"]), str(record["digest"])
                found = Recovered(run_id, digest, float(record["started_wall_s"]), progress)
                found.test, found.host = str(record["test"]), record["host"] and str(record["host"])
                found.queried_rates = {str(key): str(text) for key, text in record.get("queried_rates", {}).items()}
            found.progress = progress
            found.workers.update(workers)
    except (LookupError, AttributeError, TypeError, ValueError, OverflowError, msgpack.UnpackException, RecursionError):
        raise _not_ours(path) from None
    if found is not None:
        found.table = deltas.take(max_endpoints)
    return found


def _not_ours(path: Path) -> ObswarmError:
    return ObswarmError(f"--state {path} is not a file that this version of obswarm writes. Move it away.")


def _records(content: bytes) -> list[dict[str, Any]]:
    records, at = [], 0
    while at + _HEAD.size <= len(content):
        length, checksum = _HEAD.unpack_from(content, at)
        body = content[at + _HEAD.size : at + _HEAD.size + length]
        if len(body) < length or zlib.crc32(body) != checksum:
            break
        records.append(msgpack.unpackb(body, raw=False, strict_map_key=False))
        at += _HEAD.size + length
    return records


_Kind = TypeVar("_Kind", Progress, WorkerRecord)


def _typed(kind: type[_Kind], values: Any) -> _Kind:
    """Make a dataclass from values of the file; a field that an earlier version did not write has its default. Raises
    TypeError if one without a default is missing, or a value is not of its field's type."""
    made = kind(**values)
    for name, hint in typing.get_type_hints(kind).items():
        if not _is(getattr(made, name), hint):
            raise TypeError(name)
    return made


def _is(value: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return any(_is(value, each) for each in arguments)
    if origin is list:
        return type(value) is list and all(_is(each, arguments[0]) for each in value)
    if origin is dict:
        return type(value) is dict and all(_is(k, arguments[0]) and _is(v, arguments[1]) for k, v in value.items())
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    return hint is Any or type(value) is hint


class Journal:
    """Writes the file. Errors are logged, and the run continues without a journal. The constructor raises ObswarmError
    if the file cannot be written, unless it `may_fail`."""

    def __init__(
        self,
        path: Path,
        run_id: str,
        digest: str,
        started_wall_s: float,
        *,
        test: str = "",
        host: str | None = None,
        queried_rates: Mapping[str, str] = types.MappingProxyType({}),
        may_fail: bool = False,
    ) -> None:
        self.path = path
        self._temporary = path.with_suffix(".new")
        self._head: dict[str, Any] = {
            "run_id": run_id,
            "digest": digest,
            "started_wall_s": started_wall_s,
            "test": test,
            "host": host,
        }
        if queried_rates:
            self._head["queried_rates"] = dict(queried_rates)
        self._file: int | None = None
        self._size = 0
        self._compacted_s = clock.monotonic()
        self._try_again_s = -math.inf
        self.fault: str | None = None
        """Reason why the file cannot be written at the moment; None if it can."""
        try:
            check_writable(path)
            tighten(path)
        except OSError as error:
            if not may_fail:
                raise ObswarmError(f"--state {path} cannot be written: {error.strerror}.") from None
            self._failed(error)

    @property
    def is_due(self) -> bool:
        """Whether it is time to `rewrite` the file."""
        now = clock.monotonic()
        if self._file is None:
            return now >= self._try_again_s
        return self._size > _COMPACT_AFTER_BYTES or now - self._compacted_s > _COMPACT_AFTER_S

    def append(
        self, delta: StatsTable, progress: Progress, workers: dict[str, WorkerRecord], *, reset: bool = False
    ) -> None:
        """Add a record with the delta since the last one; with `reset`, all earlier ones are void.

        Does nothing until the next `rewrite` if the file could not be written.
        """
        if self._file is None:
            return
        try:
            record = self._pack(delta, progress, workers, reset)
            self._size += _write(self._file, record)
        except _NOT_WRITABLE as error:
            # Remove the part of the record that was written. If that fails, too, its checksum ends the reading.
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            self.close()
            self._failed(error)

    def rewrite(self, whole: StatsTable, progress: Progress, workers: dict[str, WorkerRecord]) -> None:
        """Replace the file atomically by one with a single record."""
        file = None
        try:
            content = _MAGIC + self._pack(whole, progress, workers, reset=True)
            make_private_folder(self.path.parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
            file = os.open(self._temporary, flags, 0o600)
            tighten(self._temporary)
            _write(file, content)
            os.replace(self._temporary, self.path)
        except _NOT_WRITABLE as error:
            if file is not None:
                with suppress(OSError):
                    os.close(file)
            with suppress(OSError):
                self._temporary.unlink(missing_ok=True)
            if self._file is None:
                self._failed(error)
            else:
                # The existing file is complete, and can still be appended to.
                self._compacted_s = clock.monotonic()
            return
        self.close()
        self._file = file
        self._size = len(content)
        self._compacted_s = clock.monotonic()
        if self.fault is not None:
            self.fault = None
            logger.info("The state of the run is stored in %s again.", self.path)

    def _failed(self, error: Exception) -> None:
        self._try_again_s = clock.monotonic() + _TRY_AGAIN_S
        if self.fault is None:
            self.fault = (error.strerror if isinstance(error, OSError) else None) or str(error)
            logger.warning(
                "The state of the run cannot be stored in %s: %s. The run continues, but if this master is killed, the"
                " measurements from now on are lost. Trying again.",
                self.path,
                self.fault,
            )

    def _pack(self, delta: StatsTable, progress: Progress, workers: dict[str, WorkerRecord], reset: bool) -> bytes:
        body: bytes = msgpack.packb(
            {
                **self._head,
                "reset": reset,
                "delta": pack_table(delta, "master"),
                "progress": _fields(progress),
                "workers": {incarnation: _fields(worker) for incarnation, worker in workers.items()},
            },
            unicode_errors="backslashreplace",
        )
        return _HEAD.pack(len(body), zlib.crc32(body)) + body

    def close(self) -> None:
        """Close the file without changing it."""
        if self._file is not None:
            # An error here loses nothing: written records are in the kernel, and other faults have been noted.
            with suppress(OSError):
                os.close(self._file)
            self._file = None

    def finish(self) -> None:
        """Remove the file: the run has ended properly."""
        self.close()
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            try:
                os.truncate(self.path, 0)
            except OSError:
                logger.warning(
                    "The state of the run, which has ended, cannot be removed from %s: %s. Remove it before the next"
                    " run, or use --fresh then.",
                    self.path,
                    error.strerror,
                )


def _write(file: int, content: bytes) -> int:
    """Write all of the content; returns its length."""
    rest = memoryview(content)
    while rest:
        written = os.write(file, rest)
        if not written:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rest = rest[written:]
    return len(content)


def _fields(value: Progress | WorkerRecord) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}

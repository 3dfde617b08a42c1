"""What a master has to remember to go on with a run after it was killed: a small file, written before workers are
told that their statistics are safe.

Records of MessagePack, each with its length and checksum in front; a torn one at the end counts as never written. The
first record describes the run, the others each add a delta. From time to time the file is written anew as one record
with everything in it.
"""

import os
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack

from obswarm import clock
from obswarm.api import ObswarmError
from obswarm.cluster.deltas import DeltaSum, Malformed, pack_table
from obswarm.stats import StatsTable

_MAGIC = b"obswarm run 2\n"
_HEAD = struct.Struct("<II")
_COMPACT_AFTER_S = 60.0
_COMPACT_AFTER_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class Progress:
    """Where a run was. Times in seconds; `at_wall_s` is when that was so."""

    at_wall_s: float
    elapsed_s: float
    stats_elapsed_s: float
    profile_elapsed_s: float
    """Of the profile's own time, which stands still in holds and begins anew with a new load."""
    holding: bool
    placed: dict[str, int]
    ramp: list[float] | None
    """(users, rate) when the load was set by hand."""
    users_max: int
    stopping: list[str] | None
    """(kind, detail) of the reason to stop."""
    annotations: list[list[Any]]
    """(wall time, kind, text)."""


@dataclass(slots=True)
class WorkerMemory:
    """`acked`: the number of the last delta that is in the statistics. Ages are those at the time of the record;
    `cut_off_age_s` is None while the worker is connected."""

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


@dataclass(slots=True)
class Recovered:
    """An unfinished run as the file tells it."""

    run_id: str
    digest: str
    started_wall_s: float
    progress: Progress
    workers: dict[str, WorkerMemory] = field(default_factory=dict)
    table: StatsTable = field(default_factory=StatsTable)


def read(path: Path, max_endpoints: int) -> Recovered | None:
    """The run in the file, None when there is no file or nothing in it. Raises ObswarmError when it is something
    else."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ObswarmError(f"--state {path} cannot be read: {error.strerror}.") from None
    if not content:
        return None
    if not content.startswith(_MAGIC):
        raise ObswarmError(f"--state {path} is not a file that this version of obswarm writes. Move it away.")
    found: Recovered | None = None
    deltas = DeltaSum()
    for record in _records(content[len(_MAGIC) :]):
        try:
            if record["reset"]:
                deltas = DeltaSum()
            deltas.add(record["delta"])
            progress = Progress(**record["progress"])
            workers = {incarnation: WorkerMemory(**memory) for incarnation, memory in record["workers"].items()}
            if found is None:
                found = Recovered(record["run_id"], record["digest"], record["started_wall_s"], progress)
            found.progress = progress
            found.workers.update(workers)
        except (KeyError, TypeError, Malformed):
            raise ObswarmError(
                f"--state {path} is not a file that this version of obswarm writes. Move it away."
            ) from None
    if found is not None:
        found.table = deltas.take(max_endpoints)
    return found


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


class Journal:
    """Writes the file. Raises ObswarmError when it cannot be written at the start."""

    def __init__(self, path: Path, run_id: str, digest: str, started_wall_s: float) -> None:
        self.path = path
        self._head = {"run_id": run_id, "digest": digest, "started_wall_s": started_wall_s}
        self._file: int | None = None
        self._written = 0
        self._compacted_at = clock.monotonic()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "ab"):
                pass
        except OSError as error:
            raise ObswarmError(f"--state {path} cannot be written: {error.strerror}.") from None

    @property
    def is_due(self) -> bool:
        """Whether it is time to write the file anew."""
        return (
            self._file is None
            or self._written > _COMPACT_AFTER_BYTES
            or clock.monotonic() - self._compacted_at > _COMPACT_AFTER_S
        )

    def append(self, delta: StatsTable, progress: Progress, workers: dict[str, WorkerMemory]) -> None:
        """What has come in since the last record. When it `is_due`, `rewrite` has to be called instead."""
        assert self._file is not None
        record = self._pack(delta, progress, workers, reset=False)
        # One write of a whole record: when the process is killed, the kernel has it or has not.
        os.write(self._file, record)
        self._written += len(record)

    def rewrite(self, whole: StatsTable, progress: Progress, workers: dict[str, WorkerMemory]) -> None:
        """The file anew, with just this in it; replaced at once, so that it is never half there."""
        temporary = self.path.with_suffix(".new")
        content = _MAGIC + self._pack(whole, progress, workers, reset=True)
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, self.path)
        self._close()
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        self._written = len(content)
        self._compacted_at = clock.monotonic()

    def _pack(self, delta: StatsTable, progress: Progress, workers: dict[str, WorkerMemory], reset: bool) -> bytes:
        body: bytes = msgpack.packb(
            {
                **self._head,
                "reset": reset,
                "delta": pack_table(delta),
                "progress": _fields(progress),
                "workers": {incarnation: _fields(memory) for incarnation, memory in workers.items()},
            }
        )
        return _HEAD.pack(len(body), zlib.crc32(body)) + body

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def finish(self) -> None:
        """The run has ended properly; nothing is left to be remembered."""
        self._close()
        self.path.unlink(missing_ok=True)


def _fields(value: Progress | WorkerMemory) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}

"""Recorded incidents: runs against the contest in which one known fault was switched on, as `make lab` writes them.

A recording is the run as `obswarm runs export` writes it, compressed with xz; `recordings.json` has an entry for each,
and `split.toml` the true component of each fault and which recordings are for development.
"""

import json
import lzma
import tempfile
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from obswarm.record import RunRecord
from obswarm.store import Store, read_run
from tests.support.programs import ROOT

FOLDER = ROOT / "tests" / "data" / "incidents"
INDEX = FOLDER / "recordings.json"
SPLIT = FOLDER / "split.toml"
SUFFIX = ".run.xz"

HEALTHY = "healthy"
OVERLOAD = "overload"

Half = Literal["dev", "test"]


@dataclass(frozen=True, slots=True)
class Recording:
    """One run with its truth. `truth` are the names of the targets that observe the faulty component, any of which is a
    right answer; empty for a healthy run. `fault_on_s` is when the fault was switched on, in seconds since the start of
    the run, None without a fault. `is_felt` says whether users noticed it, by a criterion of its own: see `make lab`."""

    name: str
    fault: str
    users: int
    repetition: int
    fault_on_s: float | None
    is_felt: bool
    truth: frozenset[str]
    split: Half
    explain_input: RunRecord

    @property
    def healthy(self) -> bool:
        return self.fault == HEALTHY


def recording_paths(half: Half | None = None) -> list[Path]:
    """Return the recordings, or those of one half, in the order of their names."""
    return [
        FOLDER / f"{name}{SUFFIX}"
        for name, entry in sorted(read_index().items())
        if half is None or _split_of(entry) == half
    ]


def load_recording(path: Path) -> Recording:
    """Read a recording, its truth and its half."""
    name = path.name.removesuffix(SUFFIX)
    entry = read_index()[name]
    return Recording(
        name=name,
        fault=entry["fault"],
        users=entry["users"],
        repetition=entry["repetition"],
        fault_on_s=entry["fault_on_s"],
        is_felt=entry["is_felt"],
        truth=frozenset(read_split()["truth"][entry["fault"]]),
        split=_split_of(entry),
        explain_input=_read(path),
    )


def read_index() -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = json.loads(INDEX.read_text()) if INDEX.exists() else {}
    return entries


@cache
def read_split() -> dict[str, Any]:
    return tomllib.loads(SPLIT.read_text())


def _split_of(entry: dict[str, Any]) -> Half:
    split = read_split()
    if entry["fault"] in split["only_test"]:
        return "test"
    return "dev" if [entry["users"], entry["repetition"]] in split["development_runs"] else "test"


def _read(path: Path) -> RunRecord:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.db"
        file.write_bytes(lzma.decompress(path.read_bytes()))
        with Store(file) as store:
            (info,) = store.runs()
            return read_run(store, info)

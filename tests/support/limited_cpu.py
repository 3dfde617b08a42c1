"""A control group that gives a process less than one CPU; needs root, and Linux with cgroups of either version."""

import itertools
import os
from pathlib import Path
from typing import Self

_V1 = Path("/sys/fs/cgroup/cpu")
_V2 = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000
_PRIORITY = 20
"""Times what everybody else gets: that much of a CPU has to be there also on a busy machine."""
_numbers = itertools.count()


class CpuLimit:
    """While a `with` block lasts; `command` puts a program into it."""

    def __init__(self, cpus: float) -> None:
        self._cpus = cpus
        name = f"obswarm-test-{os.getpid()}-{next(_numbers)}"
        self._is_v1 = (_V1 / "cpu.cfs_quota_us").exists() or _V1.is_dir()
        self._folder = (_V1 if self._is_v1 else _V2) / name

    def __enter__(self) -> Self:
        quota = int(self._cpus * _PERIOD_US)
        if not self._is_v1:
            (_V2 / "cgroup.subtree_control").write_text("+cpu")
        self._folder.mkdir()
        if self._is_v1:
            (self._folder / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (self._folder / "cpu.cfs_quota_us").write_text(str(quota))
            (self._folder / "cpu.shares").write_text(str(1024 * _PRIORITY))
        else:
            (self._folder / "cpu.max").write_text(f"{quota} {_PERIOD_US}")
            (self._folder / "cpu.weight").write_text(str(100 * _PRIORITY))
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.rmdir()

    def command(self, program: list[str]) -> list[str]:
        return ["sh", "-c", f'echo $$ > {self._folder}/cgroup.procs; exec "$@"', "sh", *program]

"""CPU quotas by control groups of Linux, version 1 or 2: https://docs.kernel.org/admin-guide/cgroup-v2.html"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from system import ContestError

_ROOT = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000


def limit(process: int, group: str, cores: float | None) -> None:
    """Give a process and all that it has started a quota of CPUs, together; None takes it away again.

    Raises ContestError without the permission for it.
    """
    is_new = (_ROOT / "cgroup.controllers").exists()
    parent = _ROOT if is_new else _ROOT / "cpu"
    folder = parent / group
    try:
        if cores is None:
            _remove(folder, parent)
            return
        if is_new and "cpu" not in (parent / "cgroup.subtree_control").read_text().split():
            (parent / "cgroup.subtree_control").write_text("+cpu")
        folder.mkdir(exist_ok=True)
        quota = str(round(cores * _PERIOD_US))
        if is_new:
            (folder / "cpu.max").write_text(f"{quota} {_PERIOD_US}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (folder / "cpu.cfs_quota_us").write_text(quota)
        for each in (process, *_descendants(process)):
            with contextlib.suppress(ProcessLookupError):
                (folder / "cgroup.procs").write_text(str(each))
    except OSError as error:
        raise ContestError(
            f"{folder}: {error.strerror}. A CPU quota needs root and control groups that can be written; with Docker"
            " Compose it needs neither."
        ) from None


def _remove(folder: Path, parent: Path) -> None:
    if not folder.exists():
        return
    for each in (folder / "cgroup.procs").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            (parent / "cgroup.procs").write_text(each)
    folder.rmdir()


def _descendants(process: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):
            parent = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(name))
    waiting = [process]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            yield child
            waiting.append(child)

"""The CPUs that a process may use, by affinity and control groups."""

import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def quota_of(cgroup_file: str, root: Path = _CGROUPS) -> float | None:
    """Return the CPUs that the control groups of a process allow, None for no limit. `cgroup_file` is the text of
    /proc/self/cgroup.

    Both versions are read: cpu.max, and cpu.cfs_quota_us with cpu.cfs_period_us (Linux,
    Documentation/admin-guide/cgroup-v2.rst and Documentation/scheduler/sched-bwc.rst). A limit of any group above
    counts, too. In a container the path is the host's, and the group's files lie at the root.
    """
    limits = []
    for line in cgroup_file.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        folders = [root / controllers, root / "cpu"] if controllers else [root, root / "unified"]
        for folder in folders:
            group = folder / path.lstrip("/")
            while True:
                limit = _limit(group)
                if limit is not None:
                    limits.append(limit)
                if group == folder or folder not in group.parents:
                    break
                group = group.parent
    return min(limits, default=None)


def _limit(group: Path) -> float | None:
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text(encoding="utf-8").strip()
            period = (group / "cpu.cfs_period_us").read_text(encoding="utf-8").strip()
        return None if quota == "max" or int(quota) <= 0 else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def usable_cpus() -> float:
    """Return the number of CPUs that this process may use, by affinity and control groups."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota = quota_of(Path("/proc/self/cgroup").read_text(encoding="utf-8"))
    except OSError:
        quota = None
    return float(affinity) if quota is None else min(float(affinity), quota)

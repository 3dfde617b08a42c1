"""How much load this machine can make: the CPUs that it may use, and how fast the request path runs on them."""

import os
import time
from pathlib import Path
from typing import Any

from gevent import socket

from obswarm.api import Environment, Events
from obswarm.greenlets import Supervisor
from obswarm.http import FastHttpUser
from obswarm.stats import Recorder

_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}'
_SLICES = 6
_SLICE_CPU_S = 0.04
_WARM_UP_REQUESTS = 100
_IN_A_ROW = 20
_LONGEST_S = 5.0
_CGROUPS = Path("/sys/fs/cgroup")


def quota_of(cgroup_file: str, root: Path = _CGROUPS) -> float | None:
    """CPUs that the control groups of a process allow, None for no limit. `cgroup_file` is the text of
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
    """By affinity and control groups."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota = quota_of(Path("/proc/self/cgroup").read_text(encoding="utf-8"))
    except OSError:
        quota = None
    return float(affinity) if quota is None else min(float(affinity), quota)


class _Probe(FastHttpUser):
    abstract = True


def requests_per_cpu_second() -> float:
    """How many requests a second of CPU time is good for, the answering (by a greenlet here) included.

    CPU time, not wall time: what else the machine happens to do at the moment does not count. The best of a few slices,
    since disturbances only ever slow down.
    """
    environment = Environment(events=Events(), recorder=Recorder())
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(8)
    answering = Supervisor().spawn("The answering side of the capacity measurement", _answer, server)
    user = _Probe(_at(environment, f"http://127.0.0.1:{server.getsockname()[1]}"))
    best = 0.0
    deadline = time.monotonic() + _LONGEST_S
    try:
        for _ in range(_WARM_UP_REQUESTS):
            user.client.get("/")
        for _ in range(_SLICES):
            requests, began = 0, time.process_time()
            while time.process_time() - began < _SLICE_CPU_S:
                for _ in range(_IN_A_ROW):
                    user.client.get("/")
                requests += _IN_A_ROW
            best = max(best, requests / (time.process_time() - began))
            if time.monotonic() > deadline:
                break
    finally:
        user.client.close()
        answering.kill()
        server.close()
    return best


def _at(environment: Environment, host: str) -> Environment:
    environment.host = host
    return environment


def _answer(server: Any) -> None:
    connection, _ = server.accept()
    with connection:
        while connection.recv(4096):
            connection.sendall(_ANSWER)

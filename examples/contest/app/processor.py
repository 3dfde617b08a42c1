"""CPU of the processes of one cluster, as Linux counts it: how long they waited for one, and the quota's periods."""

import os
from pathlib import Path

from prometheus_client.core import CounterMetricFamily

_CGROUPS = Path("/sys/fs/cgroup")


class CpuOfCluster:
    """A collector for the processes that a uWSGI master has started, itself included."""

    def __init__(self, master):
        self._master = master

    def collect(self):
        waited = CounterMetricFamily("app_cpu_wait_seconds", "Times in which a thread could run, and had no CPU")
        waited.add_metric([], self._waited_s())
        yield waited
        periods = CounterMetricFamily("app_cpu_periods", "Periods of the CPU quota")
        throttled = CounterMetricFamily("app_cpu_throttled_periods", "Periods in which the CPU quota was used up")
        counts = self._quota()
        if counts is not None:
            periods.add_metric([], counts[0])
            throttled.add_metric([], counts[1])
        yield from (periods, throttled)

    def _waited_s(self):
        """Of the processes that exist now, so that it falls when one ends, as a counter that begins anew."""
        waited_ns = 0
        for process in {self._master, *_children(self._master)}:
            for file in Path(f"/proc/{process}/task").glob("*/schedstat"):
                try:
                    waited_ns += int(file.read_text().split()[1])
                except (OSError, IndexError, ValueError):
                    continue
        return waited_ns / 1e9

    def _quota(self):
        try:
            groups = Path(f"/proc/{self._master}/cgroup").read_text().splitlines()
        except OSError:
            return None
        for line in groups:
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            # In a container its own group is the root.
            for folder in (_CGROUPS / controllers.partition(",")[0] / path.lstrip("/"), _CGROUPS):
                try:
                    values = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
                except (OSError, ValueError):
                    continue
                if "nr_periods" in values:
                    return int(values["nr_periods"]), int(values["nr_throttled"])
        return None


def _children(process):
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            parent = Path(entry.path, "stat").read_text().rpartition(")")[2].split()[1]
        except (OSError, IndexError):
            continue
        if int(parent) == process:
            found.append(int(entry.name))
    return found

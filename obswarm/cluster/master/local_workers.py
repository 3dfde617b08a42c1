"""LocalProcesses: the worker processes of a run on this machine; their number grows while they are busy."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from obswarm.api import ObswarmError
from obswarm.cluster.cpus import usable_cpus
from obswarm.cluster.master.worker_state import WorkerState
from obswarm.cluster.processes import WorkerProcesses
from obswarm.greenlets import Supervisor

logger = logging.getLogger(__name__)

_BUSY_RATIO = 0.7
_BUSY_INTERVALS = 2


@dataclass(frozen=True, slots=True)
class LocalWorkers:
    """Worker processes on this machine. `count` None: one at first, and more as needed, up to the number of CPUs."""

    command: Sequence[str]
    count: int | None


class LocalProcesses:
    """Starts and ends worker processes; `on_exit(incarnation, code)` is called when one has ended."""

    def __init__(
        self, local: LocalWorkers, on_exit: Callable[[str, int], None], supervisor: Supervisor | None = None
    ) -> None:
        self.at_first = local.count or 1
        self._grows = local.count is None
        self._cpus = max(1, int(usable_cpus()))
        self._share = 1 / (local.count or self._cpus)
        self._processes = WorkerProcesses(local.command, on_exit, supervisor)
        self._busy_intervals = 0
        self.endpoint = self._processes.endpoint

    def start(self, count: int) -> None:
        for _ in range(count):
            self._processes.start(self._share)

    def start_another_when_needed(self, ready: Sequence[WorkerState], users: int) -> None:
        """Start another process if one has been busy for some intervals. Called once per interval."""
        busy = any(worker.load.cpu_ratio > _BUSY_RATIO for worker in ready)
        self._busy_intervals = self._busy_intervals + 1 if busy else 0
        starting = len(self._processes) > len(ready)
        fits = self._grows and len(ready) < min(self._cpus, users)
        if self._busy_intervals >= _BUSY_INTERVALS and fits and not starting:
            self._busy_intervals = 0
            logger.info("A worker process is busy; starting another one (%d of %d).", len(ready) + 1, self._cpus)
            try:
                self.start(1)
            except ObswarmError as error:
                self._grows = False
                logger.warning("%s The run continues with the existing processes.", error)

    def end(self, longest_s: float) -> None:
        """Wait until the processes have ended, at most `longest_s` seconds, and kill the others."""
        if not self._processes.wait(longest_s):
            logger.warning("A worker process did not end by itself.")
        self._processes.end()

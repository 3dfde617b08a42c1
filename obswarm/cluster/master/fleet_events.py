"""FleetEvents: a master's events for the listeners of its load test, about its workers."""

import logging
from collections.abc import Iterable
from typing import Any

from obswarm import clock
from obswarm.api import Environment, EventQueue
from obswarm.bounded_msgpack import unpack_content
from obswarm.cluster.master.worker_state import WorkerState
from obswarm.cluster.wire.custom_content import MAX_CONTENT_ITEMS
from obswarm.cluster.wire.messages import CustomReport
from obswarm.engine import HealthMonitor, tell_saturation, tell_usage

logger = logging.getLogger(__name__)

_MOST_REPORTS = 1_000
"""Maximum for a worker in an interval."""


class FleetEvents:
    """Fires `worker_connect`, `worker_report`, `heartbeat_sent`, `usage_monitor` and `cpu_warning`."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._events = environment.events
        self._heartbeats = EventQueue()
        self._reports: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        """What the processes of a worker have reported since the last interval, by the worker's name."""

    @property
    def wants_statistics(self) -> bool:
        """Whether there are listeners for the reports of workers."""
        return bool(self._events.worker_report.listeners)

    def joined(self, worker: WorkerState) -> None:
        self._events.worker_connect.fire(client_id=worker.name)

    def take(self, worker: WorkerState, report: CustomReport) -> None:
        """Keep what a process has reported until `report`. Raises Unreadable."""
        data = unpack_content(report.content, MAX_CONTENT_ITEMS)
        pending = self._reports.setdefault(worker.name, [])
        if isinstance(data, dict) and len(pending) < _MOST_REPORTS:
            pending.append((report.node if report.node in worker.nodes else worker.name, data))

    def report(self, workers: Iterable[WorkerState], only_kept: bool = False) -> None:
        """Fire `worker_report` for each process that has reported, and for workers without a report, unless
        `only_kept`."""
        if not self.wants_statistics:
            self._reports.clear()
            return
        for worker in list(workers):
            counts = {"user_count": sum(worker.users.values()), "user_classes_count": dict(worker.users)}
            kept = self._reports.pop(worker.name, [])
            for client_id, data in kept or ([] if only_kept else [(worker.name, counts)]):
                self._events.worker_report.fire(client_id=client_id, data={**counts, **data})

    def heartbeat(self, workers: Iterable[WorkerState]) -> None:
        """Fire `heartbeat_sent` for each worker that is there, without waiting for the listeners."""
        if self._events.heartbeat_sent.listeners:
            now = clock.wall()
            for worker in workers:
                if not worker.is_over:
                    self._heartbeats.put(self._events.heartbeat_sent, client_id=worker.name, timestamp=now)

    def measure(self, health: HealthMonitor, users: int) -> None:
        """Fire the events of this process's own health."""
        measured, became_saturated = health.read(users)
        tell_usage(self._environment, measured)
        if became_saturated:
            logger.warning("The master itself is busy (%s): statistics are delayed.", health.watch.reason)
            tell_saturation(self._environment, measured)

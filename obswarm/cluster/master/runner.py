"""`environment.runner` on a master, under Locust's names."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from obswarm.api import Environment
from obswarm.cluster.master.registry import WorkerRegistry
from obswarm.cluster.master.worker_state import WorkerState
from obswarm.cluster.wire.custom_content import message_content
from obswarm.cluster.wire.messages import Custom
from obswarm.engine import MessageListeners, RunnerControl, SteeringRunner
from obswarm.record import RunState, WorkerStatus

logger = logging.getLogger(__name__)

_MISSING = "missing"


@dataclass(frozen=True, slots=True)
class WorkerNode:
    """A worker as the load test sees it. CPU usage is in percent of a core, memory usage in bytes."""

    id: str
    state: str
    user_classes_count: dict[str, int]
    cpu_usage: float
    memory_usage: int
    cpu_warning_emitted: bool
    nodes: tuple[str, ...]
    """Names of its processes."""

    @property
    def user_count(self) -> int:
        return sum(self.user_classes_count.values())


class WorkerNodes(Mapping[str, WorkerNode]):
    """`runner.clients`: the workers by name."""

    def __init__(self, nodes: Mapping[str, WorkerNode]) -> None:
        self._nodes = nodes

    def __getitem__(self, name: str) -> WorkerNode:
        return self._nodes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def get_by_state(self, state: str) -> list[WorkerNode]:
        return [node for node in self.values() if node.state == state]

    @property
    def all(self) -> list[WorkerNode]:
        return list(self.values())

    @property
    def ready(self) -> list[WorkerNode]:
        """Those that have joined, before users are assigned."""
        return self.get_by_state(RunState.READY)

    @property
    def spawning(self) -> list[WorkerNode]:
        return self.get_by_state(RunState.SPAWNING)

    @property
    def running(self) -> list[WorkerNode]:
        return self.get_by_state(RunState.RUNNING)

    @property
    def missing(self) -> list[WorkerNode]:
        return self.get_by_state(_MISSING)


class MasterRunner(SteeringRunner):
    """The runner on a master; sends messages to all workers, or to one by `client_id`."""

    client_id = "master"
    worker_index = -1

    def __init__(
        self, run: RunnerControl, environment: Environment, messages: MessageListeners, registry: WorkerRegistry
    ) -> None:
        super().__init__(run, environment, messages)
        self._registry = registry

    def send_message(self, msg_type: str, data: Any = None, client_id: str | None = None) -> None:
        """Send a message to every process with users, or to the one with that `client_id`."""
        custom = Custom(msg_type, message_content(msg_type, data), client_id or "")
        if not client_id:
            self._registry.broadcast(custom)
        elif not self._registry.send_to(client_id, custom):
            logger.warning("There is no worker %s to send a message of type %r to.", client_id, msg_type)

    @property
    def worker_count(self) -> int:
        """Number of ready workers; a machine with several processes counts as one."""
        return len(self._registry.ready)

    @property
    def clients(self) -> WorkerNodes:
        """Workers by name."""
        workers = self._registry.workers.values()
        return WorkerNodes({worker.name: self._node(worker) for worker in workers if not worker.is_over})

    def _node(self, worker: WorkerState) -> WorkerNode:
        health = worker.health
        return WorkerNode(
            worker.name,
            str(self._state_of(worker)),
            dict(worker.users),
            health.cpu_ratio * 100 if health else 0.0,
            health.memory_bytes if health else 0,
            worker.was_saturated,
            worker.nodes,
        )

    def _state_of(self, worker: WorkerState) -> str:
        if worker.state is WorkerStatus.MISSING:
            return _MISSING
        match self._run.shown_state:
            case RunState.READY | RunState.STOPPED:
                return RunState.READY
            case RunState.SPAWNING:
                return RunState.SPAWNING
            case _:
                return RunState.RUNNING

    @property
    def worker_cpu_warning_emitted(self) -> bool:
        """Whether a worker has been the bottleneck of the run."""
        return any(worker.was_saturated for worker in self._registry.workers.values())

    def cpu_log_warning(self) -> bool:
        """Return whether this process or a worker has been the bottleneck of the run."""
        return self.cpu_warning_emitted or self.worker_cpu_warning_emitted

    @property
    def reported_user_classes_count(self) -> dict[str, int]:
        return self.user_classes_count

    @property
    def spawning_completed(self) -> bool:
        return self._run.shown_state is RunState.RUNNING

    @property
    def worker_indexes(self) -> dict[str, int]:
        return {worker.name: worker.index for worker in self._registry.workers.values()}

    def get_worker_index(self, client_id: str) -> int:
        """Return the index of a worker. Raises KeyError for an unknown one."""
        return self.worker_indexes[client_id]

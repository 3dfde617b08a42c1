"""`environment.runner` on a master, under Locust's names."""

import logging
from typing import Any

from obswarm.api import Environment
from obswarm.cluster.master.registry import WorkerRegistry
from obswarm.cluster.wire.custom_content import message_content
from obswarm.cluster.wire.messages import Custom
from obswarm.engine import MessageListeners, RunnerControl, SteeringRunner

logger = logging.getLogger(__name__)


class MasterRunner(SteeringRunner):
    """On the master: sends to all workers, or to one by `client_id`."""

    client_id = "master"
    worker_index = -1

    def __init__(
        self, run: RunnerControl, environment: Environment, messages: MessageListeners, registry: WorkerRegistry
    ) -> None:
        super().__init__(run, environment, messages)
        self._registry = registry

    def send_message(self, msg_type: str, data: Any = None, client_id: str | None = None) -> None:
        """To every process with users, or to the one whose `client_id` is given."""
        custom = Custom(msg_type, message_content(msg_type, data), client_id or "")
        if not client_id:
            self._registry.broadcast(custom)
        elif not self._registry.send_to(client_id, custom):
            logger.warning("There is no worker %s to send a message of type %r to.", client_id, msg_type)

    @property
    def worker_count(self) -> int:
        """Workers that are there; a machine with several processes counts as one."""
        return len(self._registry.ready)

    @property
    def clients(self) -> dict[str, dict[str, Any]]:
        """Workers by name: state, users, CPU in percent of a core."""
        return {
            worker.name: {
                "id": worker.name,
                "state": str(worker.state),
                "user_count": sum(worker.users.values()),
                "cpu_usage": (worker.health.cpu_ratio if worker.health else 0.0) * 100,
                "nodes": list(worker.nodes),
            }
            for worker in self._registry.workers.values()
            if not worker.is_over
        }

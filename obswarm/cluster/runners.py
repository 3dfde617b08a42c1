"""`environment.runner` on a master and on its workers, under Locust's names."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgpack

from obswarm.api import Environment, LoadTestError
from obswarm.bounded_msgpack import Unreadable, unpack_content
from obswarm.cluster.master.registry import WorkerRegistry
from obswarm.cluster.wire.messages import Custom, Message, WorkerEvent
from obswarm.engine import CustomMessage, MessageListeners, Runner, RunnerControl, SteeringRunner

logger = logging.getLogger(__name__)

MAX_CONTENT_BYTES = 32 * 1024 * 1024
MAX_CONTENT_ITEMS = 1_000_000
"""Of one message of a load test's own."""


class NotSendable(ValueError):
    """Content of a load test's own that has no form in a message, or is more than the other side takes."""


def pack_content(content: Any) -> bytes:
    """Raises NotSendable."""
    try:
        packed: bytes = msgpack.packb(content, unicode_errors="backslashreplace")
        if len(packed) > MAX_CONTENT_BYTES:
            raise NotSendable(f"{len(packed):,} bytes, more than {MAX_CONTENT_BYTES:,}")
        unpack_content(packed, MAX_CONTENT_ITEMS)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise NotSendable(str(error)) from None
    return packed


def message_content(kind: str, content: Any) -> bytes:
    """For `send_message`. Raises LoadTestError when it cannot be sent."""
    if not isinstance(kind, str):
        raise LoadTestError(f"send_message({kind!r}, …): the type of a message has to be a text.")
    try:
        return pack_content(content)
    except NotSendable as error:
        raise LoadTestError(
            f"send_message({kind!r}, …): the content cannot be sent ({error}). Use texts, numbers, lists and dicts."
        ) from None


def deliver(messages: MessageListeners, custom: Custom) -> None:
    """Give a message that has arrived to its listener."""
    try:
        content = unpack_content(custom.content, MAX_CONTENT_ITEMS)
    except Unreadable as error:
        messages.warn_once(custom.kind, "A message of type '%s' cannot be read: %s.", str(error))
        return
    messages.deliver(CustomMessage(custom.kind, content, custom.node))


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


class WorkerRunner(Runner):
    """In a process with users: sends to the master."""

    state = "ready"
    worker_index = -1
    """-1 until the master has admitted this worker, which is before `init` is fired."""

    def __init__(
        self,
        environment: Environment,
        messages: MessageListeners,
        name: str,
        send: Callable[[Message], None],
        user_counts: Callable[[], Mapping[str, int]],
    ) -> None:
        super().__init__(environment, messages)
        self.client_id = name
        self._send = send
        self._user_counts = user_counts

    def send_message(self, msg_type: str, data: Any = None, client_id: str | None = None) -> None:
        """To the master."""
        self._tell(Custom(msg_type, message_content(msg_type, data), self.client_id))

    def quit(self) -> None:
        """Have the master stop the whole run gracefully."""
        self._tell(WorkerEvent("quit", f"the load-test file called runner.quit() on the worker {self.client_id}"))

    def stop(self) -> None:
        """As `quit`."""
        self.quit()

    def _tell(self, message: Message) -> None:
        self._send(message)

    @property
    def user_count(self) -> int:
        """Users of this process."""
        return sum(self.user_classes_count.values())

    @property
    def user_classes_count(self) -> dict[str, int]:
        return dict(self._user_counts())

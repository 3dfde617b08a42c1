"""`environment.runner` on a worker, under Locust's names."""

from collections.abc import Callable, Mapping
from typing import Any

from obswarm.api import Environment
from obswarm.cluster.wire.custom_content import message_content
from obswarm.cluster.wire.messages import Custom, Message, WorkerEvent
from obswarm.engine import MessageListeners, Runner, RunnerUsers
from obswarm.record import RunState


class WorkerRunner(Runner):
    """The runner in a process with users; sends messages to the master."""

    state: str = RunState.READY
    """State of the run in this process."""
    worker_index = -1
    """Index of this process among all worker processes; -1 until the master has admitted it, before `init` is fired."""

    def __init__(
        self,
        environment: Environment,
        messages: MessageListeners,
        name: str,
        send: Callable[[Message], None],
        user_counts: Callable[[], Mapping[str, int]],
        user_targets: Callable[[], Mapping[str, int]],
        users: RunnerUsers | None = None,
    ) -> None:
        super().__init__(environment, messages, users)
        self.last_heartbeat_timestamp: float | None = None
        """Wall time of the last heartbeat of the master, in seconds."""
        self.client_id = name
        self._send = send
        self._user_counts = user_counts
        self._user_targets = user_targets

    def admitted(self, index: int) -> bool:
        """Note the index that the master has given to this process. Returns whether it is the first time."""
        first = self.worker_index < 0
        self.worker_index = index
        return first

    def send_message(self, msg_type: str, data: Any = None, client_id: str | None = None) -> None:
        """Send a message to the master."""
        self._send(Custom(msg_type, message_content(msg_type, data), self.client_id))

    def start(self, user_count: int, spawn_rate: float, wait: bool = False, user_classes: Any = None) -> None:
        """Raises NotImplementedError: the master assigns users to its workers."""
        raise NotImplementedError(
            "runner.start: a worker has the users that its master assigns; call it on the master."
        )

    @property
    def worker_state(self) -> str:
        return self.state

    @property
    def connected(self) -> bool:
        """Whether the master has admitted this worker."""
        return self.worker_index >= 0

    @property
    def exceptions(self) -> dict[str, Any]:
        """None of them: a worker reports exceptions to its master, and keeps nothing."""
        return {}

    def quit(self) -> None:
        """Stop the whole run gracefully. A user that calls it ends there."""
        self._send(WorkerEvent("quit", f"the load-test file called runner.quit() on the worker {self.client_id}"))
        self._end_caller()

    def stop(self) -> None:
        """Do the same as `quit`."""
        self.quit()

    @property
    def user_count(self) -> int:
        """Number of users in this process."""
        return sum(self.user_classes_count.values())

    @property
    def user_classes_count(self) -> dict[str, int]:
        return dict(self._user_counts())

    @property
    def target_user_count(self) -> int:
        """Users that this process is to have."""
        return sum(self.target_user_classes_count.values())

    @property
    def target_user_classes_count(self) -> dict[str, int]:
        return dict(self._user_targets())
